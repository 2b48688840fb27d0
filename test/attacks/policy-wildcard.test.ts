/**
 * Somebody writes a pattern where a policy wants a name, and believes it to mean "all": it must never load as one, neither
 * as something that admits everybody nor as a grant that admits nobody in silence. Spec: threat B7.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { problemsOf } from '../../attestation/policy/problems/problems.ts';
import { VeilError } from '../../core/errors.ts';
import type { Json, JsonObject } from '../../core/json.ts';
import {
  QUIET_SNP_RULE,
  quietDocument,
  quietImage,
  quietSnpImage,
} from '../support/lint-policy.ts';
import { TEST_SNP_CPU } from '../support/snp/worker-evidence.ts';
import { compileDocument, TEST_CPU, TEST_RULE } from '../support/worker-evidence.ts';

const PATTERNS = [
  '*',
  'any',
  'all',
  'worker-*',
  'worker-.*',
  'worker-?',
  '^worker$',
  'a|b',
  '[a-z]+',
  '(a)',
  '.*',
  'x\\d',
];

const rule = (members: JsonObject): JsonObject => ({ rules: [{ ...TEST_RULE, ...members }] });
const cpu = (members: JsonObject): JsonObject => rule({ cpu: { ...TEST_CPU, ...members } });
const snp = (members: JsonObject): JsonObject => ({
  rules: [{ ...QUIET_SNP_RULE, cpu: { ...TEST_SNP_CPU, ...members } }],
  images: [quietSnpImage('snp-image')],
});

/** Every place where a policy names what it admits. */
const PLACES: readonly (readonly [what: string, edit: (pattern: string) => JsonObject])[] = [
  ['the images of a rule', (pattern) => rule({ images: [pattern] })],
  ['the images of a rule, as a word', (pattern) => rule({ images: pattern })],
  ['an image', (pattern) => ({ ...rule({ images: [pattern] }), images: [quietImage(pattern)] })],
  ['a kind of platform', (pattern) => cpu({ fmspc: { allow: [pattern] } })],
  ['a module', (pattern) => cpu({ mrseam: { allow: [pattern] } })],
  ['a platform', (pattern) => cpu({ platforms: { allow: { ppid: [pattern] } } })],
  ['a chip', (pattern) => snp({ platforms: { allow: { chip_id: [pattern] } } })],
  ['an author key', (pattern) => snp({ author_keys: { allow: [pattern] } })],
  ['a measurement', (pattern) => ({ images: [quietImage('test-image', { mrowner: pattern })] })],
  ['weights', (pattern) => ({ models: [{ id: 'test/model', weights: pattern }] })],
];

function refusal(document: Json): string {
  try {
    compileDocument(document);
  } catch (error) {
    assert.ok(error instanceof VeilError);
    const problems = problemsOf(error) ?? [];
    return problems.map(({ message, hint = '' }) => `${message} ${hint}`).join('\n');
  }
  return assert.fail('compiles');
}

for (const [what, edit] of PLACES) {
  test(`B7: a pattern for ${what} does not load, and the message says that there are no wildcards`, () => {
    for (const pattern of PATTERNS) {
      assert.match(refusal(quietDocument(edit(pattern))), /there are no wildcards/, pattern);
    }
  });
}

test('B7: a pattern for a model or a cloud does not load', () => {
  // Names of models and clouds may hold what names of images may not; `any` and `all` are possible names there.
  for (const pattern of PATTERNS.filter((each) => !/^[a-z]+$/.test(each))) {
    const edits = [
      {
        ...rule({ models: [pattern] }),
        models: [{ id: pattern, weights: `sha256:${'ab'.repeat(32)}` }],
      },
      snp({ signer: { allow: ['vlek'], csp_ids: [pattern] } }),
    ];
    for (const edit of edits) {
      if (pattern === '.*' && edit === edits[1]) continue;
      assert.match(refusal(quietDocument(edit)), /there are no wildcards/, pattern);
    }
  }
});

test('B7: a list of models that says any admits no model of another name', () => {
  // The schema of cards allows such a name, so it must be a name here and nothing more.
  const message = refusal(quietDocument(rule({ models: ['any'] })));
  assert.match(message, /"any" is not defined here/);
});
