/** What a worker refuses, in clear before opening and sealed after it, and how a failing engine ends an exchange. @module */

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { z } from 'zod';
import { utf8 } from '../../core/bytes.ts';
import type { SealInput } from '../../protocol/sx/seal.ts';
import type { Engine } from '../../enclave-worker/engine.ts';
import { routeTag } from '../../protocol/sx/prelude.ts';
import { manualClock, systemClock } from '../../core/clock.ts';
import { engineError } from '../../enclave-worker/errors.ts';
import { FREE_PRICES, TEST_PRICES, testWorker } from '../support/attested-key.ts';
import {
  exchangeFixture,
  jsonOf,
  MODEL_ID,
  msgIdHex,
  openWire,
  scriptedEngine,
  sseData,
  untilAborted,
  type Answer,
  type Script,
} from './exchange-fixture.ts';

const QUESTION = { model: MODEL_ID, messages: [{ role: 'user', content: 'Hello!' }] };

const hello: Script = async function* hello() {
  yield { kind: 'started' };
  yield { kind: 'text', text: 'Hello' };
  yield { kind: 'text', text: ' you' };
  yield { kind: 'end', reason: 'stop' };
};

function refusal(answer: Answer): readonly [number, string | null, string | null] {
  const body = z
    .strictObject({
      error: z.strictObject({
        message: z.string(),
        type: z.string(),
        code: z.string().nullable(),
        param: z.string().nullable(),
      }),
    })
    .parse(jsonOf(answer.text));
  assert.equal(answer.headers.get('content-type'), 'application/json');
  assert.equal(answer.receipt?.receipt.outcome, 'error');
  assert.ok(answer.final);
  return [answer.status, body.error.code, body.error.param];
}

function bare(answer: Answer, status: number): void {
  assert.equal(answer.outerStatus, status);
  assert.equal(answer.outerBytes, 0);
}

test('what the engine cannot honour is refused sealed, with its name', async () => {
  const engine = scriptedEngine(hello);
  const { ask } = exchangeFixture({ engine });
  assert.deepEqual(refusal(await ask({ ...QUESTION, temprature: 1 })), [
    400,
    'unknown_parameter',
    'temprature',
  ]);
  assert.deepEqual(refusal(await ask({ ...QUESTION, web_search_options: {} })), [
    400,
    'unsupported_parameter',
    'web_search_options',
  ]);
  // More choices than output tokens were signed for.
  assert.deepEqual(refusal(await ask({ ...QUESTION, n: 101 })), [400, 'invalid_value', 'n']);
  assert.deepEqual(refusal(await ask({ ...QUESTION, temperature: 9 })), [
    400,
    'invalid_value',
    'temperature',
  ]);
  assert.equal(engine.jobs.length, 0);
});

/** A client that asks for what no card promises. */
function unpromised(path: string, body: object): Partial<SealInput> {
  return { request: { path, headers: [], body: utf8(JSON.stringify(body)) } };
}

test('an endpoint that the card does not promise is refused sealed', async () => {
  const engine = scriptedEngine(hello);
  const { ask } = exchangeFixture({ engine });
  const text = unpromised('/v1/completions', { model: MODEL_ID, prompt: 'x' });
  assert.deepEqual(refusal(await ask({}, text)), [404, 'endpoint_not_served', 'model']);
  const input = unpromised('/v1/embeddings', { model: MODEL_ID, input: 'x' });
  assert.deepEqual(refusal(await ask({}, input)), [404, 'endpoint_not_served', 'model']);
  assert.equal(engine.jobs.length, 0);
});

/** An engine whose embeddings are what the test says. */
function embedding(embed: Engine['embed']): Engine {
  return { ...scriptedEngine(hello), capabilities: ['embeddings'], embed };
}

const INPUT = unpromised('/v1/embeddings', { model: MODEL_ID, input: 'x' });
const SPENT = { prompt: 4, cached: 0, completion: 0, reasoning: 0 };

for (const [what, code, want] of [
  ['too long', 'engine.prompt_too_long', [400, 'context_length_exceeded', 'input']],
  ['failing', 'engine.crashed', [502, 'worker_failed', null]],
] as const) {
  test(`embeddings that are ${what} are a sealed error`, async () => {
    const engine = embedding(() => ({
      vectors: Promise.reject(engineError(code)),
      usage: () => ({ ...SPENT, prompt: 0 }),
    }));
    assert.deepEqual(refusal(await exchangeFixture({ engine }).ask({}, INPUT)), want);
  });
}

for (const [encoding, numbers] of [
  ['float', 2_600_000],
  ['base64', 10_100_000],
] as const) {
  test(`embeddings that no client would read as ${encoding} cost nothing`, async () => {
    const vectors = Promise.resolve([new Float32Array(numbers)]);
    const engine = embedding(() => ({ vectors, usage: () => SPENT }));
    const body = { model: MODEL_ID, input: 'x', encoding_format: encoding };
    const bounds = { maxAmount: 1n << 40n, maxPrompt: 150, maxOutput: 1, asset: 0 } as const;
    const asked = { ...unpromised('/v1/embeddings', body), bounds };
    const answer = await exchangeFixture({ engine, prices: TEST_PRICES }).ask({}, asked);
    assert.deepEqual(refusal(answer), [413, 'request_too_large', 'input']);
    assert.equal(answer.receipt?.receipt.amount, 0n);
  });
}

test('a client that leaves ends its embeddings, which are charged as far as they came', async () => {
  const wire = openWire();
  const engine = embedding((_job, signal) => ({
    vectors: untilAborted(signal).then(() => Promise.reject(engineError('engine.aborted'))),
    usage: () => SPENT,
  }));
  const { seal, exchange } = exchangeFixture({ engine });
  const running = exchange(seal({}, INPUT), wire);
  wire.gone.abort();
  const { receipt } = await running;
  assert.equal(receipt?.receipt.outcome, 'cancelled');
  assert.equal(receipt?.receipt.usage.prompt, 4);
});

test('every choice of several gets its end, also one that the gateway stopped before it began', async () => {
  const engine = scriptedEngine(async function* two(_job, signal) {
    yield { kind: 'started' };
    yield { kind: 'text', choice: 0, text: 'one' };
    yield { kind: 'choice-end', choice: 0, reason: 'stop' };
    fixture.deps.running.stop(msgIdHex(sealed));
    await untilAborted(signal);
    yield { kind: 'end', reason: 'aborted' };
  });
  const fixture = exchangeFixture({ engine });
  const sealed = fixture.seal({ ...QUESTION, n: 3, stream: true });
  const answer = await fixture.exchange(sealed);
  const ends = sseData(answer.text).flatMap((data) => {
    if (data === '[DONE]') return [];
    const { choices } = CHOICES.parse(jsonOf(data));
    return choices.flatMap(({ index, finish_reason: reason }) =>
      reason === null ? [] : [[index, reason]],
    );
  });
  assert.deepEqual(ends, [
    [0, 'stop'],
    [1, 'length'],
    [2, 'length'],
  ]);
  assert.equal(answer.receipt?.receipt.outcome, 'ok');
});

const CHOICES = z.looseObject({
  choices: z.array(z.looseObject({ index: z.int(), finish_reason: z.string().nullable() })),
});

test('an error that nobody has foreseen ends one request, sealed and without its text', async () => {
  const fixture = exchangeFixture({ engine: scriptedEngine(hello) });
  const { model } = fixture.deps.card;
  const id = model.id;
  Object.defineProperty(model, 'id', {
    get: () => {
      throw new RangeError('quotes the prompt');
    },
  });
  const answer = await fixture.ask(QUESTION);
  assert.deepEqual(refusal(answer), [500, 'internal_error', null]);
  assert.ok(!answer.text.includes('quotes'));
  Object.defineProperty(model, 'id', { value: id });
  assert.equal((await fixture.ask(QUESTION)).status, 200);
});

test('a body that is not JSON is refused sealed', async () => {
  const { ask } = exchangeFixture({ engine: scriptedEngine(hello) });
  const request = {
    path: '/v1/chat/completions',
    headers: [],
    body: new TextEncoder().encode('{"model":'),
  };
  assert.deepEqual(refusal(await ask({}, { request })), [400, 'invalid_json', null]);
});

test('a model that the route tag does not name is refused sealed', async () => {
  const engine = scriptedEngine(hello);
  const { ask } = exchangeFixture({ engine });
  const answer = refusal(await ask({ ...QUESTION, model: 'another' }));
  assert.deepEqual(answer, [404, 'model_not_found', 'model']);
  assert.equal(engine.jobs.length, 0);
  assert.notDeepEqual(routeTag('another'), routeTag(MODEL_ID));
});

test('a full worker says busy before anything is consumed', async () => {
  const { deps, seal, exchange } = exchangeFixture({ engine: scriptedEngine(hello) });
  deps.load.enter();
  deps.load.enter();
  const sealed = seal(QUESTION);
  bare(await exchange(sealed), 503);
  deps.load.leave();
  assert.equal((await exchange(sealed)).status, 200, 'the same bytes are served later');
});

test('a worker whose engine is down says busy', async () => {
  const engine = { ...scriptedEngine(hello), healthy: () => false };
  const { ask } = exchangeFixture({ engine });
  bare(await ask(QUESTION), 503);
});

test('a draining worker takes nothing new and waits for what runs', async () => {
  const { deps, ask } = exchangeFixture({ engine: scriptedEngine(hello) });
  deps.load.enter();
  let drained = false;
  const drain = async (): Promise<void> => {
    await deps.load.drain();
    drained = true;
  };
  const draining = drain();
  bare(await ask(QUESTION), 503);
  await turn();
  assert.equal(drained, false);
  deps.load.leave();
  await draining;
});

test('a ceiling below the price is refused before anything is consumed', async () => {
  const { ask } = exchangeFixture({ engine: scriptedEngine(hello), prices: TEST_PRICES });
  const bounds = { maxPrompt: 10, maxOutput: 10, asset: 0 } as const;
  // base 1000 + 10 × 2 + 10 × 8
  bare(await ask(QUESTION, { bounds: { ...bounds, maxAmount: 1099n } }), 402);
  assert.equal((await ask(QUESTION, { bounds: { ...bounds, maxAmount: 1100n } })).status, 200);
});

test('another asset than the one of the card is refused', async () => {
  const { ask } = exchangeFixture({
    engine: scriptedEngine(hello),
    attestedPrices: { ...FREE_PRICES, asset: 'USDT' },
  });
  const bounds = { maxAmount: 1000n, maxPrompt: 10, maxOutput: 10, asset: 1 } as const;
  bare(await ask(QUESTION, { bounds }), 402);
});

test('the same sealed bytes are opened once', async () => {
  const { seal, exchange } = exchangeFixture({ engine: scriptedEngine(hello) });
  const sealed = seal(QUESTION);
  assert.equal((await exchange(sealed)).status, 200);
  bare(await exchange(sealed), 409);
});

test('a request sealed to somebody else is not opened', async () => {
  const { ask, worker } = exchangeFixture({ engine: scriptedEngine(hello) });
  const { model, prices } = worker.key;
  const stranger = testWorker('X-Wing', { model, prices });
  bare(await ask(QUESTION, { keys: [stranger.key] }), 421);
});

test('a key opens until its end and is erased then', async () => {
  const startMs = systemClock();
  const clock = manualClock(startMs);
  const { deps, ask } = exchangeFixture({
    engine: scriptedEngine(hello),
    clock: clock.now,
    keyExpiresAtMs: startMs + 1000,
  });
  assert.equal((await ask(QUESTION)).status, 200);
  clock.advance(1000);
  bare(await ask(QUESTION), 421);
  assert.equal(deps.epochs.size, 1);
  deps.epochs.purge(clock.now());
  assert.equal(deps.epochs.size, 0);
});

test('altered bytes are refused bare', async () => {
  const engine = scriptedEngine(hello);
  const { seal, exchange } = exchangeFixture({ engine });
  const sealed = seal(QUESTION);
  const bytes = sealed.bytes.slice();
  const last = bytes.length - 1;
  bytes[last] = (bytes[last] ?? 0) ^ 1;
  bare(await exchange({ ...sealed, bytes }), 400);
  bare(await exchange({ ...sealed, bytes: new Uint8Array(10) }), 400);
  assert.equal(engine.jobs.length, 0);
});

const failsAtOnce: Script = async function* failsAtOnce() {
  yield { kind: 'started' };
  throw engineError('engine.crashed');
};

const failsMidway: Script = async function* failsMidway() {
  yield { kind: 'started' };
  yield { kind: 'text', text: 'Hello' };
  throw engineError('engine.crashed');
};

test('an engine that fails before the first text is a sealed 502', async () => {
  const { ask } = exchangeFixture({ engine: scriptedEngine(failsAtOnce) });
  assert.deepEqual(refusal(await ask({ ...QUESTION, stream: true })), [502, 'worker_failed', null]);
  assert.deepEqual(refusal(await ask(QUESTION)), [502, 'worker_failed', null]);
});

test('an engine that fails in the middle ends the stream with an error event and no end mark', async () => {
  const { ask } = exchangeFixture({ engine: scriptedEngine(failsMidway) });
  const answer = await ask({ ...QUESTION, stream: true });
  assert.equal(answer.status, 200);
  const events = sseData(answer.text);
  assert.match(events.at(-1) ?? '', /^\{"error":\{.*"code":"worker_failed"\}\}$/);
  assert.ok(!answer.text.includes('[DONE]'));
  assert.ok(!/"finish_reason":"/.test(answer.text));
  assert.equal(answer.receipt?.receipt.outcome, 'error');
  assert.equal(answer.receipt?.receipt.usage.completion, 1);
  assert.ok(answer.final);
});

test('an engine that fails in the middle of a whole answer is a sealed 502 without a part of it, and costs nothing', async () => {
  const { ask } = exchangeFixture({ engine: scriptedEngine(failsMidway) });
  const answer = await ask(QUESTION);
  assert.deepEqual(refusal(answer), [502, 'worker_failed', null]);
  assert.ok(!answer.text.includes('Hello'));
  assert.deepEqual(answer.receipt?.receipt.usage, {
    prompt: 0,
    cached: 0,
    completion: 0,
    reasoning: 0,
  });
});

test('an engine without a free place is a sealed 503', async () => {
  const engine = scriptedEngine(hello);
  const full = {
    ...engine,
    generate: () => {
      throw engineError('engine.busy');
    },
  };
  const { ask } = exchangeFixture({ engine: full });
  assert.deepEqual(refusal(await ask(QUESTION)), [503, 'no_attested_worker', null]);
});

const silent: Script = async function* silent(_job, signal) {
  yield { kind: 'started' };
  await untilAborted(signal);
  yield { kind: 'end', reason: 'aborted' };
};

test('the deadline of the request ends it: a sealed 504, or an error event', async () => {
  const { ask } = exchangeFixture({ engine: scriptedEngine(silent) });
  assert.deepEqual(refusal(await ask(QUESTION, { deadlineMs: 20 })), [504, 'timeout', null]);
  const midway: Script = async function* midway(_job, signal) {
    yield { kind: 'started' };
    yield { kind: 'text', text: 'Hello' };
    await untilAborted(signal);
    yield { kind: 'end', reason: 'aborted' };
  };
  const own = exchangeFixture({ engine: scriptedEngine(midway) });
  const answer = await own.ask({ ...QUESTION, stream: true }, { deadlineMs: 20 });
  assert.equal(answer.status, 200);
  assert.match(sseData(answer.text).at(-1) ?? '', /"code":"timeout"/);
  assert.ok(!answer.text.includes('[DONE]'));
});

test('a reader that is slow holds the engine', async () => {
  let pulled = 0;
  const chatty: Script = async function* chatty() {
    yield { kind: 'started' };
    for (let i = 0; i < 5; i++) {
      pulled++;
      yield { kind: 'text', text: 'x'.repeat(20_000) };
    }
    yield { kind: 'end', reason: 'length' };
  };
  const { seal, exchange } = exchangeFixture({ engine: scriptedEngine(chatty) });
  const wire = openWire();
  wire.room = false;
  const gate = Promise.withResolvers<void>();
  const waiting = Promise.withResolvers<void>();
  wire.onDrain = () => {
    waiting.resolve();
    return gate.promise;
  };
  const answering = exchange(seal({ ...QUESTION, stream: true }), wire);
  await waiting.promise;
  await turn();
  assert.ok(pulled < 5, `pulled ${pulled}`);
  wire.room = true;
  gate.resolve();
  assert.equal((await answering).receipt?.receipt.usage.completion, 5);
});

test('a silent engine is covered by comments, and the status does not wait for ever', async () => {
  mock.timers.enable({ apis: ['setInterval'] });
  try {
    const { promise, resolve } = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const slow: Script = async function* slow() {
      yield { kind: 'started' };
      started.resolve();
      await promise;
      yield { kind: 'text', text: 'late' };
      yield { kind: 'end', reason: 'stop' };
    };
    const { seal, exchange } = exchangeFixture({ engine: scriptedEngine(slow) });
    const wire = openWire();
    const answering = exchange(seal({ ...QUESTION, stream: true }), wire);
    await started.promise;
    assert.equal(wire.written.length, 0, 'the status waits for the first text');
    mock.timers.tick(10_000);
    assert.ok(wire.written.length > 0, 'but not longer than ten seconds');
    mock.timers.tick(10_000);
    resolve();
    const { text } = await answering;
    assert.equal(text.split(': ping\n\n').length - 1, 2);
    assert.match(text, /late/);
    assert.match(text, /\[DONE\]\n\n$/);
  } finally {
    mock.timers.reset();
  }
});
