/**
 * A list that grants is emptied, by mistake or on purpose, in the hope that nothing listed means nothing checked. It means
 * that nobody is admitted: when the policy is compiled, when it is linted, and when it is judged by. Spec: threat B3.
 * @module
 */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { Json, JsonObject } from '../../core/json.ts';
import { parseJson } from '../../core/json.ts';
import { utf8 } from '../../core/bytes.ts';
import { lintPolicy } from '../../attestation/policy/lint.ts';
import { BLOCKING } from '../../attestation/policy/lint/finding.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';
import {
  buildSnpEvidence,
  snpImage,
  TEST_SNP_CPU,
  TEST_SNP_RULE,
} from '../support/snp/worker-evidence.ts';
import { createTestPki, NOW_MS } from '../support/tdx/pki.ts';
import {
  appraiseTest,
  buildEvidence,
  compileDocument,
  TEST_CPU,
  TEST_IMAGE,
  TEST_RULE,
  testPolicyDocument,
  type SoundEvidence,
} from '../support/worker-evidence.ts';

let tdx: SoundEvidence;
let snp: SoundEvidence;
before(async () => {
  tdx = await buildEvidence(await createTestPki());
  snp = await buildSnpEvidence(await createSnpTestPki());
});

const ofTdx = (cpu: JsonObject): JsonObject => ({
  rules: [{ ...TEST_RULE, cpu: { ...TEST_CPU, ...cpu } }],
});
const ofSnp = (cpu: JsonObject): JsonObject => ({
  rules: [{ ...TEST_SNP_RULE, cpu: { ...TEST_SNP_CPU, ...cpu } }],
  images: [snpImage()],
});

const TDX: readonly (readonly [what: string, edit: JsonObject])[] = [
  ['rules', { rules: [] }],
  ['models of a rule', { rules: [{ ...TEST_RULE, models: [] }] }],
  ['images of a rule', { rules: [{ ...TEST_RULE, images: [] }] }],
  ['tuples of an image', { images: [{ ...TEST_IMAGE, tdx: [] }] }],
  ['TDX modules', ofTdx({ tdx_module: { identities: [], min_isvsvn: {}, mrsigner: 'intel' } })],
  ['module builds', ofTdx({ mrseam: { allow: [] } })],
  ['kinds of platform', ofTdx({ fmspc: { allow: [] } })],
  ['platforms', ofTdx({ platforms: { allow: { ppid: [] } } })],
  ['hosts', ofTdx({ platforms: { registry: 'hosts' } })],
];
const SNP: typeof TDX = [
  ['products', ofSnp({ products: [] })],
  ['signers', ofSnp({ signer: { allow: [], csp_ids: [] } })],
  ['clouds', ofSnp({ signer: { allow: ['vlek'], csp_ids: [] } })],
  ['privilege levels', ofSnp({ vmpl: [] })],
  ['floors', ofSnp({ tcb: {} })],
  ['author keys', ofSnp({ author_keys: { allow: [] } })],
  ['chips', ofSnp({ platforms: { allow: { chip_id: [] } } })],
  ['hosts', ofSnp({ platforms: { registry: 'hosts' } })],
  ['tuples of an image', { ...ofSnp({}), images: [snpImage([])] }],
];

function judged(sound: SoundEvidence, edit: Readonly<Record<string, Json>>) {
  const document = testPolicyDocument(sound.rootSha256, edit);
  const policy = compileDocument(document);
  return { document, policy, outcome: appraiseTest(sound, { policy }).outcome };
}

test('B3: the policies that are emptied here admit the worker as they were', () => {
  assert.equal(judged(tdx, {}).outcome, 'admitted');
  assert.equal(judged(snp, ofSnp({})).outcome, 'admitted');
});

for (const [tee, rows] of [
  ['tdx', TDX],
  ['snp', SNP],
] as const) {
  for (const [what, edit] of rows) {
    test(`B3: ${tee}: no ${what}, nobody admitted: compiled as it stands, found by lint, denied`, () => {
      const { document, policy, outcome } = judged(tee === 'tdx' ? tdx : snp, edit);
      // Compiling fills nothing in: what is signed says the same as what was written.
      assert.deepEqual(parseJson(utf8(policy.canonical), 1 << 20), sorted(document));
      const ids = lintPolicy(policy, NOW_MS).map(({ id }) => id);
      assert.ok(ids.includes('policy.nobody'), ids.join());
      assert.ok(what === 'rules' || ids.some((id) => BLOCKING.includes(id)), ids.join());
      assert.equal(outcome, 'denied');
    });
  }
}

test('B3: without a status in the list only an exception admits, and there is none', () => {
  const { outcome } = judged(tdx, ofTdx({ tcb_status: [] }));
  assert.equal(outcome, 'denied');
});

function sorted(value: Json): unknown {
  return parseJson(utf8(JSON.stringify(value)), 1 << 20);
}
