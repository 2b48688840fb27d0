/**
 * Somebody between worker and payer invents progress, repeats it, takes it from another answer or moves it, to be paid for
 * tokens that were not made. Spec: P§10.7.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, signEd25519 } from '#primitives';
import { concat } from '../../core/bytes.ts';
import { encodeMeter, METER_BYTES, verifyMeter, type Meter } from '../../protocol/meter.ts';
import { ResponseReader } from '../../protocol/sx/read-response.ts';
import { clearFrame, FRAME } from '../../protocol/sx/frames.ts';
import {
  exchangeOf,
  flip,
  framesOf,
  refuses,
  seal,
  StageWorker,
  textOf,
} from '../protocol/sx/stage.ts';

const worker = new StageWorker('X25519');
const { key } = worker.attested;
const own = seal([worker]).exchange.prelude;
const used = (completion: number) => ({ prompt: 7, cached: 0, completion, reasoning: 0 });
const first = worker.signer.signMeter(own.msgId, { usage: used(4), seq: 1, frames: 4 });
const second = worker.signer.signMeter(own.msgId, { usage: used(8), seq: 2, frames: 8 });

function verify(payload: Uint8Array, previous?: Meter): Meter {
  return verifyMeter(payload, { key, prelude: own, previous });
}

test('no byte of it can be changed', () => {
  verify(first);
  for (let at = 0; at < first.length; at++) refuses(() => verify(flip(first, at)), 'sx.meter');
});

test('another key, another worker, another answer', () => {
  const { secretKey } = generateEd25519();
  const body = encodeMeter({ ...verify(first), completion: 50 });
  refuses(() => verify(concat(signEd25519(secretKey, body), body)), 'sx.meter', {
    check: 'signature',
  });
  const stranger = new StageWorker('X25519').signer.signMeter(own.msgId, {
    usage: used(4),
    seq: 1,
    frames: 4,
  });
  refuses(() => verify(stranger), 'sx.meter', { check: 'signature' });
  const other = seal([worker]).exchange.prelude;
  const theirs = worker.signer.signMeter(other.msgId, { usage: used(4), seq: 1, frames: 4 });
  refuses(() => verify(theirs), 'sx.meter', { check: 'msgId' });
});

test('repeated, skipped or put in another order', () => {
  const one = verify(first);
  const two = verify(second, one);
  refuses(() => verify(first, one), 'sx.meter', { check: 'seq' });
  refuses(() => verify(second), 'sx.meter', { check: 'seq' });
  refuses(() => verify(first, two), 'sx.meter', { check: 'seq' });
});

test('a receipt is no METER, and a METER is no receipt', () => {
  const { response, sealed } = exchangeOf([worker]);
  const receipt = framesOf(response.subarray(48)).find((frame) => frame[0] === FRAME.receipt);
  assert.ok(receipt !== undefined);
  refuses(() => verify(receipt.subarray(4)), 'sx.meter', { check: 'format.size' });
  const frames = framesOf(response.subarray(48)).map((frame) =>
    frame[0] === FRAME.receipt ? clearFrame(FRAME.receipt, first) : frame,
  );
  const reader = new ResponseReader(sealed.exchange);
  refuses(() => reader.push(concat(response.subarray(0, 48), ...frames)), 'sx.response');
});

test('one that was slipped in changes neither the answer nor the bill', () => {
  const { response, sealed } = exchangeOf([worker]);
  const [head, ...rest] = framesOf(response.subarray(48));
  assert.ok(head !== undefined);
  const forged = clearFrame(FRAME.meter, new Uint8Array(METER_BYTES).fill(0xff));
  const reader = new ResponseReader(sealed.exchange);
  const events = reader.push(concat(response.subarray(0, 48), head, forged, ...rest));
  reader.end();
  assert.equal(textOf(events), 'data: one\n\ndata: two\n\ndata: [DONE]\n\n');
  const meter = events.find((event) => event.kind === 'meter-unverified');
  assert.ok(meter?.kind === 'meter-unverified');
  refuses(
    () => verifyMeter(meter.bytes, { key, prelude: sealed.exchange.prelude, previous: undefined }),
    'sx.meter',
  );
  assert.ok(events.some((event) => event.kind === 'receipt'));
});
