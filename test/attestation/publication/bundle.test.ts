/** Bundles: the policy inside is the one that was compiled, and stands up to the same demands. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { assertCompiled } from '../../../attestation/policy/compile.ts';
import { BUNDLE, decodeBundle, encodeBundle } from '../../../attestation/publication/bundle.ts';
import { parseEnvelope } from '../../../attestation/publication/envelope.ts';
import { openPinnedRoot } from '../../../attestation/publication/root.ts';
import { verifyDocument } from '../../../attestation/publication/verified.ts';
import { fromUtf8, utf8 } from '../../../core/bytes.ts';
import { VeilError, hasCode } from '../../../core/errors.ts';
import { parseStrictJson, type Json } from '../../../core/json.ts';
import { makeBundle, makeRoot, policyOf, sign } from '../../support/publication.ts';

const POLICY = policyOf(3);
const TEXT = fromUtf8(encodeBundle(POLICY));
const ROOT = openPinnedRoot(makeRoot());

function json(text: string): Json {
  return parseStrictJson(utf8(text), { maxBytes: 1 << 22, numbers: 'integers' }).value;
}

test('the policy comes out compiled, with its digest and its lines', () => {
  const { payload } = verifyDocument(parseEnvelope(makeBundle(POLICY), 'bundle'), ROOT, BUNDLE);
  const { policy } = payload;
  assertCompiled(policy);
  assert.deepEqual(policy.digest, POLICY.digest);
  assert.equal(policy.canonical, POLICY.canonical);
  assert.equal(policy.at('rules', 0, 'id'), POLICY.at('rules', 0, 'id'));
  assert.match(policy.at('rules', 0, 'id'), /^test\.yaml:\d+$/);
});

test('lines are no part of the digest of a policy', () => {
  const { policy } = decodeBundle(json(TEXT.replaceAll('test.yaml', 'other.yaml')));
  assert.deepEqual(policy.digest, POLICY.digest);
  assert.deepEqual(sha256(utf8(policy.canonical)), POLICY.digest);
});

test('no bundle: members missing, unknown or of another form', () => {
  for (const changed of [
    TEXT.replace('bundle/1', 'bundle/2'),
    TEXT.replace('{', '{"spare":1,'),
    TEXT.replace(/"policy":\{.*\}/, '"policy":null}'),
    TEXT.replace(/"policy":\{.*\}/, '"policy":"text"}'),
    TEXT.replace('"files":["test.yaml"]', '"files":[""]'),
    TEXT.replace('"files":["test.yaml"]', '"files":["test.yaml"],"spare":1'),
    TEXT.replace('["",0,1]', '["",0,0]'),
    TEXT.replace('["",0,1]', '["",-1,1]'),
    TEXT.replace('["",0,1]', '["",0]'),
    TEXT.replace('["",0,1]', '["",0,1,1]'),
  ]) {
    assert.notEqual(changed, TEXT);
    assert.throws(
      () => decodeBundle(json(changed)),
      (error) => hasCode(error, 'publication.malformed'),
      changed.slice(0, 200),
    );
  }
});

test('a policy that does not compile is refused, and nothing of it is repeated', () => {
  const secret = 'words-of-the-policy';
  const changed = TEXT.replace('"debug":"forbid"', `"debug":"${secret}","${secret}":1`);
  const unknownRule = TEXT.replace('"images":["test-image"]', `"images":["${secret}"]`);
  for (const text of [changed, unknownRule]) {
    assert.notEqual(text, TEXT);
    assert.throws(
      () => decodeBundle(json(text)),
      (error) =>
        error instanceof VeilError &&
        error.code === 'publication.bundle_policy' &&
        !error.message.includes(secret),
    );
  }
});

test('a member that nobody would judge is refused where a policy has free names', () => {
  const text = TEXT.replace('"min_isvsvn":{"TDX_01":5}', '"min_isvsvn":{"TDX_01":5,"__proto__":9}');
  assert.notEqual(text, TEXT);
  assert.throws(
    () => verifyDocument(parseEnvelope(sign('bundle', utf8(text)), 'bundle'), ROOT, BUNDLE),
    (error) => hasCode(error, 'publication.malformed'),
  );
});

test('two of the role policy have to sign', () => {
  const verify = (by: readonly string[]) =>
    verifyDocument(parseEnvelope(makeBundle(POLICY, by), 'bundle'), ROOT, BUNDLE);
  assert.doesNotThrow(() => verify(['bob', 'carol']));
  assert.throws(
    () => verify(['alice']),
    (error) => hasCode(error, 'publication.threshold'),
  );
});

test('the name of the policy is that of the root', () => {
  const other = sign('bundle', encodeBundle(policyOf(1, { name: 'other' })));
  assert.throws(
    () => verifyDocument(parseEnvelope(other, 'bundle'), ROOT, BUNDLE),
    (error) => hasCode(error, 'publication.other_policy'),
  );
});
