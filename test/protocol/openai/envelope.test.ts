/** The members of a chat request that sealing and routing read. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';
import {
  CHAT_PATH,
  COMPLETIONS_PATH,
  EMBEDDINGS_PATH,
} from '../../../protocol/openai/endpoints.ts';
import { decodeEnvelope, type RequestEnvelope } from '../../../protocol/openai/envelope.ts';

const MAX = 1000;

function decode(body: unknown): RequestEnvelope {
  return decodeEnvelope(CHAT_PATH, utf8(JSON.stringify(body)), MAX);
}

test('model, mode, choices and output bound are read; the rest is left to the worker', () => {
  const body = { model: 'm', stream: true, n: 2, max_tokens: 5, messages: 'whatever' };
  assert.deepEqual(decode(body), { model: 'm', mode: 'stream', choices: 2, outputTokens: 5 });
});

test('defaults: unary, one choice, no output bound; null is absent', () => {
  const want = { model: 'm', mode: 'unary', choices: 1, outputTokens: undefined };
  assert.deepEqual(decode({ model: 'm' }), want);
  assert.deepEqual(decode({ model: 'm', stream: null, n: null, max_tokens: null }), want);
});

test('max_completion_tokens goes before max_tokens', () => {
  const { outputTokens } = decode({ model: 'm', max_tokens: 5, max_completion_tokens: 7 });
  assert.equal(outputTokens, 7);
});

for (const [name, body] of [
  ['model', { model: '' }],
  ['model', { model: 'x'.repeat(257) }],
  ['model', {}],
  ['stream', { model: 'm', stream: 'yes' }],
  ['n', { model: 'm', n: 129 }],
  ['max_tokens', { model: 'm', max_tokens: 0 }],
  ['max_completion_tokens', { model: 'm', max_completion_tokens: 1.5 }],
  ['body', []],
] as const) {
  test(`a bad ${name} in ${JSON.stringify(body).slice(0, 40)} is named and not shown`, () => {
    assert.throws(
      () => decode(body),
      (error) =>
        error instanceof VeilError &&
        error.code === 'openai.envelope' &&
        error.facts['param'] === name,
    );
  });
}

test('a body past the limit is refused unread', () => {
  assert.throws(() => decodeEnvelope(CHAT_PATH, new Uint8Array(MAX + 1), MAX), {
    code: 'json.size',
  });
});

test('a text completion counts a choice for each prompt, and sixteen tokens where nothing is said', () => {
  const text = (body: object): RequestEnvelope =>
    decodeEnvelope(COMPLETIONS_PATH, utf8(JSON.stringify(body)), MAX);
  const one = { model: 'm', mode: 'unary', choices: 1, outputTokens: 16 };
  assert.deepEqual(text({ model: 'm', prompt: 'x' }), one);
  const six = { model: 'm', mode: 'stream', choices: 6, outputTokens: 5 };
  assert.deepEqual(
    text({ model: 'm', prompt: ['a', 'b', 'c'], n: 2, max_tokens: 5, stream: true }),
    six,
  );
  assert.throws(() => text({ model: 'm', prompt: ['a', 'b'], n: 65 }), {
    code: 'openai.envelope',
    facts: { param: 'n' },
  });
});

test('embeddings are one choice of the least output that a prelude has room for', () => {
  const body = utf8(JSON.stringify({ model: 'm', input: ['a', 'b'], stream: true }));
  const want = { model: 'm', mode: 'unary', choices: 1, outputTokens: 1 };
  assert.deepEqual(decodeEnvelope(EMBEDDINGS_PATH, body, MAX), want);
});
