/** Requests for text completions and embeddings are honoured exactly or refused by name. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision } from '../../../protocol/openai/decode-body.ts';
import { decodeEmbeddingsRequest } from '../../../protocol/openai/embeddings.ts';
import { decodeTextRequest, type TextRequest } from '../../../protocol/openai/text-request.ts';

function decoded<Request>(decision: Decision<Request>): Request {
  assert.ok(decision.outcome === 'decoded', JSON.stringify(decision));
  return decision.request;
}

function refused(decision: Decision<unknown>): readonly [string | null, string | null] {
  assert.ok(decision.outcome === 'refused');
  const { code, param } = decision.failure.body.error;
  return [code, param];
}

const BASE = { model: 'm', prompt: 'Once' };
const text = (body: object): TextRequest => decoded(decodeTextRequest({ ...BASE, ...body }));

test('the defaults of text completions are those of OpenAI', () => {
  assert.deepEqual(text({}), {
    model: 'm',
    prompts: ['Once'],
    choices: 1,
    maxOutputTokens: 16,
    sampling: {
      temperature: 1,
      topP: 1,
      frequencyPenalty: 0,
      presencePenalty: 0,
      logitBias: [],
      seed: undefined,
    },
    stop: [],
    topLogprobs: undefined,
    mode: 'unary',
    includeUsage: false,
  });
});

test('what is honoured of a text completion arrives', () => {
  const request = text({
    prompt: ['a', 'b'],
    max_tokens: 5,
    n: 2,
    best_of: 2,
    logprobs: 5,
    echo: false,
    suffix: '',
    stop: 'x',
    user: 'u',
    stream: true,
    stream_options: { include_usage: true },
  });
  assert.deepEqual(request.prompts, ['a', 'b']);
  assert.equal(request.choices, 2);
  assert.equal(request.maxOutputTokens, 5);
  assert.equal(request.topLogprobs, 5);
  assert.deepEqual(request.stop, ['x']);
  assert.equal(request.mode, 'stream');
  assert.equal(request.includeUsage, true);
  const nothing = { max_tokens: null, n: null, echo: null, suffix: null, best_of: null };
  assert.deepEqual(text(nothing), text({}));
});

const REFUSED_TEXT: readonly (readonly [object, string, string])[] = [
  [{ prompt: [1, 2, 3] }, 'unsupported_parameter', 'prompt'],
  [{ prompt: [[1], [2]] }, 'unsupported_parameter', 'prompt'],
  [{ prompt: '' }, 'invalid_value', 'prompt'],
  [{ prompt: [] }, 'invalid_value', 'prompt'],
  [{ prompt: null }, 'invalid_value', 'prompt'],
  [{ prompt: ['a', 'b'], n: 65 }, 'invalid_value', 'n'],
  [{ echo: true }, 'unsupported_parameter', 'echo'],
  [{ suffix: 'end' }, 'unsupported_parameter', 'suffix'],
  [{ best_of: 3 }, 'unsupported_parameter', 'best_of'],
  [{ n: 3, best_of: 2 }, 'invalid_value', 'best_of'],
  [{ logprobs: 6 }, 'invalid_value', 'logprobs'],
  [{ logprobs: true }, 'invalid_value', 'logprobs'],
  [{ messages: [] }, 'unknown_parameter', 'messages'],
  [{ max_completion_tokens: 5 }, 'unknown_parameter', 'max_completion_tokens'],
  [{ stream_options: {} }, 'invalid_value', 'stream_options'],
];

for (const [change, code, param] of REFUSED_TEXT) {
  test(`a text completion with ${JSON.stringify(change)} is refused as ${code} at ${param}`, () => {
    assert.deepEqual(refused(decodeTextRequest({ ...BASE, ...change })), [code, param]);
  });
}

test('inputs of embeddings are one text or several', () => {
  const one = { model: 'm', inputs: ['x'], encoding: 'float' };
  assert.deepEqual(decoded(decodeEmbeddingsRequest({ model: 'm', input: 'x' })), one);
  const body = { model: 'm', input: ['x', 'y'], encoding_format: 'base64', user: 'u' };
  assert.deepEqual(decoded(decodeEmbeddingsRequest(body)), {
    model: 'm',
    inputs: ['x', 'y'],
    encoding: 'base64',
  });
});

const REFUSED_EMBEDDINGS: readonly (readonly [object, string, string])[] = [
  [{ input: [1, 2] }, 'unsupported_parameter', 'input'],
  [{ input: [[1]] }, 'unsupported_parameter', 'input'],
  [{ input: '' }, 'invalid_value', 'input'],
  [{ input: [] }, 'invalid_value', 'input'],
  [{ input: Array.from({ length: 2049 }, () => 'x') }, 'invalid_value', 'input'],
  [{ dimensions: 64 }, 'unsupported_parameter', 'dimensions'],
  [{ encoding_format: 'int8' }, 'invalid_value', 'encoding_format'],
  [{ stream: true }, 'unknown_parameter', 'stream'],
];

for (const [change, code, param] of REFUSED_EMBEDDINGS) {
  test(`embeddings with ${JSON.stringify(change).slice(0, 40)} are refused as ${code} at ${param}`, () => {
    const body = { model: 'm', input: 'x', ...change };
    assert.deepEqual(refused(decodeEmbeddingsRequest(body)), [code, param]);
  });
}

test('dimensions of null ask for nothing', () => {
  assert.ok(
    decodeEmbeddingsRequest({ model: 'm', input: 'x', dimensions: null }).outcome === 'decoded',
  );
});
