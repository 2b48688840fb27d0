/**
 * For every check of SNP verification: evidence in which exactly that check fails. Each case is judged three times: as it
 * is, with a cache that knows the sound evidence, and with its signature verified apart; the answers are the same.
 * Spec: sev-snp.md §1 to §3; STYLE §10.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SignatureMemo } from '../../../attestation/pki/signature.ts';
import { SnpCache } from '../../../attestation/snp/cache.ts';
import { SNP_CHECK_IDS } from '../../../attestation/snp/check-list.ts';
import { verifySnp, verifySnpApart } from '../../../attestation/snp/verify.ts';
import { buildSnpCase, type SnpCase, type SnpFaults } from '../../support/snp/case.ts';
import { createSnpTestPki } from '../../support/snp/pki.ts';
import { BIND_CASES } from './cases/bind-cases.ts';
import { CHAIN_CASES } from './cases/chain-cases.ts';
import { CHAIN_SIGNATURE_CASES } from './cases/chain-signature-cases.ts';
import { isAuthenticity, type SnpCheckCase } from './cases/check-case.ts';
import { CRL_CASES } from './cases/crl-cases.ts';
import { LEAF_CASES } from './cases/leaf-cases.ts';
import { POLICY_CASES } from './cases/policy-cases.ts';
import { REPORT_CASES } from './cases/report-cases.ts';

const pki = await createSnpTestPki();
const CASES: readonly SnpCheckCase[] = [
  ...REPORT_CASES,
  ...CHAIN_CASES,
  ...CHAIN_SIGNATURE_CASES,
  ...LEAF_CASES,
  ...CRL_CASES,
  ...BIND_CASES,
  ...POLICY_CASES,
];

/** Knows the sound certificates and list of each kind. */
const cache = new SnpCache();
for (const product of ['Genoa', 'Milan', 'Turin'] as const) {
  for (const signer of ['vcek', 'vlek'] as const) {
    const sound = await buildSnpCase(pki, { product, signer });
    assert.equal(verifySnp({ ...sound, cache }).accepted, true);
  }
}

async function faultsOf({ faults }: SnpCheckCase): Promise<SnpFaults> {
  return typeof faults === 'function' ? await faults(pki) : faults;
}

async function judgedThreeTimes(evidence: SnpCase): Promise<ReturnType<typeof verifySnp>> {
  const result = verifySnp(evidence);
  assert.deepEqual(verifySnp({ ...evidence, cache }), result, 'with a cache');
  const memo = new SignatureMemo();
  await verifySnpApart(evidence, memo);
  assert.deepEqual(verifySnp({ ...evidence, memo }), result, 'verified apart');
  return result;
}

describe('exactly one check fails', () => {
  for (const known of CASES) {
    test(`${known.id}: ${known.title}`, async () => {
      const result = await judgedThreeTimes(await buildSnpCase(pki, await faultsOf(known)));
      const fails = [known.id, ...(known.alsoFails ?? [])];
      const skips = known.skips ?? [];
      const ids = (wanted: string): readonly string[] =>
        result.checks.filter(({ outcome }) => outcome === wanted).map(({ id }) => id);
      assert.deepEqual(ids('fail').toSorted(), fails.toSorted());
      assert.deepEqual(ids('skipped').toSorted(), skips.toSorted());
      for (const check of result.checks) {
        if (check.outcome === 'skipped') assert.ok(fails.some((id) => id === check.because));
      }
      const authentic = ![...fails, ...skips].some(isAuthenticity);
      assert.equal(result.authentic, authentic);
      assert.equal(result.accepted, false);
      assert.equal(result.owner === undefined, !authentic);
      assert.equal(result.validUntilMs === 0, !authentic);
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
  assert.deepEqual([...alone].toSorted(), SNP_CHECK_IDS.toSorted());
});
