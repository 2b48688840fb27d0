/**
 * For every check of TDX verification: evidence in which exactly that check fails. Spec: tdx.md §3, §5; STYLE §10.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TDX_CHECK_IDS } from '../../../attestation/tdx/check-list.ts';
import { verifyTdx } from '../../../attestation/tdx/verify.ts';
import { buildCase } from '../../support/tdx/case.ts';
import { createTestPki } from '../../support/tdx/pki.ts';
import { CERTIFICATE_CASES } from './cases/certificate-cases.ts';
import { isAuthenticity, TCB_POLICY, type CheckCase } from './cases/check-case.ts';
import { DOCUMENT_CASES } from './cases/document-cases.ts';
import { POLICY_CASES } from './cases/policy-cases.ts';
import { QUOTE_CASES } from './cases/quote-cases.ts';

const pki = await createTestPki();
const CASES: readonly CheckCase[] = [
  ...QUOTE_CASES,
  ...CERTIFICATE_CASES,
  ...DOCUMENT_CASES,
  ...POLICY_CASES,
];

describe('sound evidence passes every check', () => {
  for (const [version, body] of [
    [4, 2],
    [5, 2],
    [5, 3],
    [5, 4],
  ] as const) {
    test(`quote version ${version} with body type ${body}`, async () => {
      const result = verifyTdx(await buildCase(pki, { quote: { version, body } }));
      const bad = result.checks.filter(
        ({ outcome }) => outcome === 'fail' || outcome === 'skipped',
      );
      assert.deepEqual(bad, []);
      assert.deepEqual(
        result.checks.map(({ id }) => id),
        TDX_CHECK_IDS,
      );
      assert.equal(result.authentic, true);
      assert.equal(result.accepted, true);
      assert.equal(result.simulated, true);
      assert.deepEqual(result.warnings, []);
      assert.equal(result.quote?.bodyType, body);
    });
  }
});

describe('exactly one check fails', () => {
  for (const known of CASES) {
    test(`${known.id}: ${known.title}`, async () => {
      const faults = typeof known.faults === 'function' ? await known.faults(pki) : known.faults;
      const result = verifyTdx(await buildCase(pki, faults));
      const authentic = ![known.id, ...(known.alsoFails ?? [])].some(isAuthenticity);
      const ids = (wanted: string): readonly string[] =>
        result.checks.filter(({ outcome }) => outcome === wanted).map(({ id }) => id);
      assert.deepEqual(ids('fail').toSorted(), [known.id, ...(known.alsoFails ?? [])].toSorted());
      assert.deepEqual(
        ids('skipped').toSorted(),
        [...(known.skips ?? []), ...(authentic ? [] : TCB_POLICY)].toSorted(),
      );
      assert.equal(result.authentic, authentic);
      assert.equal(result.accepted, false);
      assert.equal(result.tcb === undefined, !authentic);
      if (!authentic) assert.equal(result.validUntilMs, 0);
    });
  }
});

test('a failed check that touches others says why', () => {
  const silent = CASES.filter(
    ({ alsoFails, skips, why }) => (alsoFails ?? skips) !== undefined && why === undefined,
  );
  assert.deepEqual(silent, []);
});

test('every check the verifier reports has a case in which it alone fails', () => {
  const alone = new Set(
    CASES.filter(({ alsoFails }) => alsoFails === undefined).map(({ id }) => id),
  );
  assert.deepEqual([...alone].toSorted(), [...TDX_CHECK_IDS].toSorted());
});

test('every skipped check names a failed one as its cause', async () => {
  const result = verifyTdx(await buildCase(pki, { quote: { bytes: () => new Uint8Array() } }));
  const failed = result.checks.flatMap(({ id, outcome }) => (outcome === 'fail' ? [id] : []));
  for (const check of result.checks) {
    if (check.outcome === 'skipped') assert.ok(failed.includes(check.because), check.because);
  }
});
