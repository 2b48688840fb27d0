/**
 * Somebody copies the key of a channel. It signs vouchers and withdraws, and no coin of the channel has another way out than
 * to the gateway, for what the gateway charged, or to the address that deposited it.
 * Spec: ton-settlement §4.12 (stolen payerKey: can only pay the gateway; refunds go to the payer's address).
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Address } from '@ton/core';
import { CHANNEL_EXIT } from '../../settlement/ton/contracts/exit-codes.ts';
import {
  cancelWithdrawBody,
  claimBody,
  claimExternalBody,
  destroyBody,
  finalizeWithdrawBody,
  requestWithdrawBody,
} from '../../settlement/ton/contracts/pay-channel.ts';
import {
  ChannelLab,
  DELAY_S,
  PAYEE,
  PAYER,
  PAYER_SEED,
  STRANGER,
  TON,
} from '../support/ton/channel-lab.ts';
import type { Outcome } from '../support/ton/chain.ts';

const FEES_MAX = TON / 50n;

/** What a channel sent beyond giving the thief its own attached coins back. */
function sentTo(outcome: Outcome, whom: Address): bigint {
  return outcome.sent.reduce((sum, { to, value }) => (to.equals(whom) ? sum + value : sum), 0n);
}

test('what it withdraws comes to the payer, whoever finishes it', async (context) => {
  const lab = await ChannelLab.open(2n * TON);
  const { deposited } = await lab.state();
  const before = await lab.chain.balance(PAYER);
  const order = lab.signedWithdraw(0n, lab.chain.now, 0, PAYER_SEED);
  assert.equal((await lab.external(order)).exitCode, 0);
  lab.chain.pass(DELAY_S);
  const attached = TON / 10n;
  const done = await lab.send(finalizeWithdrawBody(1n), STRANGER, attached);
  assert.equal(done.exitCode, 0);
  const gained = (await lab.chain.balance(PAYER)) - before;
  const stolen = sentTo(done, STRANGER) - attached;
  context.diagnostic(`deposited ${deposited}, to the payer ${gained}, to the thief ${stolen}`);
  assert.ok(gained > deposited - FEES_MAX);
  assert.ok(stolen <= 0n, 'a thief pays the gas and no more comes back');
});

test('what it promises is paid to the gateway, and only what the gateway charges', async (context) => {
  const lab = await ChannelLab.open(2n * TON);
  const { deposited } = await lab.state();
  const whole = lab.signed({ charged: deposited });
  const { chargeSignature: _, ...unsigned } = whole;
  const alone = await lab.send(claimBody(unsigned, 1n), STRANGER);
  assert.equal(alone.exitCode, CHANNEL_EXIT.chargeSignature);
  // The thief has been served for all of it: that is the loss, and the gateway has it.
  const paid = await lab.external(claimExternalBody(whole));
  assert.equal(paid.exitCode, 0);
  const lost = (await lab.state()).claimed;
  context.diagnostic(`deposited ${deposited}, lost to the gateway ${lost}`);
  assert.equal(lost, deposited);
  assert.ok(sentTo(paid, PAYEE) > deposited - FEES_MAX);
  assert.equal(sentTo(paid, STRANGER), 0n);
});

test('the doors that open by address stay shut to the key', async () => {
  const lab = await ChannelLab.open(2n * TON);
  for (const body of [requestWithdrawBody(0n, 1n), cancelWithdrawBody(1n), destroyBody(1n)]) {
    assert.equal((await lab.send(body, STRANGER)).exitCode, CHANNEL_EXIT.sender);
  }
});
