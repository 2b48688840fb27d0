/** A Messages request becomes the chat request that asks the same, or is refused with its path. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messagesFront } from '../../../protocol/anthropic/messages.ts';
import { openAiFailure } from '../../../protocol/openai/errors.ts';
import { decodedBy } from '../../support/chat-front.ts';

const BASE = { model: 'm', max_tokens: 9, messages: [{ role: 'user', content: 'Hello' }] };
const TOOL = { name: 'add', input_schema: { type: 'object' } };
const CALL = { type: 'tool_use', id: 'call_1', name: 'add', input: { a: 1 } };
const RESULT = { type: 'tool_result', tool_use_id: 'call_1', content: '2' };
const TEXT = { type: 'text', text: 'one ' };

function chatOf(more: object): object {
  return decodedBy(messagesFront, { ...BASE, ...more }).chat;
}

function messagesOf(messages: readonly object[], more: object = {}): unknown {
  return decodedBy(messagesFront, { ...BASE, messages, ...more }).chat['messages'];
}

function refused(more: object): string {
  const decision = messagesFront.decode({ ...BASE, ...more });
  assert.ok(decision.outcome === 'refused');
  const { status, body } = decision.failure;
  assert.equal(status, 400);
  assert.ok('type' in body && body.type === 'error');
  assert.ok('error' in body && typeof body.error === 'object' && body.error !== null);
  assert.ok('type' in body.error && body.error.type === 'invalid_request_error');
  return 'message' in body.error ? String(body.error.message) : '';
}

test('nothing is asked of chat that was not asked for', () => {
  const bare = { model: 'm', messages: BASE.messages, max_completion_tokens: 9 };
  assert.deepEqual(chatOf({}), bare);
  assert.deepEqual(chatOf({ stop_sequences: [], system: '', tools: null }), bare);
  assert.deepEqual(chatOf({ stream: true }), {
    ...bare,
    stream: true,
    stream_options: { include_usage: true },
  });
});

test('what is honoured arrives under the names of chat', () => {
  const schema = { type: 'object' };
  const chat = chatOf({
    system: [TEXT, { ...TEXT, text: 'two', cache_control: { type: 'ephemeral', ttl: '1h' } }],
    temperature: 0.5,
    top_p: 0.25,
    top_k: 4,
    stop_sequences: ['a', 'b'],
    tools: [
      TOOL,
      { ...TOOL, type: 'custom', description: 'd', strict: true, eager_input_streaming: true },
    ],
    tool_choice: { type: 'any', disable_parallel_tool_use: true },
    output_config: { effort: 'low', format: { type: 'json_schema', schema } },
  });
  assert.deepEqual(chat, {
    model: 'm',
    messages: [
      { role: 'system', content: 'one two' },
      { role: 'user', content: 'Hello' },
    ],
    max_completion_tokens: 9,
    temperature: 0.5,
    top_p: 0.25,
    top_k: 4,
    stop: ['a', 'b'],
    tools: [
      { type: 'function', function: { name: 'add', parameters: schema } },
      {
        type: 'function',
        function: { name: 'add', description: 'd', parameters: schema, strict: true },
      },
    ],
    tool_choice: 'required',
    parallel_tool_calls: false,
    response_format: {
      type: 'json_schema',
      json_schema: { name: 'output', schema, strict: true },
    },
    reasoning_effort: 'low',
  });
});

const CHOICES: readonly (readonly [ours: object, chat: unknown])[] = [
  [{ type: 'auto' }, 'auto'],
  [{ type: 'any' }, 'required'],
  [{ type: 'none' }, 'none'],
  [
    { type: 'tool', name: 'add' },
    { type: 'function', function: { name: 'add' } },
  ],
];

for (const [choice, expected] of CHOICES) {
  test(`tool choice ${JSON.stringify(choice)}`, () => {
    const chat = chatOf({ tool_choice: choice });
    assert.deepEqual('tool_choice' in chat && chat.tool_choice, expected);
    assert.ok(!('parallel_tool_calls' in chat));
  });
}

test('blocks tell one conversation', () => {
  const call = { id: 'call_1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } };
  const messages = messagesOf([
    { role: 'user', content: [TEXT, { ...TEXT, text: 'two' }] },
    { role: 'assistant', content: [{ ...TEXT, citations: null }, CALL] },
    { role: 'user', content: [RESULT, TEXT] },
    { role: 'assistant', content: [{ ...CALL, caller: { type: 'direct' } }] },
    { role: 'user', content: [{ ...RESULT, content: [TEXT, TEXT], is_error: true }] },
    { role: 'assistant', content: [] },
    { role: 'assistant', content: 'done' },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'call_1' }] },
  ]);
  assert.deepEqual(messages, [
    { role: 'user', content: 'one two' },
    { role: 'assistant', content: 'one ', tool_calls: [call] },
    { role: 'tool', tool_call_id: 'call_1', content: '2' },
    { role: 'user', content: 'one ' },
    { role: 'assistant', content: null, tool_calls: [call] },
    { role: 'tool', tool_call_id: 'call_1', content: 'Error: one one ' },
    { role: 'assistant', content: '' },
    { role: 'assistant', content: 'done' },
    { role: 'tool', tool_call_id: 'call_1', content: '' },
  ]);
});

test('what has no effect here is accepted and goes no further', () => {
  const quiet = {
    metadata: { user_id: 'u' },
    service_tier: 'auto',
    cache_control: { type: 'ephemeral' },
    thinking: { type: 'disabled' },
    speed: 'standard',
    container: null,
    mcp_servers: [],
  };
  assert.deepEqual(chatOf(quiet), chatOf({}));
});

const IMAGE = { type: 'image', source: { type: 'url', url: 'https://x.invalid' } };

const UNSUPPORTED: readonly (readonly [more: object, path: string])[] = [
  [{ thinking: { type: 'enabled', budget_tokens: 1024 } }, 'thinking'],
  [{ container: 'c' }, 'container'],
  [{ mcp_servers: [{}] }, 'mcp_servers'],
  [{ context_management: {} }, 'context_management'],
  [{ inference_geo: 'eu' }, 'inference_geo'],
  [{ speed: 'fast' }, 'speed'],
  [{ messages: [{ role: 'user', content: [TEXT, IMAGE] }] }, 'messages.0.content.1.type'],
  [
    { messages: [{ role: 'user', content: [{ ...RESULT, content: [IMAGE] }] }] },
    'messages.0.content.0.content.0.type',
  ],
  [
    { messages: [{ role: 'user', content: [{ type: 'document', source: {} }] }] },
    'messages.0.content.0.type',
  ],
  [
    { messages: [{ role: 'assistant', content: [{ type: 'thinking', thinking: '' }] }] },
    'messages.0.content.0.type',
  ],
  [{ messages: [{ role: 'system', content: 'x' }] }, 'messages.0.role'],
  [{ messages: [...BASE.messages, { role: 'assistant', content: 'I th' }] }, 'messages.1.role'],
  [{ tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, 'tools.0.type'],
  [{ tool_choice: { type: 'server' } }, 'tool_choice.type'],
  [{ output_config: { format: { type: 'xml' } } }, 'output_config.format.type'],
];

for (const [more, path] of UNSUPPORTED) {
  test(`refused, because nobody here can honour it: ${path} ${JSON.stringify(more)}`, () => {
    assert.equal(refused(more), `${path}: The request has a parameter that is not supported.`);
  });
}

const UNKNOWN: readonly (readonly [more: object, path: string])[] = [
  [{ max_completion_tokens: 5 }, 'max_completion_tokens'],
  [{ messages: [{ role: 'user', content: 'x', name: 'n' }] }, 'messages.0.name'],
  [{ tools: [{ ...TOOL, defer_loading: true }] }, 'tools.0.defer_loading'],
  [{ messages: [{ role: 'user', content: [{ ...TEXT, logo: 1 }] }] }, 'messages.0.content.0.logo'],
];

for (const [more, path] of UNKNOWN) {
  test(`refused, because it is not known: ${path}`, () => {
    assert.equal(refused(more), `${path}: The request has a parameter that is not known.`);
  });
}

const INVALID: readonly (readonly [more: object, path: string])[] = [
  [{ max_tokens: undefined }, 'max_tokens'],
  [{ max_tokens: 0 }, 'max_tokens'],
  [{ messages: [] }, 'messages'],
  [{ temperature: 1.5 }, 'temperature'],
  [{ top_k: -1 }, 'top_k'],
  [{ stop_sequences: [''] }, 'stop_sequences.0'],
  [{ metadata: { user_id: 7 } }, 'metadata.user_id'],
  [{ messages: [{ role: 'user', content: [] }] }, 'messages.0.content'],
  [{ messages: [{ role: 'user', content: [TEXT, RESULT] }] }, 'messages.0.content.1'],
  [
    { messages: [{ role: 'assistant', content: [{ ...CALL, input: 'x' }] }] },
    'messages.0.content.0.input',
  ],
];

for (const [more, path] of INVALID) {
  test(`refused, because it is not valid: ${path} ${JSON.stringify(more)}`, () => {
    assert.equal(refused(more), `${path}: A field of the request has a value that is not valid.`);
  });
}

test('no value goes back with a refusal, and no name that could be content', () => {
  const secret = 'my secret prompt';
  const strange = [
    { [secret]: 1 },
    { speed: secret },
    { messages: [{ role: 'user', content: [{ type: secret }] }] },
    { messages: [{ role: 'user', content: 'x', [secret]: 1 }] },
  ];
  for (const more of strange) assert.ok(!refused(more).includes('secret'));
});

/** Names of chat, and how this surface says them. */
const RENAMED: readonly (readonly [chat: string, ours: string])[] = [
  ['messages.3.content', 'messages'],
  ['max_completion_tokens', 'max_tokens'],
  ['stop', 'stop_sequences'],
  ['top_k', 'top_k'],
  ['tools.2.function.parameters.type', 'tools.2.input_schema.type'],
  ['tools.2.function.name', 'tools.2.name'],
  ['tool_choice.function.name', 'tool_choice.name'],
  ['parallel_tool_calls', 'tool_choice.disable_parallel_tool_use'],
  ['response_format.json_schema.schema', 'output_config.format.schema'],
  ['response_format', 'output_config.format'],
  ['reasoning_effort', 'output_config.effort'],
];

for (const [chat, ours] of RENAMED) {
  test(`what chat refuses as ${chat} is ${ours} here`, () => {
    const { body } = messagesFront.refusal(openAiFailure('unknown_parameter', { param: chat }));
    const message = `${ours}: The request has a parameter that is not known.`;
    assert.deepEqual(body, { type: 'error', error: { type: 'invalid_request_error', message } });
  });
}
