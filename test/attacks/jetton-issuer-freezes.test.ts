/**
 * The issuer of a stablecoin locks the wallet in which a channel holds its coins. Nobody moves them then: not by a claim, not
 * by a withdraw. What was claimed or withdrawn meanwhile counts as paid and did not arrive, because no transfer's failure
 * comes back to a channel: both parties do well to wait until the wallet is free again.
 * Spec: ton-settlement §4.12 (USDT issuer → jetton channel: can freeze the channel's jetton wallet), §4.14.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cell } from '@ton/core';
import { CHANNEL_EXIT } from '../../settlement/ton/contracts/exit-codes.ts';
import {
  availableOf,
  finalizeWithdrawBody,
  requestWithdrawBody,
} from '../../settlement/ton/contracts/pay-channel.ts';
import { DELAY_S, PAYEE, PAYER, STRANGER } from '../support/ton/channel-lab.ts';
import { JettonLab, jettonWallet } from '../support/ton/jetton-lab.ts';

const DEPOSIT = 100_000_000n;
const CLAIM = 30_000_000n;
const REST = DEPOSIT - CLAIM;

/** Puts code in the wallet's place that refuses everything. Returns what puts the wallet back. */
async function freeze({ chain, address }: JettonLab): Promise<() => Promise<void>> {
  const wallet = jettonWallet(address);
  const { account } = await chain.blockchain.getContract(wallet);
  const state = account.account?.storage.state;
  if (state?.type !== 'active') throw new Error('no wallet');
  const code = state.state.code;
  state.state.code = Cell.EMPTY;
  await chain.blockchain.setShardAccount(wallet, account);
  return async () => {
    state.state.code = code;
    await chain.blockchain.setShardAccount(wallet, account);
  };
}

test('while it is frozen nothing arrives, and what counts as paid then is gone for its owner', async (context) => {
  const lab = await JettonLab.open(DEPOSIT);
  const before = await lab.jettons(PAYER);
  const thaw = await freeze(lab);
  assert.equal((await lab.claim({ charged: CLAIM })).exitCode, 0);
  assert.equal((await lab.send(requestWithdrawBody(0n, 1n))).exitCode, 0);
  lab.chain.pass(DELAY_S);
  // Not even the payer's own doing: whoever wants to can finish what is due.
  assert.equal((await lab.send(finalizeWithdrawBody(1n), STRANGER)).exitCode, 0);
  const { claimed, refunded } = await lab.state();
  assert.deepEqual([claimed, refunded], [CLAIM, REST]);
  await thaw();
  const [toPayee, toPayer] = [await lab.jettons(PAYEE), (await lab.jettons(PAYER)) - before];
  const stuck = await lab.jettons(lab.address);
  context.diagnostic(`deposited ${DEPOSIT}, arrived ${toPayee + toPayer}, stuck ${stuck}`);
  assert.deepEqual([toPayee, toPayer, stuck], [0n, 0n, DEPOSIT]);
});

test('who waits until it is free again has lost nothing', async () => {
  const lab = await JettonLab.open(DEPOSIT);
  const before = await lab.jettons(PAYER);
  const thaw = await freeze(lab);
  lab.chain.pass(30 * DELAY_S);
  await thaw();
  assert.equal((await lab.claim({ charged: CLAIM })).exitCode, 0);
  assert.equal(availableOf(await lab.state()), REST);
  assert.equal((await lab.send(requestWithdrawBody(0n, 1n))).exitCode, 0);
  assert.equal((await lab.send(finalizeWithdrawBody(1n))).exitCode, CHANNEL_EXIT.locked);
  lab.chain.pass(DELAY_S);
  assert.equal((await lab.send(finalizeWithdrawBody(1n))).exitCode, 0);
  assert.equal(await lab.jettons(PAYEE), CLAIM);
  assert.equal((await lab.jettons(PAYER)) - before, REST);
});
