/** A gateway that stopped between a receipt and its settlement gets it again. Spec: P§15.1. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes, signEd25519 } from '#primitives';
import { concat, equalPublic, fixed } from '../../../core/bytes.ts';
import {
  settleMissedReceipts,
  verifyMissedReceipt,
} from '../../../gateway/workers/missed-receipts.ts';
import type { LiveWorker } from '../../../gateway/workers/registry.ts';
import {
  encodeReceipt,
  parseReceiptUnverified,
  type Receipt,
  type SignedReceipt,
} from '../../../protocol/receipt.ts';
import { linkedWorker } from '../../enclave-worker/paid-worker.ts';
import { refuses } from '../../protocol/sx/stage.ts';
import { testWorker } from '../../support/attested-key.ts';

const { signal } = new AbortController();
const [SETTLED, UNKNOWN] = ['settled', 'unknown'] as const;

test('all that was missed comes over the link, page by page, and the books decide', async () => {
  const linked = await linkedWorker();
  for (let count = 0; count < 300; count++) await linked.ask(1);
  const got: bigint[] = [];
  const settle = async ({ receipt }: SignedReceipt) => {
    got.push(receipt.workerSeq);
    return await Promise.resolve(receipt.workerSeq % 2n === 0n ? SETTLED : UNKNOWN);
  };
  const done = await settleMissedReceipts({ worker: linked.live, afterSeq: 10n, settle, signal });
  assert.deepEqual(done, { settled: 145, unknown: 145, lastSeq: 300n });
  assert.deepEqual([got[0], got.at(-1), got.length], [11n, 300n, 290]);
  const again = await settleMissedReceipts({ worker: linked.live, afterSeq: 300n, settle, signal });
  assert.deepEqual(again, { settled: 0, unknown: 0, lastSeq: 300n });
  await linked.close();
});

test('only what is wanted is verified and settled, and what is false beside it fails nobody', async () => {
  const linked = await linkedWorker();
  for (let count = 0; count < 3; count++) await linked.ask(1);
  const [first, second, third] = linked.fixture.deps.receipts.unacknowledged();
  assert.ok(first !== undefined && second !== undefined && third !== undefined);
  const spoiled = new Uint8Array([...first.payload, ...second.payload, ...third.payload]);
  spoiled.set([(spoiled[0] ?? 0) ^ 1], 0);
  const pages = [spoiled, new Uint8Array(0)];
  const link = {
    ...linked.link,
    fetchReceiptsAfter: () => Promise.resolve(pages.shift() ?? spoiled),
  };
  const got: bigint[] = [];
  const done = await settleMissedReceipts({
    worker: { ...linked.live, link },
    afterSeq: 0n,
    isWanted: (requestId) => equalPublic(requestId, third.receipt.requestId),
    settle: ({ receipt }) => {
      got.push(receipt.workerSeq);
      return Promise.resolve('settled');
    },
    signal,
  });
  assert.deepEqual([done.settled, done.unknown, got], [1, 2, [3n]]);
  await linked.close();
});

test('a settlement that fails ends the round, and what was settled stays', async () => {
  const linked = await linkedWorker();
  for (let count = 0; count < 3; count++) await linked.ask(1);
  let settled = 0;
  const settle = async () => {
    if (settled === 2) throw new Error('disk');
    settled++;
    return await Promise.resolve('settled' as const);
  };
  await assert.rejects(
    settleMissedReceipts({ worker: linked.live, afterSeq: 0n, settle, signal }),
    /disk/,
  );
  assert.equal(settled, 2);
  await linked.close();
});

const signing = generateEd25519();
const { key } = testWorker('X25519', { signing, simulated: true });
const HONEST: Receipt = {
  requestId: randomBytes(16),
  statementHash: key.statementHash,
  kid: key.kid,
  payerRef: randomBytes(32),
  workerId: key.workerId,
  modelDigest: key.model.digest,
  priceDigest: key.priceDigest,
  policyDigest: randomBytes(32),
  usage: { prompt: 0, cached: 0, completion: 0, reasoning: 0 },
  amount: key.prices.base,
  outcome: 'ok',
  simulated: true,
  startMs: 1,
  endMs: 2,
  reqHash: randomBytes(32),
  respHash: randomBytes(32),
  workerSeq: 1n,
  prevReceiptHash: key.statementHash,
};

function signed(changes: Partial<Receipt> = {}, secretKey = signing.secretKey): Uint8Array {
  const body = encodeReceipt({ ...HONEST, ...changes });
  return concat(signEd25519(secretKey, body), body);
}

test('each check fails alone', () => {
  const other = fixed(new Uint8Array(32).fill(1), 32);
  const first = parseReceiptUnverified(signed());
  const cases: readonly (readonly [string, Uint8Array, (SignedReceipt | undefined)?, bigint?])[] = [
    ['signature', signed({}, generateEd25519().secretKey)],
    ['statementHash', signed({ statementHash: other })],
    ['kid', signed({ kid: randomBytes(16) })],
    ['workerId', signed({ workerId: other })],
    ['modelDigest', signed({ modelDigest: other })],
    ['priceDigest', signed({ priceDigest: other })],
    ['simulated', signed({ simulated: false })],
    ['amount', signed({ amount: key.prices.base + 1n })],
    ['time', signed({ startMs: 3 })],
    ['workerSeq', signed(), undefined, 1n],
    ['prevReceiptHash', signed({ prevReceiptHash: other })],
    ['prevReceiptHash', signed({ workerSeq: 2n, prevReceiptHash: other }), first],
  ];
  for (const [check, payload, previous, after = 0n] of cases) {
    refuses(() => verifyMissedReceipt(payload, { key, after, previous }), 'sx.receipt', { check });
  }
  verifyMissedReceipt(signed(), { key, after: 0n, previous: undefined });
  const next = signed({ workerSeq: 2n, prevReceiptHash: first.hash });
  verifyMissedReceipt(next, { key, after: 1n, previous: first });
  // A hole: nothing to compare with.
  verifyMissedReceipt(signed({ workerSeq: 3n, prevReceiptHash: other }), {
    key,
    after: 1n,
    previous: first,
  });
});

test('a receipt for the EHBP key of the same statement is as good, and of another key it is not', () => {
  const ehbp = { kid: randomBytes(16), publicKey: randomBytes(32) };
  const { statementHash, workerId } = key;
  const both = testWorker('X25519', {
    signing,
    simulated: true,
    statementHash,
    workerId,
    ehbp,
  }).key;
  const expected = { key: both, after: 0n, previous: undefined };
  verifyMissedReceipt(signed({ kid: ehbp.kid }), expected);
  verifyMissedReceipt(signed({ kid: both.kid }), expected);
  const foreign = signed({ kid: randomBytes(16) });
  refuses(() => verifyMissedReceipt(foreign, expected), 'sx.receipt', { check: 'kid' });
});

test('a worker that answers the same page for ever, or half a receipt, is left', async () => {
  const linked = await linkedWorker();
  await linked.ask(1);
  const [receipt] = linked.fixture.deps.receipts.unacknowledged();
  assert.ok(receipt !== undefined);
  const answering = (bytes: Uint8Array): LiveWorker => ({
    ...linked.live,
    link: { ...linked.link, fetchReceiptsAfter: async () => await Promise.resolve(bytes) },
  });
  const settle = async () => await Promise.resolve('settled' as const);
  const round = (worker: LiveWorker) =>
    settleMissedReceipts({ worker, afterSeq: 0n, settle, signal });
  await assert.rejects(round(answering(receipt.payload)), {
    code: 'sx.receipt',
    facts: { check: 'workerSeq' },
  });
  await assert.rejects(round(answering(receipt.payload.subarray(1))), { code: 'sx.receipt' });
  await linked.close();
});
