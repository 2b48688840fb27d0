/** Vectors and probabilities in the words of OpenAI's API. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBase64, utf8 } from '../../../core/bytes.ts';
import { embeddingList } from '../../../protocol/openai/embeddings.ts';
import { chatLogprobs, TextLogprobsWriter } from '../../../protocol/openai/logprobs.ts';

const USAGE = { prompt: 7, cached: 0, completion: 0, reasoning: 0 };

test('base64 is little-endian float32, bit for bit the numbers of float', () => {
  const vectors = [Float32Array.of(0.1, -1.5, 3e-39), Float32Array.of(1, 2, 3)];
  const asked = { model: 'm', encoding: 'base64' } as const;
  const list = embeddingList(asked, vectors, USAGE);
  assert.deepEqual(
    list.data.map(({ index }) => index),
    [0, 1],
  );
  const [first] = list.data;
  assert.ok(typeof first?.embedding === 'string');
  const bytes = fromBase64(first.embedding);
  assert.deepEqual([...bytes.subarray(4, 8)], [0x00, 0x00, 0xc0, 0xbf]);
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const plain = embeddingList({ model: 'm', encoding: 'float' }, vectors, USAGE).data[0]?.embedding;
  assert.ok(Array.isArray(plain));
  assert.deepEqual(
    plain,
    [0, 4, 8].map((at) => view.getFloat32(at, true)),
  );
  assert.deepEqual(list.usage, { prompt_tokens: 7, total_tokens: 7 });
});

test('a token that is a piece of a character is spelled as bytes', () => {
  const [first, second] = utf8('é');
  assert.ok(first !== undefined && second !== undefined);
  const { content } = chatLogprobs([
    { bytes: utf8('caf'), logprob: -0.5, top: [{ bytes: utf8('caf'), logprob: -0.5 }] },
    { bytes: Uint8Array.of(first), logprob: -1, top: [] },
  ]);
  assert.deepEqual(content[0], {
    token: 'caf',
    logprob: -0.5,
    bytes: [99, 97, 102],
    top_logprobs: [{ token: 'caf', logprob: -0.5, bytes: [99, 97, 102] }],
  });
  assert.equal(content[1]?.token, 'bytes:\\xc3');
  assert.deepEqual(content[1]?.bytes, [0xc3]);
});

test('the lists of a text completion are parallel, and places go on from piece to piece', () => {
  const writer = new TextLogprobsWriter(2);
  const token = (text: string) => ({
    bytes: utf8(text),
    logprob: -1,
    top: [
      { bytes: utf8(text), logprob: -1 },
      { bytes: utf8('__proto__'), logprob: -2 },
    ],
  });
  const first = writer.write([token('Ab'), token('\u{1F30D}')]);
  assert.deepEqual(first.tokens, ['Ab', '\u{1F30D}']);
  assert.deepEqual(first.token_logprobs, [-1, -1]);
  assert.deepEqual(first.text_offset, [0, 2]);
  assert.deepEqual(JSON.stringify(first.top_logprobs?.[0]), '{"Ab":-1,"__proto__":-2}');
  assert.deepEqual(writer.write([token('c')]).text_offset, [3]);
  assert.equal(new TextLogprobsWriter(0).write([token('c')]).top_logprobs, null);
});
