/** Answers, refusals and failures of a worker that was asked for a constant rate: all in the same frames. Spec: P§10.8. @module */

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { EngineEvent } from '../../enclave-worker/engine.ts';
import {
  exchangeFixture,
  jsonOf,
  MODEL_ID,
  openWire,
  scriptedEngine,
  sseData,
  untilAborted,
  type Fixture,
  type Wire,
} from './exchange-fixture.ts';

const OPENING_BYTES = 48;
const FRAME_BYTES = 4 + 4096 + 16;
/** The end of the content, RECEIPT and FINAL. */
const LAST_BYTES = FRAME_BYTES + 4 + 445 + 4 + 128 + 16;
const STEP = 20;
const RATE = { flags: { constantRate: true } };
const LIMITS = { maxPromptTokens: 150, maxOutputTokens: 100, maxConcurrent: 4 };
const QUESTION = { model: MODEL_ID, messages: [{ role: 'user', content: 'hi' }] };

function talking(): Fixture {
  return exchangeFixture({
    limits: LIMITS,
    engine: scriptedEngine(async function* script() {
      yield { kind: 'started' };
      yield { kind: 'text', text: 'Hello' };
      yield { kind: 'text', text: ' there' };
      yield { kind: 'end', reason: 'stop' };
    }),
  });
}

/** The whole as one writer would see it: frames of one size, and what ends every answer. */
function assertPaced(wire: Wire, steps = 1): void {
  const sizes = Buffer.concat(wire.written).length;
  assert.equal(sizes, OPENING_BYTES + (steps * STEP - 1) * FRAME_BYTES + LAST_BYTES);
  assert.equal(wire.written[0]?.length, OPENING_BYTES + FRAME_BYTES);
  for (const bytes of wire.written.slice(1, steps * STEP - 1)) {
    assert.equal(bytes.length, FRAME_BYTES);
    // All that stands in the clear: no frame tells whether it says anything.
    assert.equal(Buffer.from(bytes.subarray(0, 4)).toString('hex'), '00001010');
  }
}

test('a stream, a whole answer and a refusal are of one size', async () => {
  const { exchange, seal } = talking();
  const [streamWire, wholeWire, refusedWire] = [openWire(), openWire(), openWire()];
  const [stream, whole, refused] = await Promise.all([
    exchange(seal({ ...QUESTION, stream: true }, RATE), streamWire),
    exchange(seal(QUESTION, { ...RATE, stream: false }), wholeWire),
    exchange(seal({ ...QUESTION, temperature: 9 }, { ...RATE, stream: false }), refusedWire),
  ]);
  assert.equal(sseData(stream.text).at(-1), '[DONE]');
  assert.match(whole.text, /Hello there/);
  assert.equal(refused.status, 400);
  for (const wire of [streamWire, wholeWire, refusedWire]) assertPaced(wire);
  for (const { final, receipt } of [stream, whole, refused]) assert.ok(final && receipt);
  assert.equal(stream.receipt?.receipt.usage.completion, 2);
});

test('an app that leaves is charged for what was generated, and its answer ends at once', async () => {
  const fixture = exchangeFixture({
    engine: scriptedEngine(async function* script(_job, signal) {
      yield { kind: 'started' };
      yield { kind: 'text', text: 'one' };
      await untilAborted(signal);
      yield { kind: 'end', reason: 'aborted' };
    }),
  });
  const wire = openWire();
  const answering = fixture.exchange(fixture.seal({ ...QUESTION, stream: true }, RATE), wire);
  wire.gone.abort();
  const answer = await answering;
  assert.equal(answer.receipt?.receipt.outcome, 'cancelled');
  assertPaced(wire);
});

test('a gateway that wants it metered gets a refusal, and no METER', async () => {
  const { exchange, seal } = talking();
  const wire = openWire({ meterEvery: 1 });
  const answer = await exchange(seal({ ...QUESTION, stream: true }, RATE), wire);
  assert.equal(answer.status, 400);
  const body = jsonOf(answer.text);
  assert.ok(typeof body === 'object' && body !== null && 'error' in body);
  assert.match(JSON.stringify(body.error), /"param":"stream"/);
  assertPaced(wire);
});

test('an engine that is faster than the pace waits for it', async () => {
  let ahead = 0;
  const wire = openWire();
  const { exchange, seal } = exchangeFixture({
    limits: LIMITS,
    engine: scriptedEngine(async function* script() {
      yield { kind: 'started' };
      for (let at = 0; at < 30; at++) {
        yield { kind: 'text', text: 'x'.repeat(4000) };
        const sent = Buffer.concat(wire.written).length;
        ahead = Math.max(ahead, (at + 1) * 4000 - sent);
      }
      yield { kind: 'end', reason: 'stop' };
    }),
  });
  const answer = await exchange(seal({ ...QUESTION, stream: true }, RATE), wire);
  assert.ok(answer.final);
  // What may be held, and one piece.
  assert.ok(ahead > 0 && ahead < 16_384 + 2 * 4500, String(ahead));
  assertPaced(wire, 2);
});

test('a whole answer that would come after the deadline is not begun, and what it took is charged', async () => {
  const { exchange, seal } = exchangeFixture({
    limits: LIMITS,
    engine: scriptedEngine(async function* script() {
      yield { kind: 'started' };
      // At this pace, over two minutes.
      yield { kind: 'text', text: 'x'.repeat(10_000_000) };
      yield { kind: 'end', reason: 'stop' };
    }),
  });
  const wire = openWire();
  const sealed = seal(QUESTION, { ...RATE, stream: false, deadlineMs: 100_000 });
  const answer = await exchange(sealed, wire);
  assert.equal(answer.status, 504);
  assert.ok(answer.final);
  assert.equal(answer.receipt?.receipt.outcome, 'error');
  assert.equal(answer.receipt.receipt.usage.completion, 1);
  assertPaced(wire);
});

test('an answer that cannot be ended leaves no timer behind', { timeout: 60_000 }, async () => {
  const engine = scriptedEngine(() => assert.fail('not played'));
  const { deps, exchange, seal } = exchangeFixture({
    engine: {
      ...engine,
      generate: () => ({
        usage: () => assert.fail('nobody has counted'),
        events: (async function* play(): AsyncGenerator<EngineEvent> {
          yield { kind: 'started' };
          yield { kind: 'text', text: 'one' };
          throw new Error('broken');
        })(),
      }),
    },
  });
  const wire = openWire();
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    await assert.rejects(exchange(seal({ ...QUESTION, stream: true }, RATE), wire));
    const { length } = wire.written;
    assert.equal(length, 1);
    mock.timers.tick(1000);
    assert.equal(wire.written.length, length);
  } finally {
    mock.timers.reset();
  }
  assert.equal(deps.load.active, 0);
});
