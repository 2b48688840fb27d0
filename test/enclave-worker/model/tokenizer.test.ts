/** The vocabulary that is learnt here makes the tokens that llama.cpp makes. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { utf8 } from '../../../core/bytes.ts';
import { corpusDocuments } from '../../../enclave-worker/model/corpus/dialogue.ts';
import {
  learnMerges,
  Tokenizer,
  vocabularyOf,
  type Merge,
} from '../../../enclave-worker/model/tokenizer/tokenizer.ts';
import { NEW_FORMS } from '../../../enclave-worker/model/evaluation/held-out.ts';
import { openLlamaLab, type LlamaLab } from '../../support/grammar/llama.ts';

let lab: LlamaLab;

before(async () => {
  lab = await openLlamaLab();
});

after(() => lab.close());

const ODD = [
  '',
  ' ',
  '  two  spaces  ',
  'tabs\tand\nlines\n\n\nand\r\nmore ',
  "it's we're I'll they've he'd I'm IT'S",
  '3.14 12345 ½ ²',
  'é ü ß ñ — … “quoted”',
  'Привет, мир! 你好 こんにちは',
  '👩‍💻🏳️‍🌈',
  '<|im_end|> is text here',
  '\u0000\u0001\u007f\u00ad\u00a0',
  'a\u0301 b\u200d c',
];

test('the tokens of the demo model are those of llama.cpp, for whatever text', () => {
  const ggml = lab.model.fileInfo.metadata.tokenizer?.ggml;
  assert.ok(ggml !== undefined && ggml.merges !== undefined);
  const merges = [...ggml.merges].map((merge): Merge => {
    const [left = '', right = ''] = merge.split(' ');
    return [left, right];
  });
  const vocabulary = vocabularyOf(merges);
  assert.deepEqual(vocabulary.tokens, [...ggml.tokens]);
  const tokenizer = new Tokenizer(vocabulary);
  for (const text of [...ODD, ...NEW_FORMS]) {
    const theirs: number[] = [...lab.model.tokenize(text)];
    assert.deepEqual(tokenizer.encode(text), theirs, JSON.stringify(text));
  }
});

test('what is most frequent is merged first, and what comes out is the same each time', () => {
  const documents = [...corpusDocuments({ seed: 5, documents: 300, mix: 'broad' })];
  const merges = learnMerges(documents, 40);
  assert.equal(merges.length, 40);
  assert.deepEqual(learnMerges(documents, 40), merges);
  const { tokens, controlStart, unusedStart } = vocabularyOf(merges);
  assert.equal(controlStart, 256 + 40);
  assert.equal(unusedStart, controlStart + 3);
  assert.equal(tokens.length % 32, 0);
  assert.equal(new Set(tokens).size, tokens.length);
});

test('fewer merges come out where there is nothing left to merge', () => {
  const only = [[{ kind: 'text' as const, text: 'aaaa', learnt: true }]];
  const merges = learnMerges(only.concat(only), 40);
  assert.deepEqual(merges, [
    ['a', 'a'],
    ['aa', 'aa'],
  ]);
  const tokenizer = new Tokenizer(vocabularyOf(merges));
  assert.deepEqual(tokenizer.encode('aaaaaaa'), [257, 256, utf8('a')[0]]);
});
