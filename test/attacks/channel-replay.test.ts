/** Signatures of one life, network, set of terms or version of the code are worth nothing in another. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { contractAddress } from '@ton/core';
import { PAY_CHANNEL } from '../../settlement/ton/contracts/compiled.ts';
import { CHANNEL_EXIT } from '../../settlement/ton/contracts/exit-codes.ts';
import {
  channelId,
  channelInit,
  claimBody,
  claimExternalBody,
  destroyBody,
  type ChannelTerms,
} from '../../settlement/ton/contracts/pay-channel.ts';
import { beginCell } from '@ton/core';
import {
  ChannelLab,
  DELAY_S,
  labTerms,
  party,
  PAYER,
  STRANGER,
  TON,
} from '../support/ton/channel-lab.ts';

test('a final charge of an earlier epoch does not end the next one', async () => {
  const lab = await ChannelLab.open();
  const final = lab.signed({ charged: TON / 2n, ends: 'final' });
  assert.equal((await lab.send(claimBody(final, 1n), STRANGER)).exitCode, 0);
  await lab.deposit(2n * TON);
  const again = await lab.external(claimExternalBody(final));
  assert.equal(again.exitCode, CHANNEL_EXIT.epoch);
});

test('a voucher that the withdraw outlived claims nothing from the next deposit', async () => {
  const lab = await ChannelLab.open();
  const late = lab.signed({ charged: TON / 2n });
  await lab.requestWithdraw();
  lab.chain.pass(DELAY_S);
  await lab.finalizeExternal();
  await lab.deposit(2n * TON);
  assert.equal((await lab.external(claimExternalBody(late))).exitCode, CHANNEL_EXIT.epoch);
});

test('a destroyed channel cannot be born again for its old signatures', async () => {
  const lab = await ChannelLab.open();
  const old = lab.signed({ charged: TON / 2n });
  const final = lab.signed({ charged: TON / 2n, ends: 'final' });
  await lab.send(claimBody(final, 1n), STRANGER);
  await lab.send(destroyBody(1n));
  assert.equal((await lab.deposit(2n * TON)).exitCode, CHANNEL_EXIT.retired);
  assert.equal((await lab.send(claimBody(old, 1n), STRANGER)).exitCode, CHANNEL_EXIT.status);
  // Years later the network freezes the account for its rent. It then wakes with its last state only, not with the first.
  for (const years of [1, 7, 30, 38]) {
    lab.chain.pass(years * 365 * DELAY_S);
    assert.notEqual((await lab.deposit(2n * TON)).exitCode, 0, `${years} years more`);
    assert.notEqual((await lab.send(claimBody(old, 1n), STRANGER)).exitCode, 0);
  }
});

const OTHERS: readonly (readonly [what: string, change: Partial<ChannelTerms>])[] = [
  ['network', { networkId: -239 }],
  ['salt', { salt: 8n }],
  ['delay', { withdrawDelayS: 1 }],
  ['payee', { payee: party(0xbc) }],
  ['payer', { payer: party(0xab) }],
];
for (const [what, change] of OTHERS) {
  test(`a voucher of another ${what} is refused`, async () => {
    const lab = await ChannelLab.open();
    const other = await ChannelLab.create(change);
    const claim = claimExternalBody(other.signed({ charged: TON }));
    assert.equal((await lab.external(claim)).exitCode, CHANNEL_EXIT.payerSignature);
  });
}

test('a voucher of another version of the code is refused', async () => {
  const lab = await ChannelLab.open();
  const code = beginCell().storeRef(PAY_CHANNEL.code).endCell();
  const address = contractAddress(0, { ...channelInit(labTerms()), code });
  assert.notDeepEqual(channelId(address), lab.id);
});

test('a charge does not pass for a voucher, nor a voucher for a charge', async () => {
  const lab = await ChannelLab.open();
  const claim = lab.signed({ charged: TON });
  const { voucherSignature, chargeSignature = voucherSignature } = claim;
  const swapped = {
    ...claim,
    voucherSignature: chargeSignature,
    chargeSignature: voucherSignature,
  };
  const { exitCode } = await lab.send(claimBody(swapped, 1n), PAYER);
  assert.equal(exitCode, CHANNEL_EXIT.payerSignature);
});
