/** Tools and forms of answers in a chat request: taken in shape, refused by name, calls and their results paired. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeChatRequest, type ChatRequest } from '../../../protocol/openai/chat.ts';

const USER = { role: 'user', content: 'Hello' };
const BASE = { model: 'm', messages: [USER] };
const WEATHER = {
  type: 'function',
  function: { name: 'weather', description: 'd', parameters: { type: 'object' }, strict: true },
};
const CLOCK = { type: 'function', function: { name: 'clock' } };

function decoded(body: object): ChatRequest {
  const decision = decodeChatRequest({ ...BASE, ...body });
  assert.ok(decision.outcome === 'decoded', JSON.stringify(decision));
  return decision.request;
}

function refused(body: object): readonly [string | null, string | null] {
  const decision = decodeChatRequest({ ...BASE, ...body });
  assert.ok(decision.outcome === 'refused');
  const { code, param } = decision.failure.body.error;
  return [code, param];
}

test('tools arrive with their schemas unread, and may be called in parallel unless said otherwise', () => {
  const { tools, toolChoice, parallelToolCalls } = decoded({ tools: [WEATHER, CLOCK] });
  assert.deepEqual(tools, [
    { name: 'weather', description: 'd', parameters: { type: 'object' }, strict: true },
    { name: 'clock', description: undefined, parameters: undefined },
  ]);
  assert.deepEqual(toolChoice, { kind: 'auto' });
  assert.equal(parallelToolCalls, true);
  assert.equal(decoded({ tools: [CLOCK], parallel_tool_calls: false }).parallelToolCalls, false);
});

test('the choice of a tool is a word or a name', () => {
  for (const kind of ['none', 'auto', 'required']) {
    assert.deepEqual(decoded({ tools: [CLOCK], tool_choice: kind }).toolChoice, { kind });
  }
  const named = { type: 'function', function: { name: 'clock' } };
  assert.deepEqual(decoded({ tools: [CLOCK], tool_choice: named }).toolChoice, {
    kind: 'function',
    name: 'clock',
  });
  // Without tools there is nothing to choose, and nothing was asked for.
  assert.deepEqual(decoded({ tools: [], tool_choice: 'auto' }).toolChoice, { kind: 'none' });
});

test('forms of answers arrive, and one without a schema is any object', () => {
  const schema = { type: 'object' };
  const form = (json_schema: object) => ({ response_format: { type: 'json_schema', json_schema } });
  assert.deepEqual(decoded(form({ name: 'x', schema, strict: true })).format, {
    kind: 'json_schema',
    schema,
  });
  assert.deepEqual(decoded(form({ name: 'x' })).format, { kind: 'json_object' });
  assert.deepEqual(decoded({ response_format: { type: 'json_object' } }).format, {
    kind: 'json_object',
  });
});

const CALL = { id: 'c1', type: 'function', function: { name: 'clock', arguments: '{}' } };
const OTHER = { ...CALL, id: 'c2' };
const asks = (...tool_calls: object[]) => ({ role: 'assistant', content: null, tool_calls });
const answers = (tool_call_id: string) => ({
  role: 'tool',
  tool_call_id,
  content: 'noon',
  name: 'clock',
});

test('calls and what came of them arrive as messages', () => {
  const messages = [USER, asks(CALL, OTHER), answers('c2'), answers('c1')];
  assert.deepEqual(decoded({ messages }).messages.slice(1), [
    {
      role: 'assistant',
      content: '',
      toolCalls: [
        { id: 'c1', name: 'clock', arguments: '{}' },
        { id: 'c2', name: 'clock', arguments: '{}' },
      ],
    },
    { role: 'tool', content: 'noon', toolCallId: 'c2' },
    { role: 'tool', content: 'noon', toolCallId: 'c1' },
  ]);
});

const WEATHER_CHOICE = { type: 'function', function: { name: 'weather' } };

const REFUSED: readonly (readonly [string, object, string, string])[] = [
  [
    'a result of no call',
    { messages: [answers('c1')] },
    'invalid_value',
    'messages.0.tool_call_id',
  ],
  [
    'a result of another call',
    { messages: [USER, asks(CALL), answers('c2')] },
    'invalid_value',
    'messages.2.tool_call_id',
  ],
  [
    'two results of one call',
    { messages: [USER, asks(CALL), answers('c1'), answers('c1')] },
    'invalid_value',
    'messages.3.tool_call_id',
  ],
  [
    'a call that nothing came of',
    { messages: [USER, asks(CALL), USER] },
    'invalid_value',
    'messages.2.role',
  ],
  ['a call at the end', { messages: [USER, asks(CALL)] }, 'invalid_value', 'messages.1.role'],
  [
    'two calls of one id',
    { messages: [USER, asks(CALL, CALL), answers('c1')] },
    'invalid_value',
    'messages.1.tool_calls',
  ],
  [
    'an assistant who says nothing',
    { messages: [{ role: 'assistant', content: null }] },
    'invalid_value',
    'messages.0.content',
  ],
  ['a tool twice', { tools: [CLOCK, CLOCK] }, 'invalid_value', 'tools.1.function.name'],
  [
    'a name that is none',
    { tools: [{ type: 'function', function: { name: 'a b' } }] },
    'invalid_value',
    'tools.0.function.name',
  ],
  ['a custom tool', { tools: [{ type: 'custom' }] }, 'unsupported_parameter', 'tools.0.type'],
  ['a call of nothing', { tool_choice: 'required' }, 'invalid_value', 'tool_choice'],
  [
    'a tool that is not there',
    { tools: [CLOCK], tool_choice: WEATHER_CHOICE },
    'invalid_value',
    'tool_choice',
  ],
  [
    'a list of allowed tools',
    { tools: [CLOCK], tool_choice: { type: 'allowed_tools', allowed_tools: {} } },
    'unsupported_parameter',
    'tool_choice.type',
  ],
  [
    'a form that nobody knows',
    { response_format: { type: 'xml' } },
    'unsupported_parameter',
    'response_format.type',
  ],
  [
    'a form with more to it',
    { response_format: { type: 'json_object', more: 1 } },
    'unknown_parameter',
    'response_format.more',
  ],
];

for (const [what, body, code, param] of REFUSED) {
  test(`${what} is refused as ${code} at ${param}`, () => {
    assert.deepEqual(refused(body), [code, param]);
  });
}
