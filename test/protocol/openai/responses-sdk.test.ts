/** OpenAI's own client reads what is put in front of chat: whole answers, streams, calls, failures. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI, { APIError, BadRequestError } from 'openai';
import { responsesFront } from '../../../protocol/openai/responses.ts';
import {
  chunkOf,
  chunksOf,
  frontDoor,
  ROLE_CHUNK,
  type ChatScript,
  type DoorOptions,
  type FrontDoor,
} from '../../support/chat-front.ts';

const QUESTION = { model: 'm', input: 'Hello' };
const CALL = { id: 'call_1', name: 'add', arguments: '{"a":1,"b":2}' };
const TOOLS = [
  { type: 'function' as const, name: 'add', parameters: { type: 'object' }, strict: true },
];

function clientOf({ fetch }: FrontDoor): OpenAI {
  return new OpenAI({ apiKey: 'k', baseURL: 'http://127.0.0.1:1/v1', fetch, maxRetries: 0 });
}

function doorTo(script: ChatScript, options: DoorOptions = {}): FrontDoor {
  return frontDoor(responsesFront, [script], options);
}

test('a whole answer has text and usage', async () => {
  const response = await clientOf(doorTo({ text: 'Hello!' })).responses.create(QUESTION);
  assert.equal(response.output_text, 'Hello!');
  assert.equal(response.status, 'completed');
  assert.equal(response.usage?.input_tokens, 11);
  assert.equal(response.usage?.output_tokens, 7);
  assert.equal(response._request_id, 'req_1');
});

test('a stream is read event by event, whatever the pieces of its body', async () => {
  for (const bytesPerPiece of [1, 5, 4096]) {
    const door = doorTo({ text: 'Grüße, 世界!' }, { bytesPerPiece });
    const stream = await clientOf(door).responses.create({ ...QUESTION, stream: true });
    let text = '';
    let last = '';
    for await (const event of stream) {
      if (event.type === 'response.output_text.delta') text += event.delta;
      last = event.type;
    }
    assert.equal(text, 'Grüße, 世界!');
    assert.equal(last, 'response.completed');
  }
});

test('the stream helper ends with the whole response', async () => {
  const door = doorTo({ text: 'Hello!', calls: [CALL] });
  const response = await clientOf(door).responses.stream(QUESTION).finalResponse();
  assert.equal(response.output_text, 'Hello!');
  assert.equal(response.status, 'completed');
  assert.equal(response.output.length, 2);
  assert.deepEqual(response.usage?.output_tokens_details, { reasoning_tokens: 2 });
});

test('a loop of calls: the answer is sent back, and its result with it', async () => {
  const door = frontDoor(responsesFront, [{ calls: [CALL] }, { text: '3' }]);
  const client = clientOf(door);
  const first = await client.responses.stream({ ...QUESTION, tools: TOOLS }).finalResponse();
  const [call] = first.output;
  assert.ok(call?.type === 'function_call');
  assert.equal(call.arguments, CALL.arguments);
  assert.deepEqual(call.parsed_arguments, { a: 1, b: 2 });
  const second = await client.responses.create({
    ...QUESTION,
    tools: TOOLS,
    input: [
      { role: 'user', content: 'Hello' },
      ...first.output.filter((item) => item.type === 'function_call'),
      { type: 'function_call_output', call_id: call.call_id, output: '3' },
    ],
  });
  assert.equal(second.output_text, '3');
  assert.deepEqual(door.asked[1]?.['messages'], [
    { role: 'user', content: 'Hello' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [
        { id: 'call_1', type: 'function', function: { name: 'add', arguments: CALL.arguments } },
      ],
    },
    { role: 'tool', tool_call_id: 'call_1', content: '3' },
  ]);
});

test('structured output is parsed by the helper', async () => {
  const format = {
    type: 'json_schema' as const,
    name: 'n',
    strict: true,
    schema: { type: 'object', properties: { a: { type: 'number' } } },
  };
  const door = doorTo({ text: '{"a":1}' });
  const response = await clientOf(door).responses.parse({ ...QUESTION, text: { format } });
  assert.equal(response.output_text, '{"a":1}');
  assert.deepEqual(door.asked[0]?.['response_format'], {
    type: 'json_schema',
    json_schema: { name: 'n', schema: format.schema, strict: true },
  });
});

test('an answer that the bound ended is incomplete, streamed and whole', async () => {
  const script: ChatScript = { text: 'Hel', finish: 'length' };
  const client = clientOf(doorTo(script));
  for (const response of [
    await client.responses.create(QUESTION),
    await client.responses.stream(QUESTION).finalResponse(),
  ]) {
    assert.equal(response.status, 'incomplete');
    assert.equal(response.incomplete_details?.reason, 'max_output_tokens');
    assert.equal(response.output_text, 'Hel');
  }
});

test('a stream that fails is a failed response, never a shorter answer', async () => {
  const chunks = [
    ROLE_CHUNK,
    chunkOf({ content: 'Hel' }),
    { error: { message: 'gone', type: 'server_error', param: null, code: 'worker_failed' } },
  ];
  const door = doorTo({}, { chunks });
  const response = await clientOf(door).responses.stream(QUESTION).finalResponse();
  assert.equal(response.status, 'failed');
  assert.equal(response.error?.message, 'gone');
  assert.equal(response.output_text, '');
});

test('a chat stream without its end is a failed response', async () => {
  const chunks = chunksOf({ text: 'Hello!' }).slice(0, -2);
  const response = await clientOf(doorTo({}, { chunks }))
    .responses.stream(QUESTION)
    .finalResponse();
  assert.equal(response.status, 'failed');
});

test('a failure before the first chunk is thrown', async () => {
  const chunks = [{ error: { message: 'gone', type: 'server_error', param: null, code: null } }];
  const client = clientOf(doorTo({}, { chunks }));
  await assert.rejects(
    client.responses.stream(QUESTION).finalResponse(),
    (error) => error instanceof APIError,
  );
});

test('a refusal is a typed error that names the parameter', async () => {
  const client = clientOf(doorTo({}));
  await assert.rejects(client.responses.create({ ...QUESTION, store: true }), (error) => {
    assert.ok(error instanceof BadRequestError);
    assert.equal(error.code, 'unsupported_parameter');
    assert.equal(error.param, 'store');
    return true;
  });
});
