/**
 * The operator of an honest enclave serves nobody, holds every voucher, and does what it can to keep the deposit. Without the
 * key that charges it takes nothing, and the payer has everything back one delay after it asked, without the payee.
 * Spec: ton-settlement §4.12 (gateway operator, enclave intact → client: 0, frozen for D at most), §7 I5.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { signCharge } from '../../settlement/charge.ts';
import { amount } from '../../settlement/money.ts';
import { CHANNEL_EXIT } from '../../settlement/ton/contracts/exit-codes.ts';
import {
  availableOf,
  cancelWithdrawBody,
  claimBody,
  claimExternalBody,
  requestWithdrawBody,
} from '../../settlement/ton/contracts/pay-channel.ts';
import {
  ChannelLab,
  DELAY_S,
  PAYEE,
  PAYER,
  STRANGER_SEED,
  TON,
} from '../support/ton/channel-lab.ts';

const CHARGED = TON / 4n;
/** Signed by the payer for requests that are under way. */
const CEILING = TON;
const FEES_MAX = TON / 50n;

/** All that whoever runs the machine can send while the payer waits. None of it may count. */
async function harass(lab: ChannelLab): Promise<readonly number[]> {
  const voucher = lab.signed({ charged: CEILING });
  const own = signCharge(STRANGER_SEED, {
    channel: lab.id,
    epoch: 0,
    charged: amount(CEILING),
    isFinal: false,
  });
  const { voucherSignature, chargeSignature: _, ...rest } = voucher;
  const outcomes = [
    await lab.external(claimExternalBody({ ...rest, voucherSignature, chargeSignature: own })),
    await lab.external(claimExternalBody({ ...rest, voucherSignature })),
    await lab.send(claimBody({ ...voucher, chargeSignature: voucherSignature }, 1n), PAYEE),
    await lab.claim({ charged: CHARGED, ceiling: CEILING }),
    await lab.send(cancelWithdrawBody(1n), PAYEE),
    await lab.send(requestWithdrawBody(0n, 1n), PAYEE),
    await lab.finalizeExternal(),
  ];
  return outcomes.map(({ exitCode }) => exitCode);
}

test('a payee that is silent, or busy with everything but its duty, keeps nothing', async (context) => {
  const lab = await ChannelLab.open(2n * TON);
  await lab.claim({ charged: CHARGED, ceiling: CEILING });
  const before = await lab.state();
  const [askedAt, heldByPayer] = [lab.chain.now, await lab.chain.balance(PAYER)];
  assert.equal((await lab.external(lab.signedWithdraw(0n, askedAt))).exitCode, 0);
  for (const left of [DELAY_S, 60, 1]) {
    lab.chain.pass(askedAt + DELAY_S - left - lab.chain.now);
    assert.deepEqual(await harass(lab), [
      CHANNEL_EXIT.chargeSignature,
      CHANNEL_EXIT.chargeSignature,
      CHANNEL_EXIT.chargeSignature,
      CHANNEL_EXIT.stale,
      CHANNEL_EXIT.sender,
      CHANNEL_EXIT.sender,
      CHANNEL_EXIT.locked,
    ]);
  }
  lab.chain.pass(1);
  assert.equal((await lab.finalizeExternal()).exitCode, 0);
  const frozenS = lab.chain.now - askedAt;
  const { claimed, refunded } = await lab.state();
  const back = (await lab.chain.balance(PAYER)) - heldByPayer;
  context.diagnostic(`available ${availableOf(before)}, back ${back}, after ${frozenS} s`);
  assert.equal(frozenS, DELAY_S);
  assert.equal(claimed - CHARGED, 0n, 'overcharged by nothing');
  assert.equal(refunded, availableOf(before));
  assert.ok(back <= refunded && back > refunded - FEES_MAX);
});
