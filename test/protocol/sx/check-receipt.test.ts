/** Each comparison of a receipt, failing alone. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes, signEd25519 } from '#primitives';
import { concat, utf8, type Bytes } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { amountOf } from '../../../protocol/price.ts';
import { encodeReceipt, type Receipt } from '../../../protocol/receipt.ts';
import { verifyReceipt, type ReceiptExpectation } from '../../../protocol/sx/check-receipt.ts';
import { parseClearRequest } from '../../../protocol/sx/clear.ts';
import { sealRequest } from '../../../protocol/sx/seal.ts';
import { TEST_PRICES, testWorker } from '../../support/attested-key.ts';

const NOW_MS = 1_800_000_000_000;
const { key, signing } = testWorker('X25519');
const usage = { prompt: 10, cached: 0, completion: 5, reasoning: 0 };
const amount = amountOf(TEST_PRICES, usage);
const sealed = sealRequest({
  keys: [key],
  request: { path: '/v1/chat/completions', headers: [], body: utf8('{}') },
  bounds: { maxAmount: amount + 5n, maxPrompt: 10, maxOutput: 5, asset: 0 },
  payer: randomBytes(32),
  stream: false,
  ttlS: 60,
  deadlineMs: 60_000,
  nowMs: NOW_MS,
  allowedKems: ['X25519'],
});
const request = parseClearRequest(sealed.bytes);
const respHash = randomBytes(32);

const GOOD: Receipt = {
  requestId: request.prelude.msgId,
  statementHash: key.statementHash,
  kid: key.kid,
  payerRef: request.prelude.payerRef,
  workerId: key.workerId,
  modelDigest: key.model.digest,
  priceDigest: key.priceDigest,
  policyDigest: randomBytes(32),
  usage,
  amount,
  outcome: 'ok',
  simulated: true,
  startMs: NOW_MS,
  endMs: NOW_MS,
  reqHash: request.th,
  respHash,
  workerSeq: 1n,
  prevReceiptHash: key.statementHash,
};

function signed(receipt: Receipt, secretKey: Bytes<32> = signing.secretKey): Uint8Array {
  const body = encodeReceipt(receipt);
  return concat(signEd25519(secretKey, body), body);
}

const { prelude, th } = request;
const expected: ReceiptExpectation = { key, prelude, th, respHash, policyDigest: 'sealed' };
const check = (payload: Uint8Array) => verifyReceipt(payload, expected);

const failsAs = (reason: string) => (error: unknown) =>
  hasCode(error, 'sx.receipt') && error.facts['check'] === reason;

test('the receipt of this exchange passes', () => {
  assert.equal(check(signed(GOOD)).receipt.amount, amount);
});

test('a signature by another key is refused', () => {
  assert.throws(() => check(signed(GOOD, generateEd25519().secretKey)), failsAs('signature'));
});

test('a receipt that verified before is known by all its bytes and by the key', () => {
  const payload = signed(GOOD);
  check(payload);
  const changed = payload.slice();
  changed[payload.length - 1] = (changed[payload.length - 1] ?? 0) ^ 1;
  assert.throws(() => check(changed), failsAs('signature'));
  const other = { ...expected, key: testWorker('X25519').key };
  assert.throws(() => verifyReceipt(payload, other), failsAs('signature'));
  assert.equal(check(payload).receipt.amount, amount);
});

const more = { ...usage, completion: 4 };
const CHANGES: readonly (readonly [reason: string, change: Partial<Receipt>])[] = [
  ['requestId', { requestId: randomBytes(16) }],
  ['statementHash', { statementHash: randomBytes(32) }],
  ['kid', { kid: randomBytes(16) }],
  ['payerRef', { payerRef: randomBytes(32) }],
  ['workerId', { workerId: randomBytes(32) }],
  ['modelDigest', { modelDigest: randomBytes(32) }],
  ['priceDigest', { priceDigest: randomBytes(32) }],
  ['reqHash', { reqHash: randomBytes(32) }],
  ['respHash', { respHash: randomBytes(32) }],
  ['simulated', { simulated: false }],
  ['amount', { amount: amount + 1n }],
  ['amount', { usage: more }],
];
for (const [reason, change] of CHANGES) {
  test(`another ${Object.keys(change)[0]} is refused as ${reason}`, () => {
    assert.throws(() => check(signed({ ...GOOD, ...change })), failsAs(reason));
  });
}

for (const [reason, over] of [
  ['maxPrompt', { ...usage, prompt: 11 }],
  ['maxOutput', { ...usage, completion: 6 }],
] as const) {
  test(`more ${reason} tokens than the bound are refused even at their right price`, () => {
    const dear = { ...GOOD, usage: over, amount: amountOf(TEST_PRICES, over) };
    assert.throws(() => check(signed(dear)), failsAs(reason));
  });
}

test('an amount above the ceiling of the sender is refused', () => {
  const tight = { ...expected, prelude: { ...prelude, maxAmount: amount - 1n } };
  assert.throws(() => verifyReceipt(signed(GOOD), tight), failsAs('maxAmount'));
});

test('after a cut the response hash is the only thing not compared', () => {
  const cut: ReceiptExpectation = { ...expected, respHash: 'cut' };
  verifyReceipt(signed({ ...GOOD, respHash: randomBytes(32) }), cut);
  assert.throws(
    () => verifyReceipt(signed({ ...GOOD, reqHash: randomBytes(32) }), cut),
    failsAs('reqHash'),
  );
});
