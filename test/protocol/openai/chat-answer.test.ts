/** What is no answer of chat completions is not taken for one. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatStreamReader, readCompletion } from '../../../protocol/openai/chat-answer.ts';
import { ANSWER_MAX_CHARS, CALLS_MAX } from '../../../protocol/openai/chat-json.ts';
import {
  argumentsChunk,
  callChunk,
  CHAT_HEAD,
  CHAT_USAGE,
  chunkOf,
  completionOf,
  ROLE_CHUNK,
  USAGE_CHUNK,
} from '../../support/chat-front.ts';

const CALL = { id: 'call_1', name: 'add', arguments: '' };
const SECOND = { ...CALL, id: 'call_2' };
const REFUSED = { code: 'chat.answer' };

function deltaOf(index: number, call: object): object {
  return chunkOf({ tool_calls: [{ index, ...call }] });
}

/** Everything before the last chunk belongs to the stream; the last does not. */
const STRANGE: readonly (readonly [what: string, chunks: readonly unknown[]])[] = [
  ['no object', [7]],
  ['no id', [{ ...chunkOf({}), id: undefined }]],
  ['an id without end', [{ ...chunkOf({}), id: 'x'.repeat(257) }]],
  ['no choices', [{ ...CHAT_HEAD }]],
  ['two choices', [{ ...CHAT_HEAD, choices: [{}, {}].map(() => ({ index: 0, delta: {} })) }]],
  ['another choice', [{ ...CHAT_HEAD, choices: [{ index: 1, delta: {} }] }]],
  ['another role', [chunkOf({ role: 'user' })]],
  ['a refusal', [chunkOf({ refusal: 'no' })]],
  ['an unknown finish reason', [chunkOf({}, 'bored')]],
  ['a call without an id', [deltaOf(0, { function: { name: 'add' } })]],
  ['a call without a name', [deltaOf(0, { id: 'call_1' })]],
  ['a call that skips a place', [callChunk(1, CALL)]],
  ['a call beyond the last', [deltaOf(CALLS_MAX, { id: 'x', function: { name: 'add' } })]],
  ['a call that changes its id', [callChunk(0, CALL), deltaOf(0, { id: 'call_9' })]],
  ['a call that changes its name', [callChunk(0, CALL), deltaOf(0, { function: { name: 'z' } })]],
  [
    'a return to an earlier call',
    [callChunk(0, CALL), callChunk(1, SECOND), argumentsChunk(0, 'x')],
  ],
  [
    'arguments behind text',
    [callChunk(0, CALL), chunkOf({ content: 'x' }), argumentsChunk(0, 'x')],
  ],
  ['text behind the end', [chunkOf({}, 'stop'), chunkOf({ content: 'x' })]],
  ['a call behind the end', [chunkOf({}, 'stop'), callChunk(0, CALL)]],
  ['a second end', [chunkOf({}, 'stop'), chunkOf({}, 'length')]],
  ['negative usage', [{ ...USAGE_CHUNK, usage: { ...CHAT_USAGE, prompt_tokens: -1 } }]],
  ['more cached than read', [{ ...USAGE_CHUNK, usage: { ...CHAT_USAGE, prompt_tokens: 3 } }]],
  [
    'more reasoning than output',
    [{ ...USAGE_CHUNK, usage: { ...CHAT_USAGE, completion_tokens: 1 } }],
  ],
];

for (const [what, chunks] of STRANGE) {
  test(`a stream with ${what} is refused there, not before`, () => {
    const reader = new ChatStreamReader();
    reader.push(ROLE_CHUNK);
    for (const chunk of chunks.slice(0, -1)) reader.push(chunk);
    assert.throws(() => reader.push(chunks.at(-1)), REFUSED);
  });
}

test('a stream ends with a finish reason and the usage, in either order', () => {
  const chunks = [chunkOf({}, 'stop'), USAGE_CHUNK];
  for (const order of [chunks, chunks.toReversed()]) {
    const reader = new ChatStreamReader();
    for (const chunk of order) {
      assert.equal(reader.ending, undefined);
      reader.push(chunk);
    }
    assert.deepEqual(reader.ending, {
      end: { reason: 'stop', stop: undefined },
      counts: { prompt: 11, cached: 4, completion: 7, reasoning: 2 },
    });
  }
});

test('a call may begin with its arguments, and repeat who it is', () => {
  const reader = new ChatStreamReader();
  const first = deltaOf(0, { id: 'a', type: 'function', function: { name: 'n', arguments: '{' } });
  assert.deepEqual(reader.push(first), [
    { kind: 'call', id: 'a', name: 'n' },
    { kind: 'arguments', text: '{' },
  ]);
  const again = deltaOf(0, { id: 'a', function: { name: 'n', arguments: '}' } });
  assert.deepEqual(reader.push(again), [{ kind: 'arguments', text: '}' }]);
});

test('what a gateway adds about the money says nothing', () => {
  const reader = new ChatStreamReader();
  assert.deepEqual(reader.push({ ...CHAT_HEAD, choices: [], x_settlement: { amount: '1' } }), []);
});

test('text and arguments together have one bound', () => {
  const half = 'x'.repeat(ANSWER_MAX_CHARS / 2);
  const reader = new ChatStreamReader();
  reader.push(chunkOf({ content: half }));
  reader.push(callChunk(0, CALL));
  reader.push(argumentsChunk(0, half));
  assert.throws(() => reader.push(argumentsChunk(0, 'x')), REFUSED);
  const calls = [{ ...CALL, arguments: half }];
  assert.equal(readCompletion(completionOf({ text: half, calls })).text.length, half.length);
  assert.throws(() => readCompletion(completionOf({ text: `${half}x`, calls })), REFUSED);
});

/** A completion with one member changed. */
function changed(more: object): object {
  return { ...completionOf({ text: 'x' }), ...more };
}

const NOT_WHOLE: readonly (readonly [what: string, completion: unknown])[] = [
  ['nothing', undefined],
  ['no choice', changed({ choices: [] })],
  ['no usage', changed({ usage: undefined })],
  ['more cached than read', changed({ usage: { ...CHAT_USAGE, prompt_tokens: 1 } })],
  ['no finish reason', changed({ choices: [{ index: 0, message: { role: 'assistant' } }] })],
  ['a call without an id', completionOf({ calls: [{ ...CALL, id: '' }] })],
  ['too many calls', completionOf({ calls: Array.from({ length: CALLS_MAX + 1 }, () => CALL) })],
];

for (const [what, completion] of NOT_WHOLE) {
  test(`a whole answer with ${what} is refused`, () => {
    assert.throws(() => readCompletion(completion), REFUSED);
  });
}
