/** Responses and Messages inside the seal: translated in the enclave, judged, bounded and billed as chat. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../core/bytes.ts';
import { engineError } from '../../enclave-worker/errors.ts';
import type { SealInput } from '../../protocol/sx/seal.ts';
import {
  exchangeFixture,
  jsonOf,
  MODEL_ID,
  msgIdHex,
  scriptedEngine,
  sseData,
  type Answer,
  type Fixture,
  type Script,
} from './exchange-fixture.ts';

const RESPONSES = { path: '/v1/responses', body: { model: MODEL_ID, input: 'Hello!' } };
const MESSAGES = {
  path: '/v1/messages',
  body: { model: MODEL_ID, max_tokens: 20, messages: [{ role: 'user', content: 'Hello!' }] },
};

const hello: Script = async function* hello() {
  yield { kind: 'started' };
  yield { kind: 'text', text: 'Hello' };
  yield { kind: 'text', text: ' you' };
  yield { kind: 'end', reason: 'stop' };
};

/** The request of a surface, with more in its body. */
function asked(
  { path, body }: typeof RESPONSES | typeof MESSAGES,
  more: object = {},
): Partial<SealInput> {
  const headers = [['content-type', 'application/json']] as const;
  return { request: { path, headers, body: utf8(JSON.stringify({ ...body, ...more })) } };
}

function ask(fixture: Fixture, request: Partial<SealInput>): Promise<Answer> {
  return fixture.ask({}, request);
}

/** Names of the events, which are the types of their data. */
function eventsOf({ text }: Answer): readonly string[] {
  return text.split('\n').flatMap((line) => (line.startsWith('event: ') ? [line.slice(7)] : []));
}

function lastOf({ text }: Answer): string {
  return text.split('\n').findLast((line) => line.startsWith('data: ')) ?? '';
}

test('a response is answered whole, named after the exchange, and billed as chat', async () => {
  const engine = scriptedEngine(hello);
  const fixture = exchangeFixture({ engine });
  const sealed = fixture.seal({}, asked(RESPONSES, { instructions: 'Be kind.' }));
  const answer = await fixture.exchange(sealed);
  assert.equal(answer.status, 200);
  const told = JSON.stringify(jsonOf(answer.text));
  assert.ok(told.startsWith(`{"id":"resp_${msgIdHex(sealed)}","object":"response"`));
  assert.match(told, /"text":"Hello you"/);
  assert.match(told, /"input_tokens":7,.*"output_tokens":2,/);
  assert.deepEqual(answer.receipt?.receipt.usage, {
    prompt: 7,
    cached: 0,
    completion: 2,
    reasoning: 0,
  });
  assert.ok(answer.final);
  assert.deepEqual(engine.jobs[0]?.prompts, [
    {
      kind: 'chat',
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'Hello!' },
      ],
    },
  ]);
});

test('a message is answered whole, and its bound on tokens is kept', async () => {
  const engine = scriptedEngine(hello);
  const fixture = exchangeFixture({ engine });
  const sealed = fixture.seal({}, asked(MESSAGES, { max_tokens: 3, stop_sequences: ['#'] }));
  const answer = await fixture.exchange(sealed);
  const told = JSON.stringify(jsonOf(answer.text));
  assert.ok(told.startsWith(`{"id":"msg_${msgIdHex(sealed)}","type":"message"`));
  assert.match(told, /"text":"Hello you"/);
  assert.match(told, /"stop_reason":"end_turn"/);
  assert.equal(engine.jobs[0]?.maxOutputTokens, 3);
  assert.deepEqual(engine.jobs[0]?.stop, ['#']);
});

test('a response streams its events and no [DONE]', async () => {
  const answer = await ask(
    exchangeFixture({ engine: scriptedEngine(hello) }),
    asked(RESPONSES, { stream: true }),
  );
  assert.match(answer.headers.get('content-type') ?? '', /^text\/event-stream/);
  assert.deepEqual(eventsOf(answer), [
    'response.created',
    'response.in_progress',
    'response.output_item.added',
    'response.content_part.added',
    'response.output_text.delta',
    'response.output_text.delta',
    'response.output_text.done',
    'response.content_part.done',
    'response.output_item.done',
    'response.completed',
  ]);
  assert.ok(!answer.text.includes('[DONE]'));
  assert.match(lastOf(answer), /"output_tokens":2,/);
});

test('a message streams its events and no [DONE]', async () => {
  const answer = await ask(
    exchangeFixture({ engine: scriptedEngine(hello) }),
    asked(MESSAGES, { stream: true }),
  );
  assert.deepEqual(eventsOf(answer), [
    'message_start',
    'content_block_start',
    'content_block_delta',
    'content_block_delta',
    'content_block_stop',
    'message_delta',
    'message_stop',
  ]);
  assert.ok(!answer.text.includes('[DONE]'));
  assert.deepEqual(sseData(answer.text).length, 0, 'each event has its name first');
});

const breaking: Script = async function* breaking() {
  yield { kind: 'started' };
  yield { kind: 'text', text: 'Hel' };
  throw engineError('engine.down');
};

for (const [surface, ends] of [
  [RESPONSES, ['response.failed']],
  [MESSAGES, ['error']],
] as const) {
  test(`an engine that fails in a stream of ${surface.path} ends it with a failure`, async () => {
    const answer = await ask(
      exchangeFixture({ engine: scriptedEngine(breaking) }),
      asked(surface, { stream: true }),
    );
    const events = eventsOf(answer);
    assert.deepEqual(events.slice(-1), ends);
    for (const good of ['response.completed', 'response.incomplete', 'message_stop']) {
      assert.ok(!events.includes(good));
    }
    assert.equal(answer.receipt?.receipt.outcome, 'error');
  });
}

/** [body, status, what the refusal says] */
const REFUSED: readonly (readonly [
  surface: typeof RESPONSES | typeof MESSAGES,
  more: object,
  status: number,
  says: RegExp,
])[] = [
  [RESPONSES, { store: true }, 400, /"param":"store","code":"unsupported_parameter"/],
  [RESPONSES, { messages: [] }, 400, /"param":"messages","code":"unknown_parameter"/],
  [RESPONSES, { model: 'other' }, 404, /"param":"model","code":"model_not_found"/],
  [MESSAGES, { thinking: { type: 'adaptive' } }, 400, /"message":"thinking: /],
  [MESSAGES, { max_tokens: null }, 400, /"message":"max_tokens: /],
  [MESSAGES, { model: 'other' }, 404, /"type":"not_found_error","message":"model: /],
  // What chat refuses comes back under the names of the surface.
  [MESSAGES, { top_k: 4 }, 400, /"message":"top_k: /],
  [MESSAGES, { stop_sequences: ['1', '2', '3', '4', '5'] }, 400, /"message":"stop_sequences: /],
];

for (const [surface, more, status, says] of REFUSED) {
  test(`refused at ${surface.path}, sealed and in its words: ${JSON.stringify(more)}`, async () => {
    const engine = scriptedEngine(hello);
    const answer = await ask(exchangeFixture({ engine }), asked(surface, more));
    assert.equal(answer.status, status);
    assert.match(answer.text, says);
    assert.match(answer.text, surface === MESSAGES ? /^\{"type":"error"/ : /^\{"error":\{/);
    assert.equal(engine.jobs.length, 0);
    assert.equal(answer.receipt?.receipt.outcome, 'error');
  });
}

test('a body that is no JSON is refused in the words of the path', async () => {
  const fixture = exchangeFixture({ engine: scriptedEngine(hello) });
  const request = { path: MESSAGES.path, headers: [], body: utf8('{"model":') };
  const answer = await ask(fixture, { request });
  assert.equal(answer.status, 400);
  assert.match(answer.text, /^\{"type":"error","error":\{"type":"invalid_request_error"/);
});

const tooLong: Script = async function* tooLong() {
  yield* [];
  throw engineError('engine.prompt_too_long');
};

test('a prompt that is too long is named as the surface names it', async () => {
  const fixture = exchangeFixture({ engine: scriptedEngine(tooLong) });
  const response = await ask(fixture, asked(RESPONSES));
  assert.match(response.text, /"param":"input","code":"context_length_exceeded"/);
  const message = await ask(fixture, asked(MESSAGES));
  assert.match(message.text, /"type":"invalid_request_error","message":"messages: /);
});

test('nothing of a prompt or an answer is in the log', async () => {
  const fixture = exchangeFixture({ engine: scriptedEngine(hello) });
  for (const surface of [RESPONSES, MESSAGES]) {
    await ask(fixture, asked(surface));
    await ask(fixture, asked(surface, { secret_canary: 'canary' }));
  }
  assert.ok(fixture.logLines.length >= 4);
  for (const line of fixture.logLines) assert.doesNotMatch(line, /Hello|canary/);
});
