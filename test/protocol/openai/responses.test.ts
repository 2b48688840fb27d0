/** A Responses request becomes the chat request that asks the same, or is refused by name. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openAiFailure } from '../../../protocol/openai/errors.ts';
import { responsesFront } from '../../../protocol/openai/responses.ts';
import { decodedBy } from '../../support/chat-front.ts';

const BASE = { model: 'm', input: 'Hello' };
const CALL = { type: 'function_call', call_id: 'call_1', name: 'add', arguments: '{"a":1}' };
const OUTPUT = { type: 'function_call_output', call_id: 'call_1', output: '2' };
const TOOL = { type: 'function', name: 'add', parameters: { type: 'object' }, strict: true };

function chatOf(more: object): object {
  return decodedBy(responsesFront, { ...BASE, ...more }).chat;
}

function messagesOf(input: unknown, more: object = {}): unknown {
  return decodedBy(responsesFront, { ...BASE, input, ...more }).chat['messages'];
}

function refused(more: object): readonly unknown[] {
  const decision = responsesFront.decode({ ...BASE, ...more });
  assert.ok(decision.outcome === 'refused');
  assert.equal(decision.failure.status, 400);
  const { body } = decision.failure;
  assert.ok('error' in body && typeof body.error === 'object' && body.error !== null);
  assert.ok('code' in body.error && 'param' in body.error);
  return [body.error.code, body.error.param];
}

test('nothing is asked of chat that was not asked for', () => {
  const bare = { model: 'm', messages: [{ role: 'user', content: 'Hello' }] };
  assert.deepEqual(chatOf({}), bare);
  const empty = Object.fromEntries(
    ['instructions', 'max_output_tokens', 'temperature', 'top_p', 'tools', 'tool_choice'].map(
      (name) => [name, null],
    ),
  );
  assert.deepEqual(chatOf({ ...empty, text: null, reasoning: null, stream: null }), bare);
  assert.deepEqual(chatOf({ stream: true }), {
    ...bare,
    stream: true,
    stream_options: { include_usage: true },
  });
});

test('what is honoured arrives under the names of chat', () => {
  const chat = chatOf({
    max_output_tokens: 5,
    temperature: 0.5,
    top_p: 0.25,
    tools: [TOOL, { type: 'function', name: 'plain', description: 'd', parameters: null }],
    tool_choice: { type: 'function', name: 'add' },
    parallel_tool_calls: false,
    reasoning: { effort: 'low', summary: 'auto' },
    text: { verbosity: 'low', format: { type: 'json_object' } },
  });
  assert.deepEqual(chat, {
    model: 'm',
    messages: [{ role: 'user', content: 'Hello' }],
    max_completion_tokens: 5,
    temperature: 0.5,
    top_p: 0.25,
    tools: [
      { type: 'function', function: { name: 'add', parameters: { type: 'object' }, strict: true } },
      { type: 'function', function: { name: 'plain', description: 'd' } },
    ],
    tool_choice: { type: 'function', function: { name: 'add' } },
    parallel_tool_calls: false,
    response_format: { type: 'json_object' },
    reasoning_effort: 'low',
  });
});

test('text.format is response_format', () => {
  const schema = { type: 'object', properties: {} };
  const format = (value: object): unknown => {
    const chat = chatOf({ text: { format: value } });
    return 'response_format' in chat ? chat.response_format : undefined;
  };
  assert.equal(format({ type: 'text' }), undefined);
  assert.deepEqual(format({ type: 'json_schema', name: 'n', schema, strict: true }), {
    type: 'json_schema',
    json_schema: { name: 'n', schema, strict: true },
  });
  assert.deepEqual(format({ type: 'json_schema', name: 'n', description: 'd', schema }), {
    type: 'json_schema',
    json_schema: { name: 'n', description: 'd', schema },
  });
});

test('each tool choice word arrives as it is', () => {
  for (const choice of ['none', 'auto', 'required']) {
    const chat = chatOf({ tool_choice: choice });
    assert.equal('tool_choice' in chat && chat.tool_choice, choice);
  }
});

test('items tell one conversation: an answer and its calls are one turn, results are their own', () => {
  const parts = [
    { type: 'input_text', text: 'one ' },
    { type: 'input_text', text: 'two' },
  ];
  const said = { type: 'output_text', text: 'Let me see.', annotations: [], logprobs: [] };
  const conversation = messagesOf(
    [
      { role: 'developer', content: 'dev' },
      { type: 'message', role: 'user', content: parts },
      { type: 'message', id: 'msg_1', status: 'completed', role: 'assistant', content: [said] },
      { ...CALL, id: 'fc_1', status: 'completed' },
      { ...CALL, call_id: 'call_2' },
      OUTPUT,
      { ...OUTPUT, call_id: 'call_2', output: parts },
      CALL,
      OUTPUT,
      { role: 'system', content: 'sys' },
    ],
    { instructions: 'Be brief.' },
  );
  const call = (id: string): object => ({
    id,
    type: 'function',
    function: { name: 'add', arguments: '{"a":1}' },
  });
  assert.deepEqual(conversation, [
    { role: 'system', content: 'Be brief.' },
    { role: 'developer', content: 'dev' },
    { role: 'user', content: 'one two' },
    { role: 'assistant', content: 'Let me see.', tool_calls: [call('call_1'), call('call_2')] },
    { role: 'tool', tool_call_id: 'call_1', content: '2' },
    { role: 'tool', tool_call_id: 'call_2', content: 'one two' },
    { role: 'assistant', content: null, tool_calls: [call('call_1')] },
    { role: 'tool', tool_call_id: 'call_1', content: '2' },
    { role: 'system', content: 'sys' },
  ]);
});

test('two answers in a row stay two', () => {
  const said = (content: string): object => ({ role: 'assistant', content });
  assert.deepEqual(messagesOf([said('a'), said('b'), { role: 'user', content: 'c' }]), [
    said('a'),
    said('b'),
    { role: 'user', content: 'c' },
  ]);
});

test('our own answer is taken back, with what the SDK adds to it', () => {
  const part = { type: 'output_text', text: 't', annotations: [], logprobs: [], parsed: null };
  const item = { id: 'msg_00ff_0', type: 'message', status: 'completed', role: 'assistant' };
  assert.deepEqual(
    messagesOf([
      { ...item, content: [part] },
      { ...CALL, parsed_arguments: null },
    ]),
    [
      {
        role: 'assistant',
        content: 't',
        tool_calls: [
          { id: 'call_1', type: 'function', function: { name: 'add', arguments: '{"a":1}' } },
        ],
      },
    ],
  );
});

test('what has no effect here is accepted and goes no further', () => {
  const quiet = {
    user: 'u',
    metadata: { k: 'v' },
    safety_identifier: 's',
    prompt_cache_retention: '24h',
    service_tier: 'auto',
    max_tool_calls: 3,
    store: false,
    background: false,
    previous_response_id: null,
    conversation: null,
    truncation: 'disabled',
    top_logprobs: 0,
    include: ['reasoning.encrypted_content'],
  };
  assert.deepEqual(chatOf(quiet), chatOf({}));
  assert.deepEqual(chatOf({ stream: true, stream_options: { include_obfuscation: true } }), {
    ...chatOf({ stream: true }),
  });
});

test('a cache key is handed on to chat', () => {
  const keyed = chatOf({ prompt_cache_key: 'k' });
  assert.deepEqual(keyed, { ...chatOf({}), prompt_cache_key: 'k' });
});

const UNSUPPORTED: readonly (readonly [more: object, param: string])[] = [
  [{ store: true }, 'store'],
  [{ background: true }, 'background'],
  [{ previous_response_id: 'resp_1' }, 'previous_response_id'],
  [{ conversation: 'conv_1' }, 'conversation'],
  [{ prompt: { id: 'p' } }, 'prompt'],
  [{ truncation: 'auto' }, 'truncation'],
  [{ top_logprobs: 1 }, 'top_logprobs'],
  [{ include: ['message.output_text.logprobs'] }, 'include'],
  [{ moderation: {} }, 'moderation'],
  [{ context_management: [] }, 'context_management'],
  [{ tools: [{ type: 'web_search' }] }, 'tools.0.type'],
  [{ tools: [TOOL, { type: 'mcp', server_label: 's' }] }, 'tools.1.type'],
  [{ tool_choice: { type: 'web_search' } }, 'tool_choice.type'],
  [{ text: { format: { type: 'grammar' } } }, 'text.format.type'],
  [{ input: [{ type: 'item_reference', id: 'msg_1' }] }, 'input.0.type'],
  [{ input: [{ type: 'reasoning', id: 'rs_1', summary: [] }] }, 'input.0.type'],
  [{ input: [{ role: 'tool', content: 'x' }] }, 'input.0.role'],
  [
    { input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'data:' }] }] },
    'input.0.content.0.type',
  ],
  [
    { input: [CALL, { ...OUTPUT, output: [{ type: 'input_file', file_id: 'f' }] }] },
    'input.1.output.0.type',
  ],
];

for (const [more, param] of UNSUPPORTED) {
  test(`refused, because nobody here can honour it: ${param} ${JSON.stringify(more)}`, () => {
    assert.deepEqual(refused(more), ['unsupported_parameter', param]);
  });
}

const UNKNOWN: readonly (readonly [more: object, param: string])[] = [
  [{ messages: [] }, 'messages'],
  [{ max_tokens: 5 }, 'max_tokens'],
  [{ input: [{ role: 'user', content: 'x', name: 'n' }] }, 'input.0.name'],
  [{ tools: [{ ...TOOL, defer_loading: true }] }, 'tools.0.defer_loading'],
  [{ reasoning: { mode: 'pro' } }, 'reasoning.mode'],
];

for (const [more, param] of UNKNOWN) {
  test(`refused, because it is not known: ${param}`, () => {
    assert.deepEqual(refused(more), ['unknown_parameter', param]);
  });
}

const INVALID: readonly (readonly [more: object, param: string | null])[] = [
  [{ input: [] }, 'input'],
  [{ input: 7 }, 'input'],
  [{ model: '' }, 'model'],
  [{ max_output_tokens: 0 }, 'max_output_tokens'],
  [{ temperature: 2.1 }, 'temperature'],
  [{ top_p: -0.1 }, 'top_p'],
  [{ reasoning: { summary: 'detailed' } }, 'reasoning.summary'],
  [{ stream_options: { include_obfuscation: true } }, 'stream_options'],
  [{ tools: [{ ...TOOL, parameters: [] }] }, 'tools.0.parameters'],
  [{ input: [{ ...CALL, arguments: {} }] }, 'input.0.arguments'],
];

for (const [more, param] of INVALID) {
  test(`refused, because it is not valid: ${param} ${JSON.stringify(more)}`, () => {
    assert.deepEqual(refused(more), ['invalid_value', param]);
  });
}

test('what would need a memory is refused with the way out', () => {
  const wants = [
    { store: true },
    { previous_response_id: 'resp_1' },
    {
      input: [
        { role: 'user', content: 'x' },
        { type: 'item_reference', id: 'msg_1' },
      ],
    },
  ];
  const told = (more: object): string =>
    JSON.stringify(responsesFront.decode({ ...BASE, ...more }));
  for (const more of wants) assert.match(told(more), /as items, with store: false/);
  assert.doesNotMatch(told({ input: [{ type: 'reasoning' }] }), /store: false/);
  assert.doesNotMatch(
    told({ store: 'x'.repeat(9), truncation: 'auto' }),
    /truncation.*store: false/,
  );
});

test('a body that is no object is refused', () => {
  for (const body of [null, 7, 'x', [], undefined]) {
    assert.equal(responsesFront.decode(body).outcome, 'refused');
  }
});

test('no value goes back with a refusal, and no name that could be content', () => {
  const secret = 'my secret prompt';
  for (const more of [{ [secret]: 1 }, { input: [{ [secret]: secret }] }, { truncation: secret }]) {
    const decision = responsesFront.decode({ ...BASE, ...more });
    assert.ok(decision.outcome === 'refused');
    assert.ok(!JSON.stringify(decision.failure).includes('secret'));
  }
});

/** Names of chat, and how this surface says them. */
const RENAMED: readonly (readonly [chat: string, ours: string])[] = [
  ['messages.3.content', 'input'],
  ['messages', 'input'],
  ['max_completion_tokens', 'max_output_tokens'],
  ['tools.2.function.parameters', 'tools.2.parameters'],
  ['tool_choice.function.name', 'tool_choice.name'],
  ['response_format.json_schema.schema', 'text.format.schema'],
  ['response_format', 'text.format'],
  ['reasoning_effort', 'reasoning.effort'],
  ['temperature', 'temperature'],
];

for (const [chat, ours] of RENAMED) {
  test(`what chat refuses as ${chat} is ${ours} here`, () => {
    const { body } = responsesFront.refusal(openAiFailure('invalid_value', { param: chat }));
    assert.deepEqual(body, openAiFailure('invalid_value', { param: ours }).body);
  });
}
