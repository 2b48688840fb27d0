/**
 * A gateway pays with vouchers that pay somebody else, or nobody: of another channel, to another payee, on another network,
 * under a key that anybody can sign for, at an address that the terms do not give. None of them is credit.
 * Spec: P§15.2; ton-settlement §3.4, §4.7.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519PublicKey } from '#primitives';
import type { SettledChannel } from '../../protocol/settled.ts';
import { amount } from '../../settlement/money.ts';
import { channelOfTerms } from '../../settlement/ton/worker-channel.ts';
import { encodeVoucher, signVoucher } from '../../settlement/voucher.ts';
import {
  channelWith,
  paidWorker,
  PAYOUT_KEY,
  termsOf,
  TOKEN,
} from '../enclave-worker/paid-worker.ts';
import { SMALL_ORDER_KEYS } from '../support/payer-keys.ts';

const MUCH = 10n * TOKEN;
const sound = channelWith(MUCH);
const elsewhere = channelWith(MUCH, { terms: termsOf({ salt: 99n }) });

/** Terms of our payee, at the address of a channel that pays the attacker. */
function dressed(): SettledChannel {
  const theirs = termsOf({ payee: `0:${'a'.repeat(64)}` });
  const channel = channelOfTerms(theirs);
  const voucher = signVoucher(PAYOUT_KEY, { channel, epoch: 0, ceiling: amount(MUCH) });
  return { channel, terms: termsOf(), voucher: encodeVoucher(voucher) };
}

const [smallOrder] = SMALL_ORDER_KEYS;
assert.ok(smallOrder !== undefined);

const FAKES: readonly (readonly [string, SettledChannel])[] = [
  ['the voucher of another channel of ours', { ...sound, voucher: elsewhere.voucher }],
  [
    'a channel to somebody else',
    channelWith(MUCH, { terms: termsOf({ payee: `0:${'a'.repeat(64)}` }) }),
  ],
  ['a channel to somebody else under our terms', dressed()],
  ['a channel on a test network', channelWith(MUCH, { terms: termsOf({ network: 'tvm:-3' }) })],
  [
    'a channel that needs the gateway to sign each claim',
    channelWith(MUCH, { terms: termsOf({ payeeKey: ed25519PublicKey(PAYOUT_KEY) }) }),
  ],
  [
    'a channel whose payer can take it back at once',
    channelWith(MUCH, { terms: termsOf({ withdrawDelayS: 0 }) }),
  ],
  [
    'a key that anybody can sign for',
    channelWith(MUCH, { terms: termsOf({ payerKey: smallOrder }) }),
  ],
];

for (const [what, channel] of FAKES) {
  test(`no credit for ${what}`, async () => {
    const worker = paidWorker({ credit: { creditMax: MUCH } });
    await worker.ask(10);
    assert.equal(worker.tell({ workerSeq: 1n, earned: MUCH, channel }), 400);
    assert.equal(worker.fixture.deps.earnings.exposure(), MUCH);
    assert.equal((await worker.ask(1)).outerStatus, 503);
  });
}

test('the sound one is credit', async () => {
  const worker = paidWorker({ credit: { creditMax: MUCH } });
  await worker.ask(10);
  assert.equal(worker.tell({ workerSeq: 1n, earned: MUCH, channel: sound }), 204);
  assert.equal((await worker.ask(1)).status, 200);
});

test('a worker that is paid in another coin takes no channel of this one', async () => {
  const worker = paidWorker({ credit: { asset: 'USDT' } });
  await worker.ask(10);
  assert.equal(worker.tell({ workerSeq: 1n, earned: MUCH, channel: sound }), 400);
});
