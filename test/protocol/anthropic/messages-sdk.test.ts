/** Anthropic's own client reads what is put in front of chat: whole answers, streams, tools, failures. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import Anthropic, { APIError, BadRequestError } from '@anthropic-ai/sdk';
import { messagesFront } from '../../../protocol/anthropic/messages.ts';
import { openAiFailure } from '../../../protocol/openai/errors.ts';
import {
  chunkOf,
  chunksOf,
  frontDoor,
  ROLE_CHUNK,
  type ChatScript,
  type DoorOptions,
  type FrontDoor,
} from '../../support/chat-front.ts';

const QUESTION = {
  model: 'm',
  max_tokens: 16,
  messages: [{ role: 'user' as const, content: 'Hello' }],
};
const CALL = { id: 'call_1', name: 'add', arguments: '{"a":1,"b":2}' };
const TOOLS = [{ name: 'add', input_schema: { type: 'object' as const } }];

function clientOf(fetch: FrontDoor['fetch'], maxRetries = 0): Anthropic {
  return new Anthropic({ apiKey: 'k', baseURL: 'http://127.0.0.1:1', fetch, maxRetries });
}

function clientTo(script: ChatScript, options: DoorOptions = {}): Anthropic {
  return clientOf(frontDoor(messagesFront, [script], options).fetch);
}

test('a whole answer has text, its reason to stop and usage', async () => {
  const message = await clientTo({ text: 'Hello!' }).messages.create(QUESTION);
  const [block] = message.content;
  assert.ok(block?.type === 'text');
  assert.equal(block.text, 'Hello!');
  assert.equal(message.stop_reason, 'end_turn');
  assert.equal(message.usage.input_tokens, 7);
  assert.equal(message.usage.cache_read_input_tokens, 4);
  assert.equal(message.usage.output_tokens, 7);
  assert.equal(message._request_id, 'req_1');
});

test('a stream is read event by event, whatever the pieces of its body', async () => {
  for (const bytesPerPiece of [1, 5, 4096]) {
    const client = clientTo({ text: 'Grüße, 世界!' }, { bytesPerPiece });
    const stream = await client.messages.create({ ...QUESTION, stream: true });
    let text = '';
    let last = '';
    for await (const event of stream) {
      last = event.type;
      if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') {
        text += event.delta.text;
      }
    }
    assert.equal(text, 'Grüße, 世界!');
    assert.equal(last, 'message_stop');
  }
});

test('the stream helper ends with the message that a whole answer is', async () => {
  const client = clientTo({ text: 'Hm.', calls: [CALL] });
  const streamed = await client.messages.stream(QUESTION).finalMessage();
  const whole = await client.messages.create(QUESTION);
  assert.deepEqual(streamed.content, whole.content);
  assert.equal(streamed.stop_reason, 'tool_use');
  assert.equal(streamed.usage.input_tokens, whole.usage.input_tokens);
  assert.equal(streamed.usage.output_tokens, whole.usage.output_tokens);
  assert.equal(streamed.id, whole.id);
});

test('a loop of tools: the answer is sent back, and its result with it', async () => {
  const door = frontDoor(messagesFront, [{ text: 'Hm.', calls: [CALL] }, { text: '3' }]);
  const client = clientOf(door.fetch);
  const first = await client.messages.stream({ ...QUESTION, tools: TOOLS }).finalMessage();
  const call = first.content.find((block) => block.type === 'tool_use');
  assert.deepEqual(call?.input, { a: 1, b: 2 });
  const second = await client.messages.create({
    ...QUESTION,
    tools: TOOLS,
    messages: [
      ...QUESTION.messages,
      { role: 'assistant', content: first.content },
      { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1', content: '3' }] },
    ],
  });
  assert.equal(second.stop_reason, 'end_turn');
  assert.deepEqual(door.asked[1]?.['messages'], [
    { role: 'user', content: 'Hello' },
    {
      role: 'assistant',
      content: 'Hm.',
      tool_calls: [
        { id: 'call_1', type: 'function', function: { name: 'add', arguments: CALL.arguments } },
      ],
    },
    { role: 'tool', tool_call_id: 'call_1', content: '3' },
  ]);
});

/** Streams that must not end well. */
const BROKEN: readonly (readonly [what: string, options: DoorOptions])[] = [
  ['cut by the model', { chunks: chunksOf({ text: 'Hello!' }).slice(0, -2) }],
  [
    'failed',
    {
      chunks: [
        ROLE_CHUNK,
        chunkOf({ content: 'Hel' }),
        { error: { message: 'gone', type: 'server_error', param: null, code: null } },
      ],
    },
  ],
  ['of which nothing came', { chunks: [] }],
];

for (const [what, options] of BROKEN) {
  test(`a stream that was ${what} is thrown, by the iterator and by the helper`, async () => {
    const client = clientTo({}, options);
    const read = async (): Promise<void> => {
      const stream = await client.messages.create({ ...QUESTION, stream: true });
      for await (const _event of stream) continue;
    };
    await assert.rejects(read(), (error) => error instanceof APIError);
    await assert.rejects(
      client.messages.stream(QUESTION).finalMessage(),
      (error) => error instanceof APIError,
    );
  });
}

test('a body that breaks off has no message for the helper', async () => {
  const client = clientTo({ text: 'Hello!' }, { cut: true });
  await assert.rejects(client.messages.stream(QUESTION).finalMessage());
});

test('a refusal is a typed error that names the path', async () => {
  const request = { ...QUESTION, thinking: { type: 'adaptive' as const } };
  await assert.rejects(clientTo({}).messages.create(request), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.equal(error.type, 'invalid_request_error');
    assert.match(error.message, /thinking: The request has a parameter that is not supported/);
    return true;
  });
});

test('the SDK repeats what may be repeated, and nothing else', async () => {
  for (const [code, requests] of [
    ['worker_failed', 2],
    ['rate_limit_exceeded', 2],
    ['answer_broken', 1],
    ['request_replayed', 1],
    ['insufficient_funds', 1],
  ] as const) {
    let counted = 0;
    const fetch = async (): Promise<Response> => {
      counted++;
      const { status, body, headers } = messagesFront.refusal(
        openAiFailure(code, code === 'answer_broken' ? {} : { retryAfterMs: 1 }),
      );
      return Response.json(body, { status, headers: headers.map(([k, v]) => [k, v]) });
    };
    await assert.rejects(clientOf(fetch, 1).messages.create(QUESTION));
    assert.equal(counted, requests, code);
  }
});
