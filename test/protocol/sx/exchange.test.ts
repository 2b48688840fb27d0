/** The sealed exchange from end to end, where everybody behaves. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fromUtf8, toHex, utf8 } from '../../../core/bytes.ts';
import { assertRouted } from '../../../protocol/sx/open.ts';
import { payerRefOf } from '../../../protocol/sx/prelude.ts';
import { KEEPALIVE_FRAME } from '../../../protocol/sx/respond.ts';
import { FREE_PRICES, TEST_POLICY_DIGEST } from '../../support/attested-key.ts';
import {
  answer,
  CANARY,
  exchangeOf,
  KEMS,
  NOW_MS,
  PAYER,
  pick,
  read,
  refuses,
  sameBytes,
  seal,
  stageWorkers,
  StageWorker,
  textOf,
} from './stage.ts';

for (const kem of KEMS) {
  test(`${kem}: each of eight recipients opens the same bytes to the same request`, () => {
    const workers = stageWorkers(kem, 8);
    const sealed = seal(workers);
    for (const worker of workers) {
      const opened = worker.open(sealed.bytes);
      assert.ok(opened.inner.kind === 'request');
      assert.equal(fromUtf8(opened.inner.request.body), CANARY);
      assert.deepEqual(opened.inner.request.headers, [['content-type', 'application/json']]);
      sameBytes(opened.inner.policyDigest, TEST_POLICY_DIGEST);
      sameBytes(opened.kid, worker.attested.key.kid);
      sameBytes(opened.prelude.payerRef, payerRefOf(PAYER, sealed.msgId));
      assertRouted(opened.prelude, 'demo/model');
      refuses(() => assertRouted(opened.prelude, 'other/model'), 'sx.model');
    }
  });

  test(`${kem}: the answer comes back whole, with a receipt that fits, in pieces of any size`, () => {
    const workers = stageWorkers(kem, 3);
    const { sealed, response } = exchangeOf(workers, 1);
    for (const pieceBytes of [1, 2, 3, 7, 127, 128, 1000, response.length]) {
      const events = read(sealed.exchange, response, pieceBytes);
      assert.deepEqual(
        events.map((event) => event.kind),
        ['head', 'data', 'data', 'data', 'trailer', 'receipt', 'final'],
      );
      assert.equal(textOf(events), 'data: one\n\ndata: two\n\ndata: [DONE]\n\n');
      const [head] = events;
      assert.ok(head?.kind === 'head');
      assert.equal(head.status, 200);
      sameBytes(head.key.kid, pick(workers, 1).attested.key.kid);
      const receipt = events.find((event) => event.kind === 'receipt');
      assert.ok(receipt?.kind === 'receipt');
      // 1000 + ceil((7·2 + 5·8) × 10⁶ / 10⁶)
      assert.equal(receipt.receipt.receipt.amount, 1054n);
      assert.equal(receipt.receipt.receipt.workerSeq, 1n);
    }
  });

  test(`${kem}: a prompt of several megabytes passes in many frames`, () => {
    const worker = new StageWorker(kem);
    const body = new Uint8Array(3_000_000).fill(0x61);
    const sealed = seal([worker], {
      request: { path: '/v1/chat/completions', headers: [], body },
    });
    const { inner } = worker.open(sealed.bytes);
    assert.ok(inner.kind === 'request');
    assert.equal(Buffer.compare(inner.request.body, body), 0);
  });
}

test('the second receipt of a worker points at the first', () => {
  const worker = new StageWorker('X25519');
  const receipts = [0, 1].map(() => {
    const { sealed, response } = exchangeOf([worker]);
    const event = read(sealed.exchange, response).find(({ kind }) => kind === 'receipt');
    assert.ok(event?.kind === 'receipt');
    return event.receipt;
  });
  const [first, second] = receipts;
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(second.receipt.workerSeq, 2n);
  sameBytes(second.receipt.prevReceiptHash, first.hash);
  sameBytes(first.receipt.prevReceiptHash, worker.attested.key.statementHash);
});

test('a ceiling of zero goes to a free worker, and the receipt says zero', () => {
  const worker = new StageWorker('X25519', { prices: FREE_PRICES });
  const bounds = { maxAmount: 0n, maxPrompt: 100, maxOutput: 50, asset: 0 } as const;
  const sealed = seal([worker], { bounds });
  const response = concat(...answer(worker, worker.open(sealed.bytes)));
  const event = read(sealed.exchange, response).find(({ kind }) => kind === 'receipt');
  assert.ok(event?.kind === 'receipt');
  assert.equal(event.receipt.receipt.amount, 0n);
});

test('a sealed error carries its real status and costs nothing', () => {
  const worker = new StageWorker('X25519');
  const sealed = seal([worker]);
  const { responder } = worker.open(sealed.bytes);
  const response = concat(
    responder.head(400, [['content-type', 'application/json']]),
    responder.data(utf8('{"error":{}}')),
    responder.receipt({
      signer: worker.signer,
      policyDigest: TEST_POLICY_DIGEST,
      usage: { prompt: 0, cached: 0, completion: 0, reasoning: 0 },
      outcome: 'error',
      startMs: NOW_MS,
      endMs: NOW_MS,
    }).bytes,
    responder.final(),
  );
  const events = read(sealed.exchange, response);
  const [head] = events;
  assert.ok(head?.kind === 'head');
  assert.equal(head.status, 400);
  const receipt = events.find((event) => event.kind === 'receipt');
  assert.ok(receipt?.kind === 'receipt');
  assert.equal(receipt.receipt.receipt.amount, 0n);
});

test('keep-alives before the first sealed frame are skipped, padding leaves no trace', () => {
  const worker = new StageWorker('X25519');
  const sealed = seal([worker]);
  const opened = worker.open(sealed.bytes);
  const head = opened.responder.head(200, []);
  const rest = [
    opened.responder.pad(),
    opened.responder.data(utf8('x')),
    opened.responder.pad(900),
  ];
  const receipt = opened.responder.receipt({
    signer: worker.signer,
    policyDigest: TEST_POLICY_DIGEST,
    usage: { prompt: 1, cached: 0, completion: 1, reasoning: 0 },
    outcome: 'ok',
    startMs: NOW_MS,
    endMs: NOW_MS,
  });
  const response = concat(
    head.subarray(0, 48),
    KEEPALIVE_FRAME,
    KEEPALIVE_FRAME,
    head.subarray(48),
    ...rest,
    receipt.bytes,
    opened.responder.final(),
  );
  const kinds = read(sealed.exchange, response).map((event) => event.kind);
  assert.deepEqual(kinds, ['head', 'data', 'receipt', 'final']);
});

test('without receipt-required an answer may come without a receipt', () => {
  const worker = new StageWorker('X25519');
  const sealed = seal([worker], { flags: { receiptRequired: false } });
  const { responder } = worker.open(sealed.bytes);
  const response = concat(responder.head(200, []), responder.data(utf8('x')), responder.final());
  assert.equal(textOf(read(sealed.exchange, response)), 'x');
});

test('each sealing has its own message id and payer reference', () => {
  const [worker] = stageWorkers('X-Wing', 1);
  assert.ok(worker !== undefined);
  const one = seal([worker]);
  const two = seal([worker]);
  assert.notEqual(toHex(one.msgId), toHex(two.msgId));
  assert.notEqual(toHex(one.exchange.prelude.payerRef), toHex(two.exchange.prelude.payerRef));
});

test('a request retains nothing of the buffer it came in', () => {
  const worker = new StageWorker('X25519');
  const sealed = seal([worker]);
  const bytes = sealed.bytes.slice();
  const { prelude } = worker.open(bytes);
  bytes.fill(0);
  sameBytes(prelude.msgId, sealed.msgId);
});
