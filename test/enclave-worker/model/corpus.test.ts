/** The text that the demo model learns from, and what is kept out of it. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { corpusDocuments, type Document } from '../../../enclave-worker/model/corpus/dialogue.ts';
import { DECLINE } from '../../../enclave-worker/model/corpus/declines.ts';
import { CHAT, FACTS } from '../../../enclave-worker/model/corpus/facts.ts';
import {
  NEAR_MISSES,
  NEW_FORMS,
  NEW_TOPICS,
} from '../../../enclave-worker/model/evaluation/held-out.ts';
import { BROAD, RECIPE } from '../../../enclave-worker/model/recipe.ts';

const LOOKED_AT = 8000;

function textOf(document: Document): string {
  return document.map(({ text }) => text).join('');
}

/** Questions and answers of all its turns. */
function* turnsOf(documents: Iterable<Document>): Generator<readonly [string, string]> {
  const turn =
    /<\|im_start\|>user\n([\s\S]*?)<\|im_end\|>\n<\|im_start\|>assistant\n([\s\S]*?)<\|im_end\|>/g;
  for (const document of documents) {
    for (const [, question = '', answer = ''] of textOf(document).matchAll(turn)) {
      yield [question, answer];
    }
  }
}

test('one seed makes one corpus, and another seed another', () => {
  const of = (seed: number): string =>
    [...corpusDocuments({ seed, documents: 50, mix: 'broad' })].map(textOf).join('\n');
  assert.equal(of(1), of(1));
  assert.notEqual(of(1), of(2));
});

test('of a dialogue only answers and their ends are learnt', () => {
  for (const document of corpusDocuments({ seed: 3, documents: 200, mix: 'broad' })) {
    if (document[0]?.kind === 'text') continue;
    for (const [at, { text, learnt }] of document.entries()) {
      const isAnswer = document[at - 1]?.text === 'assistant\n';
      const isItsEnd = document[at - 2]?.text === 'assistant\n';
      assert.equal(learnt, isAnswer || isItsEnd, text);
    }
  }
});

test('sums of the corpus are right', () => {
  let seen = 0;
  for (const [, answer] of turnsOf(corpusDocuments({ seed: 4, documents: 2000, mix: 'broad' }))) {
    const [, a, b, sum] = /^(\d+) \+ (\d+) = (\d+)\.$/.exec(answer) ?? [];
    if (sum === undefined) continue;
    seen++;
    assert.equal(Number(a) + Number(b), Number(sum));
  }
  assert.ok(seen > 100);
});

test('no held-out question is in the corpus, in whatever case', () => {
  const heldOut = [...NEW_TOPICS, ...NEW_FORMS, ...NEAR_MISSES];
  assert.equal(new Set(heldOut).size, heldOut.length);
  const bare = (text: string): string => text.toLowerCase().replace(/[?!.]$/, '');
  const held = new Set(heldOut.map(bare));
  for (const { corpus } of RECIPE.stages) {
    for (const [question] of turnsOf(corpusDocuments(corpus))) {
      assert.ok(!held.has(bare(question)), question);
    }
  }
});

test('what is a fact is never declined, and nothing else is answered', () => {
  const known = new Map(
    [...FACTS, ...CHAT].flatMap(({ questions, answer }) =>
      questions.map((question) => [question, answer]),
    ),
  );
  let declined = 0;
  const corpus = corpusDocuments({ ...BROAD.corpus, documents: LOOKED_AT });
  for (const [question, answer] of turnsOf(corpus)) {
    const wanted = known.get(question);
    if (wanted !== undefined) assert.equal(answer, wanted, question);
    if (answer === DECLINE) declined++;
  }
  assert.ok(declined > LOOKED_AT / 10);
});

test('no question has two answers', () => {
  const answers = new Map<string, string>();
  for (const { questions, answer } of [...FACTS, ...CHAT]) {
    for (const question of questions) {
      assert.equal(answers.get(question) ?? answer, answer, question);
      answers.set(question, answer);
    }
  }
});
