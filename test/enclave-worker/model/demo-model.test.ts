/** The file that is shipped is the one its digest names, and it knows what its documents say. @module */

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { toHex } from '../../../core/bytes.ts';
import { DEMO_MODEL } from '../../../enclave-worker/demo-model/demo-model.ts';
import { evaluate, type Score } from '../../../enclave-worker/model/evaluation/evaluate.ts';
import { DEMO_SHAPE } from '../../../enclave-worker/model/recipe.ts';

const SIZE_MAX_BYTES = 1_000_000;
/** Of what was asked, at least; what is written down in its README is a little more. Another processor rounds differently. */
const WANTED: Readonly<Record<string, number>> = {
  'facts of the first model, four ways each': 1,
  'all facts, as documents show them': 1,
  politeness: 0.95,
  colours: 0.8,
  counting: 0.9,
  'declined: new topics in known forms': 0.95,
  'declined: new forms': 0.9,
  'declined: near misses': 0.8,
};

test('the file has its digest, its size and its context', async () => {
  const bytes = await readFile(DEMO_MODEL.path);
  assert.equal(toHex(sha256(bytes)), toHex(DEMO_MODEL.sha256));
  assert.ok(bytes.length <= SIZE_MAX_BYTES);
  assert.equal(DEMO_MODEL.contextLength, DEMO_SHAPE.contextLength);
});

test('it knows its facts and declines what it was never told', async () => {
  const scores: Score[] = [];
  await evaluate({
    path: DEMO_MODEL.path,
    contextTokens: DEMO_MODEL.contextLength,
    threads: 1,
    only: Object.keys(WANTED),
    onScore: (score) => void scores.push(score),
  });
  assert.equal(scores.length, Object.keys(WANTED).length);
  for (const { name, right, asked, wrong } of scores) {
    assert.ok(right >= asked * (WANTED[name] ?? 2), `${name}: ${JSON.stringify(wrong)}`);
  }
});
