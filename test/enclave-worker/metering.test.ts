/** Steps of an answer for a gateway that asked, and its early end. Spec: P§10.7, P§15.4. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { METER_BYTES, verifyMeter, type Meter } from '../../protocol/meter.ts';
import { FRAME } from '../../protocol/sx/frames.ts';
import { framesOf } from '../protocol/sx/stage.ts';
import {
  jsonOf,
  MODEL_ID,
  openWire,
  scriptedEngine,
  sseData,
  untilAborted,
  type Wire,
} from './exchange-fixture.ts';
import { hexOf, paidWorker, TOKEN, wordsEngine } from './paid-worker.ts';

function typesOf(wire: Wire): readonly number[] {
  const bytes = Buffer.concat(wire.written);
  return framesOf(new Uint8Array(bytes.subarray(48))).map((frame) => frame[0] ?? -1);
}

function metersOf(wire: Wire): readonly Uint8Array[] {
  const bytes = new Uint8Array(Buffer.concat(wire.written));
  return framesOf(bytes.subarray(48))
    .filter((frame) => frame[0] === FRAME.meter)
    .map((frame) => frame.subarray(4));
}

test('one METER after every so many tokens, each true, signed and one further', async () => {
  const worker = paidWorker({ engine: wordsEngine(10) });
  const { key } = worker.fixture.worker;
  const sealed = worker.seal(50);
  const wire = openWire({ meterEvery: 3 });
  const answer = await worker.fixture.exchange(sealed, wire);
  assert.equal(answer.final, true);
  let previous: Meter | undefined;
  const meters = metersOf(wire).map((payload) => {
    assert.equal(payload.length, METER_BYTES);
    previous = verifyMeter(payload, { key, prelude: sealed.exchange.prelude, previous });
    return [previous.completion, previous.amount];
  });
  assert.deepEqual(meters, [
    [3, 3n * TOKEN],
    [6, 6n * TOKEN],
    [9, 9n * TOKEN],
  ]);
  assert.equal(answer.receipt?.receipt.amount, 10n * TOKEN);
});

test('the text that a METER counts stands before it', async () => {
  const worker = paidWorker({ engine: wordsEngine(2) });
  const wire = openWire({ meterEvery: 1 });
  await worker.fixture.exchange(worker.seal(50), wire);
  const types = typesOf(wire);
  assert.equal(types.filter((type) => type === FRAME.meter).length, 2);
  for (const [at, type] of types.entries()) {
    if (type === FRAME.meter) assert.equal(types[at - 1], FRAME.data);
  }
});

test('nobody asked, nobody is told', async () => {
  const worker = paidWorker({ engine: wordsEngine(5) });
  const quiet = openWire();
  await worker.fixture.exchange(worker.seal(50), quiet);
  assert.equal(metersOf(quiet).length, 0);
});

/** Three words, then as many as there is time for. */
function endlessEngine(onWaiting: () => void) {
  return scriptedEngine(async function* play(_job, signal) {
    yield await Promise.resolve({ kind: 'started' } as const);
    for (let at = 0; at < 3; at++) yield { kind: 'text', text: 'w ' } as const;
    onWaiting();
    await untilAborted(signal);
    yield { kind: 'end', reason: 'aborted' } as const;
  });
}

for (const stream of [true, false]) {
  test(`stopped by the gateway it ends as at its bound, with its bill (${stream ? 'streamed' : 'in one piece'})`, async () => {
    const waiting = Promise.withResolvers<void>();
    const worker = paidWorker({ engine: endlessEngine(() => waiting.resolve()) });
    const { deps } = worker.fixture;
    const bounds = { maxAmount: 10n ** 15n, maxPrompt: 150, maxOutput: 50, asset: 0 } as const;
    const body = { model: MODEL_ID, messages: [{ role: 'user', content: 'Go.' }], stream };
    const sealed = worker.fixture.seal(body, { bounds });
    const running = worker.fixture.exchange(sealed);
    await waiting.promise;
    assert.equal(deps.running.stop('00'.repeat(16)), false);
    assert.equal(deps.running.stop(hexOf(sealed.msgId)), true);
    const answer = await running;
    const last = stream ? sseData(answer.text).at(-2) : answer.text;
    const { choices } = Object(jsonOf(last ?? ''));
    assert.equal(choices[0].finish_reason, 'length');
    if (stream) assert.equal(sseData(answer.text).at(-1), '[DONE]');
    assert.equal(answer.receipt?.receipt.outcome, 'ok');
    assert.equal(answer.receipt?.receipt.amount, 3n * TOKEN);
    assert.equal(deps.running.stop(hexOf(sealed.msgId)), false, 'over');
  });
}

test('a gateway that stops and then leaves has left', async () => {
  const waiting = Promise.withResolvers<void>();
  const worker = paidWorker({ engine: endlessEngine(() => waiting.resolve()) });
  const sealed = worker.seal(50);
  const wire = openWire();
  const running = worker.fixture.exchange(sealed, wire);
  await waiting.promise;
  wire.gone.abort();
  worker.fixture.deps.running.stop(hexOf(sealed.msgId));
  const answer = await running;
  assert.equal(answer.receipt?.receipt.outcome, 'cancelled');
});
