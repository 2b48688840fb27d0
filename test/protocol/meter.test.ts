/** METER: signed steps of an answer that still runs, outside the seal and outside the bill. Spec: P§10.7. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, signEd25519 } from '#primitives';
import { concat, type Bytes } from '../../core/bytes.ts';
import {
  encodeMeter,
  METER_BYTES,
  parseMeterUnverified,
  verifyMeter,
  type Meter,
} from '../../protocol/meter.ts';
import { verifyReceipt } from '../../protocol/sx/check-receipt.ts';
import { ResponseRelay } from '../../protocol/sx/clear.ts';
import { clearFrame, FRAME } from '../../protocol/sx/frames.ts';
import { ResponseStream } from '../../protocol/sx/response-stream.ts';
import { KEEPALIVE_FRAME } from '../../protocol/sx/respond.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { amountOf } from '../../protocol/price.ts';
import {
  answer,
  flip,
  framesOf,
  NOW_MS,
  read,
  refuses,
  sameBytes,
  seal,
  StageWorker,
  USAGE,
} from './sx/stage.ts';

const worker = new StageWorker('X25519');
const sealed = seal([worker]);
const { key, signing } = worker.attested;
const { prelude } = sealed.exchange;
const USED = { prompt: 7, cached: 0, completion: 3, reasoning: 1 };
const HONEST: Meter = {
  msgId: prelude.msgId,
  statementHash: key.statementHash,
  completion: 4,
  amount: amountOf(TEST_PRICES, USED),
  seq: 1,
  frames: 2,
};

function signed(
  changes: Partial<Meter> = {},
  secretKey: Bytes<32> = signing.secretKey,
): Uint8Array {
  const body = encodeMeter({ ...HONEST, ...changes });
  return concat(signEd25519(secretKey, body), body);
}

const expected = { key, prelude, previous: undefined };

test('what the worker signs is what is read', () => {
  const payload = worker.signer.signMeter(prelude.msgId, { usage: USED, seq: 1, frames: 2 });
  assert.equal(payload.length, METER_BYTES);
  assert.deepEqual(verifyMeter(payload, expected), HONEST);
});

test('each check fails alone', () => {
  const previous: Meter = { ...HONEST, completion: 4, seq: 1 };
  const least = amountOf(TEST_PRICES, { prompt: 0, cached: 0, completion: 4, reasoning: 0 });
  const most = amountOf(TEST_PRICES, { prompt: 100, cached: 0, completion: 4, reasoning: 0 });
  const cases: readonly (readonly [string, Uint8Array, Meter | undefined])[] = [
    ['format.size', signed().subarray(1), undefined],
    ['format.magic', flip(signed(), 64), undefined],
    ['signature', signed({}, generateEd25519().secretKey), undefined],
    ['msgId', signed({ msgId: seal([worker]).exchange.prelude.msgId }), undefined],
    [
      'statementHash',
      signed({ statementHash: new StageWorker('X25519').attested.key.statementHash }),
      undefined,
    ],
    ['seq', signed({ seq: 2 }), undefined],
    ['seq', signed({ seq: 1 }), previous],
    ['completion', signed({ seq: 2, completion: 3 }), previous],
    ['maxOutput', signed({ completion: 51, amount: most * 20n }), undefined],
    ['rises', signed({ seq: 2, amount: HONEST.amount - 1n }), previous],
    ['maxAmount', signed({ amount: prelude.maxAmount + 1n }), undefined],
    ['cheapest', signed({ amount: least - 1n }), undefined],
    ['dearest', signed({ amount: most + 1n }), undefined],
  ];
  for (const [check, payload, before] of cases) {
    refuses(() => verifyMeter(payload, { ...expected, previous: before }), 'sx.meter', { check });
  }
  for (const frames of [1, 3]) {
    refuses(() => verifyMeter(signed(), { ...expected, frames }), 'sx.meter', { check: 'place' });
  }
  verifyMeter(signed(), { ...expected, frames: 2 });
  verifyMeter(signed({ amount: least }), expected);
  verifyMeter(signed({ amount: most }), expected);
  verifyMeter(signed({ seq: 2, completion: 5, amount: most }), { ...expected, previous });
});

/** opening ‖ frames, with METER behind the first text. */
function withMeter(): {
  readonly wire: Uint8Array;
  readonly frames: readonly Uint8Array[];
  readonly own: ReturnType<typeof seal>;
} {
  const own = seal([worker]);
  const opened = worker.open(own.bytes);
  const { responder, inner } = opened;
  assert.ok(inner.kind === 'request');
  const frames = [
    responder.head(200, [['content-type', 'text/event-stream']]),
    responder.data(Uint8Array.of(1)),
    responder.meter({ signer: worker.signer, usage: USED, seq: 1 }),
    responder.data(Uint8Array.of(2)),
    responder.receipt({
      signer: worker.signer,
      policyDigest: inner.policyDigest,
      usage: USAGE,
      outcome: 'ok',
      startMs: NOW_MS,
      endMs: NOW_MS + 40,
    }).bytes,
    responder.final(),
  ];
  return { wire: concat(...frames), frames, own };
}

test('it passes the gateway where it stood, is shown to the client unverified, and is not in respHash', () => {
  const { wire, own } = withMeter();
  for (const size of [1, 7, wire.length]) {
    const relay = new ResponseRelay(key.kid, { constantRate: false });
    const out: Uint8Array[] = [];
    const meters: Uint8Array[] = [];
    let receipt: Uint8Array | undefined;
    for (let at = 0; at < wire.length; at += size) {
      const step = relay.push(wire.subarray(at, at + size));
      out.push(...step.forward);
      meters.push(...step.meters);
      receipt ??= step.receipt;
    }
    assert.equal(meters.length, 1);
    verifyMeter(meters[0] ?? new Uint8Array(), {
      key,
      prelude: own.exchange.prelude,
      previous: undefined,
    });
    assert.ok(receipt !== undefined);
    verifyReceipt(receipt, {
      key,
      prelude: own.exchange.prelude,
      th: own.exchange.th,
      respHash: relay.respHash(),
      policyDigest: 'sealed',
    });
    sameBytes(concat(...out, ...relay.release()), wire);
  }
  const kinds = read(own.exchange, wire).map(({ kind }) => kind);
  assert.deepEqual(kinds, ['head', 'data', 'meter-unverified', 'data', 'receipt', 'final']);
});

test('an answer without its METER frames is the same answer', () => {
  const { frames, own } = withMeter();
  const kinds = read(own.exchange, concat(...frames.filter((_, at) => at !== 2))).map(
    ({ kind }) => kind,
  );
  assert.deepEqual(kinds, ['head', 'data', 'data', 'receipt', 'final']);
});

test('it stands behind the head and before everything that ends the content', () => {
  const own = seal([worker]);
  const frames = answer(worker, worker.open(own.bytes));
  const [first = new Uint8Array()] = frames;
  const meter = clearFrame(FRAME.meter, signed());
  const rest = framesOf(concat(first.subarray(48), ...frames.slice(1)));
  const at = (index: number): Uint8Array =>
    concat(first.subarray(0, 48), ...rest.slice(0, index), meter, ...rest.slice(index));
  const trailer = rest.findIndex((frame) => frame[0] === FRAME.trailer);
  assert.ok(trailer > 1);
  refuses(() => read(own.exchange, at(0)), 'sx.response');
  for (let index = 1; index <= trailer; index++) read(own.exchange, at(index));
  for (let index = trailer + 1; index < rest.length; index++) {
    refuses(() => read(own.exchange, at(index)), 'sx.response');
  }
  refuses(() => read(own.exchange, at(rest.length)), 'sx.trailing');
  const short = clearFrame(FRAME.meter, signed().subarray(1));
  refuses(() => read(own.exchange, concat(first, short)), 'sx.response');
  refuses(() => read(own.exchange, concat(first, meter, KEEPALIVE_FRAME)), 'sx.response');
});

test('an endless trickle of meters ends', () => {
  const { frames } = withMeter();
  const [head = new Uint8Array(), , meter = new Uint8Array()] = frames;
  const stream = new ResponseStream({
    from: 'worker',
    constantRate: false,
    ports: { onOpening: () => undefined, onFrame: () => undefined },
  });
  stream.push(head);
  for (let count = 0; count < 65_536; count++) stream.push(meter);
  refuses(() => stream.push(meter), 'sx.limit');
});

test('what parses is what was encoded', () => {
  const { meter } = parseMeterUnverified(
    signed({ seq: 2 ** 32 - 1, amount: 2n ** 128n - 1n, completion: 9 }),
  );
  assert.deepEqual(meter, { ...HONEST, seq: 2 ** 32 - 1, amount: 2n ** 128n - 1n, completion: 9 });
});
