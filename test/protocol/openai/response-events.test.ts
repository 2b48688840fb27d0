/** The events of a Responses stream: their order, and how each end of the chat stream ends them. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FrontStream } from '../../../protocol/openai/chat-front.ts';
import { responsesFront } from '../../../protocol/openai/responses.ts';
import type { TypedEvent } from '../../../protocol/typed-event.ts';
import {
  argumentsChunk,
  callChunk,
  CHAT_HEAD,
  chunkOf,
  chunksOf,
  completionOf,
  decodedBy,
  eventsOf,
  ROLE_CHUNK,
  USAGE_CHUNK,
  type ChatScript,
} from '../../support/chat-front.ts';

const REQUEST = decodedBy(responsesFront, {
  model: 'm',
  input: 'Hello',
  instructions: 'Be brief.',
  metadata: { k: 'v' },
  stream: true,
});
const CALL = { id: 'call_1', name: 'add', arguments: '{"a":1}' };
const END = chunkOf({}, 'stop');

function typesOf(events: readonly TypedEvent[]): readonly string[] {
  return events.map(({ type }) => type.replace('response.', ''));
}

function lastOf(chunks: readonly unknown[]): TypedEvent | undefined {
  return eventsOf(REQUEST, chunks).at(-1);
}

function responseIn(event: TypedEvent | undefined): unknown {
  return event?.['response'];
}

test('text has the events of the reference, in its order and numbered from zero', () => {
  const events = eventsOf(REQUEST, chunksOf({ text: 'Hello!' }));
  assert.deepEqual(typesOf(events), [
    'created',
    'in_progress',
    'output_item.added',
    'content_part.added',
    'output_text.delta',
    'output_text.delta',
    'output_text.done',
    'content_part.done',
    'output_item.done',
    'completed',
  ]);
  assert.deepEqual(
    events.map((event) => event['sequence_number']),
    events.map((_, at) => at),
  );
});

test('calls are items of their own behind the text, one closed before the next', () => {
  const calls = [CALL, { ...CALL, id: 'call_2', arguments: '{}' }];
  const events = eventsOf(REQUEST, chunksOf({ text: 'Hm.', calls }, 10));
  assert.deepEqual(typesOf(events), [
    'created',
    'in_progress',
    'output_item.added',
    'content_part.added',
    'output_text.delta',
    'output_text.done',
    'content_part.done',
    'output_item.done',
    'output_item.added',
    'function_call_arguments.delta',
    'function_call_arguments.done',
    'output_item.done',
    'output_item.added',
    'function_call_arguments.delta',
    'function_call_arguments.done',
    'output_item.done',
    'completed',
  ]);
  const items = events.filter(({ type }) => type.startsWith('response.output_item'));
  assert.deepEqual(
    items.map((event) => event['output_index']),
    [0, 0, 1, 1, 2, 2],
  );
  const added = items[2]?.['item'];
  assert.deepEqual(added, {
    type: 'function_call',
    id: 'fc_00ff_1',
    call_id: 'call_1',
    name: 'add',
    arguments: '',
    status: 'in_progress',
  });
});

test('text behind a call is an item of its own', () => {
  const chunks = [ROLE_CHUNK, callChunk(0, CALL), chunkOf({ content: 'So.' }), END, USAGE_CHUNK];
  const output = eventsOf(REQUEST, chunks)
    .filter(({ type }) => type === 'response.output_item.done')
    .map((event) => event['item']);
  assert.equal(output.length, 2);
  assert.ok(JSON.stringify(output[1]).includes('"text":"So."'));
});

const SCRIPTS: readonly (readonly [what: string, script: ChatScript])[] = [
  ['text', { text: 'Hello!' }],
  ['nothing', {}],
  ['calls', { text: 'Hm.', calls: [CALL, { ...CALL, id: 'call_2' }] }],
  ['a cut text', { text: 'Hel', finish: 'length' }],
  ['a cut call', { text: 'x', calls: [{ ...CALL, arguments: '{"a"' }], finish: 'length' }],
  ['a filtered text', { text: 'Hel', finish: 'content_filter' }],
];

for (const [what, script] of SCRIPTS) {
  test(`a stream ends with the object that a whole answer is: ${what}`, () => {
    const last = lastOf(chunksOf(script));
    assert.deepEqual(responseIn(last), REQUEST.whole(completionOf(script)));
  });
}

test('the object says what was asked, what came and what it used', () => {
  const response = responseIn(lastOf(chunksOf({ text: 'Hello!' })));
  assert.deepEqual(response, {
    id: 'resp_00ff',
    object: 'response',
    created_at: CHAT_HEAD.created,
    status: 'completed',
    error: null,
    incomplete_details: null,
    usage: {
      input_tokens: 11,
      input_tokens_details: { cached_tokens: 4, cache_write_tokens: 0 },
      output_tokens: 7,
      output_tokens_details: { reasoning_tokens: 2 },
      total_tokens: 18,
    },
    model: 'm',
    output: [
      {
        type: 'message',
        id: 'msg_00ff_0',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'Hello!', annotations: [], logprobs: [] }],
      },
    ],
    instructions: 'Be brief.',
    metadata: { k: 'v' },
    max_output_tokens: null,
    temperature: 1,
    top_p: 1,
    tools: [],
    tool_choice: 'auto',
    parallel_tool_calls: true,
    text: { format: { type: 'text' } },
    reasoning: { effort: null, summary: null },
    background: false,
    previous_response_id: null,
    service_tier: 'default',
    store: false,
    top_logprobs: 0,
    truncation: 'disabled',
    user: null,
  });
});

test('an answer that the bound on output ended is incomplete, and so is its last item', () => {
  const last = lastOf(chunksOf({ text: 'Hel', finish: 'length' }));
  assert.equal(last?.type, 'response.incomplete');
  const told = JSON.stringify(last);
  assert.match(told, /"incomplete_details":\{"reason":"max_output_tokens"\}/);
  assert.match(told, /"id":"msg_00ff_0","status":"incomplete"/);
});

test('what the bound ended stands incomplete, what was closed before it complete', () => {
  const script: ChatScript = { text: 'x', calls: [CALL], finish: 'length' };
  const told = JSON.stringify(REQUEST.whole(completionOf(script)));
  assert.match(told, /"id":"msg_00ff_0","status":"completed"/);
  assert.match(told, /"arguments":"\{\\"a\\":1\}","status":"incomplete"/);
});

/** Ends of a chat stream that are no end. */
const CUT: readonly (readonly [what: string, chunks: readonly unknown[]])[] = [
  ['before anything was said', [ROLE_CHUNK]],
  ['in the text', [ROLE_CHUNK, chunkOf({ content: 'Hel' })]],
  ['in a call', [ROLE_CHUNK, callChunk(0, CALL), argumentsChunk(0, '{"a')]],
  ['before the usage', [ROLE_CHUNK, chunkOf({ content: 'Hello' }), END]],
  ['with usage but no finish reason', [ROLE_CHUNK, chunkOf({ content: 'Hello' }), USAGE_CHUNK]],
];

for (const [what, chunks] of CUT) {
  test(`a stream cut ${what} ends with response.failed and never completed`, () => {
    const events = eventsOf(REQUEST, chunks);
    assert.equal(events.at(-1)?.type, 'response.failed');
    assert.match(
      JSON.stringify(events.at(-1)),
      /"status":"failed","error":\{"code":"answer_broken"/,
    );
    assert.ok(!events.some(({ type }) => type === 'response.completed'));
    assert.ok(!events.some(({ type }) => type === 'response.incomplete'));
  });
}

test('an answer of which nothing came ends with an error event, which SDKs throw', () => {
  const [event, ...more] = eventsOf(REQUEST, []);
  assert.equal(event?.type, 'error');
  assert.equal(event?.['code'], 'answer_broken');
  assert.deepEqual(more, []);
});

const FAILURE = { message: 'm', type: 'server_error', param: null, code: 'timeout' };

test('the error object of a chat stream is response.failed, and nothing follows it', () => {
  const events = eventsOf(REQUEST, [
    ROLE_CHUNK,
    chunkOf({ content: 'x' }),
    { error: FAILURE },
    ...chunksOf({ text: 'more' }),
  ]);
  assert.equal(events.at(-1)?.type, 'response.failed');
  assert.match(JSON.stringify(events.at(-1)), /"error":\{"code":"timeout","message":"m"\}/);
});

test('an error without a code has the code that SDKs know', () => {
  const events = eventsOf(REQUEST, [ROLE_CHUNK, { error: { ...FAILURE, code: null } }]);
  assert.match(JSON.stringify(events.at(-1)), /"code":"server_error"/);
});

test('after an end nothing is said, whatever comes', () => {
  const over = (stream: FrontStream): unknown => [
    stream.push(chunkOf({ content: 'x' })),
    stream.end(),
    stream.fail(FAILURE),
  ];
  const complete = REQUEST.stream();
  for (const chunk of chunksOf({ text: 'x' })) complete.push(chunk);
  assert.equal(complete.end().at(-1)?.type, 'response.completed');
  assert.deepEqual(over(complete), [[], [], []]);
  const failed = REQUEST.stream();
  failed.fail(FAILURE);
  assert.deepEqual(over(failed), [[], [], []]);
});
