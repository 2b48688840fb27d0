/** The events of a Messages stream: their order, and how each end of the chat stream ends them. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messagesFront } from '../../../protocol/anthropic/messages.ts';
import {
  argumentsChunk,
  callChunk,
  chunkOf,
  chunksOf,
  completionOf,
  decodedBy,
  eventsOf,
  ROLE_CHUNK,
  USAGE_CHUNK,
  type ChatScript,
} from '../../support/chat-front.ts';

const REQUEST = decodedBy(messagesFront, {
  model: 'm',
  max_tokens: 9,
  messages: [{ role: 'user', content: 'Hello' }],
  stop_sequences: ['###'],
  stream: true,
});
const CALL = { id: 'call_1', name: 'add', arguments: '{"a":1}' };
const END = chunkOf({}, 'stop');

test('text and calls are blocks one after the other, numbered from zero', () => {
  const calls = [CALL, { ...CALL, id: 'call_2' }];
  const events = eventsOf(REQUEST, chunksOf({ text: 'Hm.', calls }, 10));
  assert.deepEqual(
    events.map((event) => [event.type, event['index']]),
    [
      ['message_start', undefined],
      ['content_block_start', 0],
      ['content_block_delta', 0],
      ['content_block_stop', 0],
      ['content_block_start', 1],
      ['content_block_delta', 1],
      ['content_block_stop', 1],
      ['content_block_start', 2],
      ['content_block_delta', 2],
      ['content_block_stop', 2],
      ['message_delta', undefined],
      ['message_stop', undefined],
    ],
  );
  assert.deepEqual(events[4]?.['content_block'], {
    type: 'tool_use',
    id: 'call_1',
    name: 'add',
    input: {},
    caller: { type: 'direct' },
  });
  assert.deepEqual(events[5]?.['delta'], { type: 'input_json_delta', partial_json: '{"a":1}' });
  assert.deepEqual(events[10]?.['usage'], {
    input_tokens: 7,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 4,
    output_tokens: 7,
    output_tokens_details: { thinking_tokens: 2 },
    server_tool_use: null,
  });
});

const STOPS: readonly (readonly [script: ChatScript, reason: string, sequence: string | null])[] = [
  [{ text: 'x' }, 'end_turn', null],
  [{ text: 'x', finish: 'length' }, 'max_tokens', null],
  [{ text: 'x', finish: 'content_filter' }, 'refusal', null],
  [{ calls: [CALL] }, 'tool_use', null],
  [{ calls: [CALL], finish: 'stop' }, 'tool_use', null],
  [{ text: 'x', stop: '###' }, 'stop_sequence', '###'],
  [{ text: 'x', stop: 'not asked for' }, 'end_turn', null],
];

for (const [script, reason, sequence] of STOPS) {
  test(`stop_reason ${reason} for ${JSON.stringify(script)}, streamed and whole`, () => {
    const streamed = eventsOf(REQUEST, chunksOf(script)).find(
      ({ type }) => type === 'message_delta',
    );
    assert.deepEqual(streamed?.['delta'], {
      stop_reason: reason,
      stop_sequence: sequence,
      stop_details: null,
      container: null,
    });
    const whole = REQUEST.whole(completionOf(script));
    assert.ok('stop_reason' in whole && 'stop_sequence' in whole);
    assert.deepEqual([whole.stop_reason, whole.stop_sequence], [reason, sequence]);
  });
}

test('the whole object says what came and what it used', () => {
  assert.deepEqual(REQUEST.whole(completionOf({ text: 'Hm.', calls: [CALL] })), {
    id: 'msg_00ff',
    type: 'message',
    role: 'assistant',
    model: 'm',
    content: [
      { type: 'text', text: 'Hm.', citations: null },
      {
        type: 'tool_use',
        id: 'call_1',
        name: 'add',
        input: { a: 1 },
        caller: { type: 'direct' },
      },
    ],
    stop_reason: 'tool_use',
    stop_sequence: null,
    stop_details: null,
    container: null,
    diagnostics: null,
    usage: {
      input_tokens: 7,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 4,
      output_tokens: 7,
      output_tokens_details: { thinking_tokens: 2 },
      server_tool_use: null,
      cache_creation: null,
      inference_geo: null,
      service_tier: 'standard',
      speed: null,
    },
  });
});

function contentOf(script: ChatScript): unknown {
  const whole = REQUEST.whole(completionOf(script));
  return 'content' in whole ? whole.content : undefined;
}

test('a call without arguments has the empty input', () => {
  const content = contentOf({ calls: [{ ...CALL, arguments: '' }] });
  assert.match(JSON.stringify(content), /"input":\{\}/);
});

test('a call of which a part is missing is not handed out', () => {
  for (const cut of ['', '{"a"', '{"a":1', '  ']) {
    const calls = [CALL, { ...CALL, id: 'call_2', arguments: cut }];
    const content = contentOf({ text: 'x', calls, finish: 'length' });
    assert.match(JSON.stringify(content), /call_1/);
    assert.doesNotMatch(JSON.stringify(content), /call_2/);
  }
});

test('a call that the bound did not cut is handed out', () => {
  const content = contentOf({ calls: [CALL], finish: 'length' });
  assert.match(JSON.stringify(content), /call_1/);
});

const DEEP = `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`;

for (const wrong of ['{"a"', '[]', '7', 'null', 'add', DEEP]) {
  test(`arguments that are no object of JSON fail the answer: ${wrong.slice(0, 9)}`, () => {
    assert.throws(() => contentOf({ calls: [{ ...CALL, arguments: wrong }] }), {
      code: 'chat.answer',
    });
  });
}

/** Ends of a chat stream that are no end. */
const CUT: readonly (readonly [what: string, chunks: readonly unknown[]])[] = [
  ['before anything came', []],
  ['before anything was said', [ROLE_CHUNK]],
  ['in the text', [ROLE_CHUNK, chunkOf({ content: 'Hel' })]],
  ['in a call', [ROLE_CHUNK, callChunk(0, CALL), argumentsChunk(0, '{"a')]],
  ['before the usage', [ROLE_CHUNK, chunkOf({ content: 'Hello' }), END]],
  ['with usage but no finish reason', [ROLE_CHUNK, chunkOf({ content: 'Hello' }), USAGE_CHUNK]],
  ['by a chunk that is none', [ROLE_CHUNK, { choices: 7 }, ...chunksOf({ text: 'x' })]],
];

for (const [what, chunks] of CUT) {
  test(`a stream cut ${what} ends with an error event and no message_stop`, () => {
    const events = eventsOf(REQUEST, chunks);
    assert.deepEqual(events.at(-1), {
      type: 'error',
      error: { type: 'api_error', message: 'The answer broke off before it was complete.' },
    });
    assert.ok(!events.some(({ type }) => type === 'message_stop' || type === 'message_delta'));
  });
}

const FAILURES: readonly (readonly [type: string, code: string | null, ours: string])[] = [
  ['server_error', 'timeout', 'timeout_error'],
  ['server_error', 'no_attested_worker', 'overloaded_error'],
  ['server_error', 'worker_failed', 'api_error'],
  ['server_error', null, 'api_error'],
  ['rate_limit_error', 'rate_limit_exceeded', 'rate_limit_error'],
  ['invalid_request_error', 'context_length_exceeded', 'invalid_request_error'],
];

for (const [type, code, ours] of FAILURES) {
  test(`the error object ${type}/${code} of a chat stream is ${ours}, and nothing follows it`, () => {
    const error = { message: 'm', type, param: null, code };
    const events = eventsOf(REQUEST, [ROLE_CHUNK, { error }, ...chunksOf({ text: 'more' })]);
    assert.deepEqual(events.at(-1), { type: 'error', error: { type: ours, message: 'm' } });
    assert.equal(events.length, 2);
  });
}
