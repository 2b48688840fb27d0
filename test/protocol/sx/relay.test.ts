/** What a gateway does without any key: routing fields, failover edge, held receipts. Spec: P§8.4, P§10.5. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, toHex, utf8 } from '../../../core/bytes.ts';
import { verifyReceipt } from '../../../protocol/sx/check-receipt.ts';
import { gatewayErrorFrame, parseClearRequest, ResponseRelay } from '../../../protocol/sx/clear.ts';
import { clearFrame, FRAME } from '../../../protocol/sx/frames.ts';
import { payerRefOf, routeTag } from '../../../protocol/sx/prelude.ts';
import { KEEPALIVE_FRAME } from '../../../protocol/sx/respond.ts';
import {
  answer,
  exchangeOf,
  flip,
  framesOf,
  KEMS,
  layout,
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
  test(`${kem}: the gateway reads what it routes and bills by, and the transcript`, () => {
    const workers = stageWorkers(kem, 3);
    const { bytes, exchange, msgId } = seal(workers);
    const clear = parseClearRequest(bytes);
    assert.deepEqual(
      clear.kids.map(toHex),
      workers.map((worker) => toHex(worker.attested.key.kid)),
    );
    assert.equal(clear.prelude.kem, kem);
    assert.equal(clear.prelude.maxAmount, 1_000_000n);
    sameBytes(clear.th, exchange.th);
    sameBytes(clear.prelude.routeTag, routeTag('demo/model'));
    sameBytes(clear.prelude.payerRef, payerRefOf(PAYER, msgId));
  });
}

test('the gateway refuses the same shapes as the worker', () => {
  const { bytes } = seal([new StageWorker('X25519')]);
  const { frames } = layout('X25519', 1);
  refuses(() => parseClearRequest(bytes.subarray(0, -1)), 'sx.refused', { reason: 'frame' });
  refuses(() => parseClearRequest(bytes.subarray(0, frames)), 'sx.refused', { reason: 'order' });
  refuses(() => parseClearRequest(flip(bytes, 0)), 'sx.refused', { reason: 'prelude' });
  refuses(() => parseClearRequest(new Uint8Array()), 'sx.refused', { reason: 'size' });
});

/** Runs an answer through a relay in pieces; returns what the client gets. */
function relayed(worker: StageWorker, response: Uint8Array, pieceBytes: number) {
  const relay = new ResponseRelay(worker.attested.key.kid, { constantRate: false });
  const out: Uint8Array[] = [];
  let firstSealed = 0;
  let receipt: Uint8Array | undefined;
  for (let at = 0; at < response.length; at += pieceBytes) {
    const step = relay.push(response.subarray(at, at + pieceBytes));
    if (step.firstSealed) firstSealed++;
    if (step.receipt !== undefined) receipt = step.receipt;
    out.push(...step.forward);
  }
  relay.end();
  return { relay, out, firstSealed, receipt };
}

test('relayed in pieces of any size, the client gets the same bytes', () => {
  const worker = new StageWorker('X25519');
  const { sealed, response } = exchangeOf([worker]);
  for (const pieceBytes of [1, 5, 200, response.length]) {
    const { relay, out, firstSealed, receipt } = relayed(worker, response, pieceBytes);
    assert.equal(firstSealed, 1);
    assert.ok(receipt !== undefined);
    verifyReceipt(receipt, {
      key: worker.attested.key,
      prelude: sealed.exchange.prelude,
      th: sealed.exchange.th,
      respHash: relay.respHash(),
      policyDigest: 'sealed',
    });
    sameBytes(concat(...out, ...relay.release()), response);
  }
});

test('RECEIPT and FINAL wait for settlement; the ledger line goes between them', () => {
  const worker = new StageWorker('X25519');
  const { sealed, response } = exchangeOf([worker]);
  const { relay, out } = relayed(worker, response, response.length);
  refuses(() => read(sealed.exchange, concat(...out)), 'sx.truncated');
  const events = read(sealed.exchange, concat(...out, ...relay.release(utf8('VGS1'))));
  assert.deepEqual(
    events.slice(-3).map((event) => event.kind),
    ['receipt', 'ledger-unverified', 'final'],
  );
  refuses(() => relay.release(), 'internal.invariant');
});

test('nothing is forwarded before the first sealed frame: another worker can still be asked', () => {
  const worker = new StageWorker('X25519');
  const { response } = exchangeOf([worker]);
  const relay = new ResponseRelay(worker.attested.key.kid, { constantRate: false });
  const quiet = relay.push(concat(response.subarray(0, 48), KEEPALIVE_FRAME, KEEPALIVE_FRAME));
  assert.deepEqual(quiet.forward, []);
  assert.equal(quiet.firstSealed, false);
  refuses(() => relay.end(), 'sx.truncated');
});

test('after a failover the second answer reads as if it were the first', () => {
  const workers = stageWorkers('X25519', 2);
  const sealed = seal(workers);
  const [lost, serving] = [pick(workers, 0), pick(workers, 1)];
  const first = new ResponseRelay(lost.attested.key.kid, { constantRate: false });
  const half = answer(lost, lost.open(sealed.bytes))[0] ?? new Uint8Array();
  assert.deepEqual(first.push(half.subarray(0, half.length - 1)).forward, []);
  const whole = concat(...answer(serving, serving.open(sealed.bytes)));
  const { relay, out } = relayed(serving, whole, 64);
  const events = read(sealed.exchange, concat(...out, ...relay.release()));
  assert.equal(textOf(events), 'data: one\n\ndata: two\n\ndata: [DONE]\n\n');
});

test('a worker that breaks the grammar is cut off', () => {
  const worker = new StageWorker('X25519');
  const { response } = exchangeOf([worker]);
  const [head, one] = framesOf(response.subarray(48));
  assert.ok(head && one);
  const opening = response.subarray(0, 48);
  const pushed =
    (...frames: readonly Uint8Array[]) =>
    () =>
      new ResponseRelay(worker.attested.key.kid, { constantRate: false }).push(concat(...frames));
  pushed(opening, head, one)();
  refuses(pushed(flip(opening, 0), head), 'sx.response');
  refuses(pushed(opening, clearFrame(FRAME.ledger, utf8('x'))), 'sx.response');
  refuses(pushed(opening, head, gatewayErrorFrame('x')), 'sx.response');
  refuses(pushed(opening, head, clearFrame(FRAME.meter, utf8('x'))), 'sx.response');
  refuses(pushed(opening, flip(head, 0, 2)), 'sx.response');
  refuses(pushed(opening, head, Uint8Array.of(0, 0xff, 0xff, 0xff)), 'sx.response');
  refuses(pushed(response, one), 'sx.trailing');
});

test('an endless trickle of keep-alives or padding ends', () => {
  const worker = new StageWorker('X25519');
  const { response } = exchangeOf([worker]);
  const relay = new ResponseRelay(worker.attested.key.kid, { constantRate: false });
  relay.push(response.subarray(0, 48));
  refuses(() => {
    for (let i = 0; i < 2000; i++) relay.push(KEEPALIVE_FRAME);
  }, 'sx.limit');
  const padded = new ResponseRelay(worker.attested.key.kid, { constantRate: false });
  const [head] = framesOf(response.subarray(48));
  padded.push(concat(response.subarray(0, 48), head ?? new Uint8Array()));
  const pad = clearFrame(FRAME.pad, new Uint8Array(144));
  refuses(() => {
    for (let i = 0; i < 70_000; i++) padded.push(pad);
  }, 'sx.limit');
});

test('a gateway error code is a code, never a message', () => {
  for (const code of ['', 'Hello', 'a b', 'x'.repeat(65)]) {
    refuses(() => gatewayErrorFrame(code), 'internal.invariant');
  }
});
