/** Nobody burns a channel's money on gas: not from outside, not in slices, not by withdrawing and cancelling. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { beginCell, Cell } from '@ton/core';
import { CHANNEL_EXIT } from '../../settlement/ton/contracts/exit-codes.ts';
import {
  availableOf,
  cancelWithdrawBody,
  CHANNEL_FEES,
  claimExternalBody,
} from '../../settlement/ton/contracts/pay-channel.ts';
import { ChannelLab, PAYER, STRANGER, TON } from '../support/ton/channel-lab.ts';

test('external messages that are refused cost nothing, whatever they hold', async () => {
  const lab = await ChannelLab.open();
  const before = await lab.balance();
  const claim = lab.signed({ charged: TON });
  const deep = Array.from({ length: 100 }).reduce<Cell>(
    (cell) => beginCell().storeRef(cell).endCell(),
    Cell.EMPTY,
  );
  const bodies = [
    Cell.EMPTY,
    deep,
    beginCell().storeUint(1, 1).endCell(),
    claimExternalBody({ ...claim, epoch: 3 }),
    claimExternalBody({ ...claim, ceiling: claim.ceiling + 1n }),
    lab.signedWithdraw(0n, lab.chain.now - 1),
  ];
  for (const body of bodies) assert.notEqual((await lab.external(body)).exitCode, 0);
  assert.equal(await lab.balance(), before);
});

test('an external claim works once: the second costs nobody anything', async () => {
  const lab = await ChannelLab.open();
  const claim = claimExternalBody(lab.signed({ charged: TON }));
  assert.equal((await lab.external(claim)).exitCode, 0);
  const before = await lab.balance();
  assert.equal((await lab.external(claim)).exitCode, CHANNEL_EXIT.stale);
  assert.equal(await lab.balance(), before);
});

test('whoever sees a single-lock voucher cannot cash it in slices', async () => {
  const lab = await ChannelLab.open(2n * TON, { payeeKey: 'single-lock' });
  const whole = lab.signed({ charged: TON });
  const slice = claimExternalBody({ ...whole, charged: CHANNEL_FEES.minExternal });
  assert.equal((await lab.external(slice)).exitCode, CHANNEL_EXIT.ceiling);
});

test('a payer who signs withdraws and cancels them never eats into what the payee may claim', async () => {
  const lab = await ChannelLab.open();
  for (let round = 1; round <= 20; round++) {
    await lab.external(lab.signedWithdraw(0n, lab.chain.now + round));
    await lab.send(cancelWithdrawBody(1n), PAYER, TON / 10n);
    const available = availableOf(await lab.state());
    assert.ok((await lab.balance()) >= available + CHANNEL_FEES.rent - TON / 100n);
  }
  const charged = availableOf(await lab.state());
  const paid = await lab.claimExternal({ charged });
  assert.ok((paid.sent[0]?.value ?? 0n) > charged - TON / 100n);
});

test('dust from strangers is theirs to lose', async () => {
  const lab = await ChannelLab.open();
  const before = await lab.state();
  for (const value of [1n, 1000n, 3_000_000n, CHANNEL_FEES.depositFee]) {
    assert.notEqual((await lab.deposit(value, STRANGER)).exitCode, 0);
    assert.notEqual((await lab.send(Cell.EMPTY, STRANGER, value)).exitCode, 0);
  }
  assert.deepEqual(await lab.state(), before);
});

test('the greatest amount that a message can spell does not overflow into somebody else’s money', async () => {
  const lab = await ChannelLab.open();
  const most = (1n << 120n) - 1n;
  const claim = await lab.claim({ charged: most });
  assert.equal(claim.exitCode, CHANNEL_EXIT.available);
  assert.equal((await lab.requestWithdraw(most)).exitCode, CHANNEL_EXIT.available);
  assert.equal((await lab.claim({ charged: TON / 2n, ceiling: most })).exitCode, 0);
});
