/** Receipts wait for their gateway: until acknowledged, a quarter of an hour in any case, and within a bound. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import {
  parseReceiptUnverified,
  ReceiptSigner,
  type SignedReceipt,
} from '../../protocol/receipt.ts';
import { ReceiptStore } from '../../enclave-worker/receipts.ts';
import { FREE_PRICES } from '../support/attested-key.ts';

const KEEP_MS = 15 * 60_000;

function chain(statementHash = randomBytes(32)) {
  const signer = new ReceiptSigner({
    secretKey: generateEd25519().secretKey,
    workerId: randomBytes(32),
    statementHash,
    modelDigest: randomBytes(32),
    priceDigest: randomBytes(32),
    prices: FREE_PRICES,
    simulated: true,
  });
  const next = (): SignedReceipt =>
    signer.sign({
      requestId: randomBytes(16),
      kid: randomBytes(16),
      payerRef: randomBytes(32),
      policyDigest: randomBytes(32),
      usage: { prompt: 1, cached: 0, completion: 1, reasoning: 0 },
      outcome: 'ok',
      startMs: 0,
      endMs: 0,
      reqHash: randomBytes(32),
      respHash: randomBytes(32),
    });
  return { name: toHex(statementHash), next };
}

function seqsOf(page: Uint8Array): readonly bigint[] {
  const seqs: bigint[] = [];
  for (let at = 0; at < page.length; at += 445) {
    seqs.push(parseReceiptUnverified(page.subarray(at, at + 445)).receipt.workerSeq);
  }
  return seqs;
}

function idOf({ receipt }: SignedReceipt): string {
  return toHex(receipt.requestId);
}

test('a receipt that nobody acknowledged stays, one that was goes when its time is over', () => {
  const store = new ReceiptStore();
  const { name, next } = chain();
  const [first, second] = [next(), next()];
  store.keep(first, 0);
  store.keep(second, 0);
  store.acknowledge(name, 1n);
  assert.ok(store.get(idOf(first), KEEP_MS - 1) !== undefined);
  assert.equal(store.get(idOf(first), KEEP_MS), undefined);
  assert.ok(store.get(idOf(second), KEEP_MS * 100) !== undefined);
  store.keep(next(), KEEP_MS);
  assert.deepEqual(seqsOf(store.after(name, 0n)), [2n, 3n]);
});

test('what comes behind one of a statement, in order, in pages, and of that statement alone', () => {
  const store = new ReceiptStore();
  const [own, other] = [chain(), chain()];
  for (let count = 0; count < 300; count++) store.keep(own.next(), 0);
  store.keep(other.next(), 0);
  const page = seqsOf(store.after(own.name, 10n));
  assert.equal(page.length, 256);
  assert.deepEqual([page[0], page.at(-1)], [11n, 266n]);
  assert.deepEqual(seqsOf(store.after(own.name, 298n)), [299n, 300n]);
  assert.deepEqual(seqsOf(store.after(own.name, 300n)), []);
  assert.deepEqual(seqsOf(store.after(other.name, 0n)), [1n]);
  assert.deepEqual(seqsOf(store.after('00', 0n)), []);
});

test('what was acknowledged is there for whoever asks within its time: exchanges end in any order', () => {
  const store = new ReceiptStore();
  const { name, next } = chain();
  store.keep(next(), 0);
  store.keep(next(), 0);
  store.acknowledge(name, 2n);
  assert.deepEqual(seqsOf(store.after(name, 0n)), [1n, 2n]);
  assert.equal(store.unacknowledged().length, 0);
});

test('an acknowledgement never goes back', () => {
  const store = new ReceiptStore();
  const { name, next } = chain();
  store.keep(next(), 0);
  store.keep(next(), 0);
  store.acknowledge(name, 2n);
  store.acknowledge(name, 1n);
  assert.deepEqual([store.standing(name)?.acknowledged, store.standing(name)?.issued], [2n, 2n]);
  store.acknowledge('00', 1n);
  assert.equal(store.standing('00'), undefined);
});

test('under a flood the oldest goes first, here and there', () => {
  const store = new ReceiptStore(10);
  const { name, next } = chain();
  const all = Array.from({ length: 15 }, next);
  for (const receipt of all) store.keep(receipt, 0);
  assert.deepEqual(seqsOf(store.after(name, 0n)), [6n, 7n, 8n, 9n, 10n, 11n, 12n, 13n, 14n, 15n]);
  const found = all.filter((receipt) => store.get(idOf(receipt), 0) !== undefined);
  assert.equal(found.length, 10);
  assert.equal(store.standing(name)?.issued, 15n);
});

test('the oldest statement is forgotten with its receipts', () => {
  const store = new ReceiptStore();
  const chains = Array.from({ length: 65 }, () => chain());
  const firsts = chains.map(({ next }) => {
    const receipt = next();
    store.keep(receipt, 0);
    return receipt;
  });
  const [oldest, second] = firsts;
  assert.ok(oldest !== undefined && second !== undefined);
  assert.equal(store.get(idOf(oldest), 0), undefined);
  assert.equal(store.standing(chains[0]?.name ?? ''), undefined);
  assert.ok(store.get(idOf(second), 0) !== undefined);
});
