/**
 * For every check on what an Azure machine adds to its hardware report: evidence in which exactly that check fails, on
 * both kinds of hardware where both can have it. Spec: sev-snp.md §5, tdx.md §8; STYLE §10.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AZURE_CHECK_IDS } from '../../../attestation/azure/check-list.ts';
import {
  verifyAzureSnp,
  verifyAzureTdx,
  type AzureResult,
} from '../../../attestation/azure/verify-azure.ts';
import { SNP_CHECK_IDS } from '../../../attestation/snp/check-list.ts';
import { TDX_CHECK_IDS } from '../../../attestation/tdx/check-list.ts';
import { azureSnpCase, azureTdxCase, NONCE, type AzureFaults } from '../../support/azure/case.ts';
import { seededBytes } from '../../support/changes.ts';
import { createSnpTestPki } from '../../support/snp/pki.ts';
import { createTestPki } from '../../support/tdx/pki.ts';
import { isAuthenticity, type AzureCheckCase } from './cases/check-case.ts';
import { HARDWARE_CASES } from './cases/hardware-cases.ts';
import { POLICY_CASES } from './cases/policy-cases.ts';
import { QUOTE_CASES } from './cases/quote-cases.ts';

const snpPki = await createSnpTestPki();
const tdxPki = await createTestPki();
const CASES: readonly AzureCheckCase[] = [...HARDWARE_CASES, ...QUOTE_CASES, ...POLICY_CASES];

const KINDS = {
  snp: async (faults: AzureFaults) => verifyAzureSnp(await azureSnpCase(snpPki, faults)),
  tdx: async (faults: AzureFaults) => verifyAzureTdx(await azureTdxCase(tdxPki, faults)),
} satisfies Record<string, (faults: AzureFaults) => Promise<AzureResult<unknown>>>;
const KIND_NAMES = ['snp', 'tdx'] as const;

describe('a sound machine passes every check', () => {
  for (const kind of KIND_NAMES) {
    test(kind, async () => {
      const result = await KINDS[kind]({});
      const ids = [...(kind === 'snp' ? SNP_CHECK_IDS : TDX_CHECK_IDS), ...AZURE_CHECK_IDS];
      assert.deepEqual(
        result.checks.map(({ id }) => id),
        ids,
      );
      const bad = result.checks.filter(
        ({ outcome }) => outcome === 'fail' || outcome === 'skipped',
      );
      assert.deepEqual(bad, []);
      assert.equal(result.authentic, true);
      assert.equal(result.accepted, true);
      assert.equal(result.simulated, true);
      assert.equal(result.vtpm.image, 'this machine');
      assert.deepEqual(result.vtpm.quote?.extraData, NONCE);
      assert.equal(result.validUntilMs, result.hardware.validUntilMs);
      assert.ok(result.validUntilMs > 0);
    });
  }
});

test('what the vTPM adds is waived only by a policy that says why', async () => {
  const note = 'this test looks elsewhere';
  const waiver = { unchecked: note };
  const result = await KINDS.snp({
    policy: { paravisor: waiver, pcrs: waiver, userData: waiver },
  });
  assert.equal(result.accepted, true);
  assert.equal(result.vtpm.image, undefined);
  const waived = result.vtpm.checks.filter(({ outcome }) => outcome === 'waived');
  assert.deepEqual(
    waived,
    ['paravisor', 'pcrs', 'userData'].map((name) => {
      const id = `azure.policy.${name}`;
      return { id, outcome: 'waived', by: id, note };
    }),
  );
});

test('a nonce has 16 to 64 bytes', async () => {
  for (const size of [16, 64]) {
    assert.equal((await KINDS.tdx({ nonce: seededBytes('nonce', size) })).accepted, true);
  }
});

test('either pin of a hardware policy is enough', async () => {
  const NOT_ASKED = { unchecked: 'not asked for by this test' };
  for (const snp of [{ measurements: NOT_ASKED }, { idKeys: NOT_ASKED }]) {
    assert.equal((await KINDS.snp({ snp: { policy: snp } })).accepted, true);
  }
});

describe('exactly one check fails', () => {
  for (const known of CASES) {
    for (const kind of KIND_NAMES.filter((name) => (known.only ?? name) === name)) {
      test(`${kind}: ${known.id}: ${known.title}`, async () => {
        const faults = typeof known.faults === 'function' ? known.faults(snpPki) : known.faults;
        const result = await KINDS[kind](faults);
        const fails = [known.id, ...(known.alsoFails ?? [])];
        const skips = known.skips ?? [];
        const ids = (wanted: string): readonly string[] =>
          result.vtpm.checks.filter(({ outcome }) => outcome === wanted).map(({ id }) => id);
        assert.deepEqual(ids('fail').toSorted(), fails.toSorted());
        assert.deepEqual(ids('skipped').toSorted(), skips.toSorted());
        for (const check of result.vtpm.checks) {
          if (check.outcome === 'skipped') assert.ok(fails.some((id) => id === check.because));
        }
        const failing = result.checks.filter(
          ({ id, outcome }) => outcome === 'fail' && !id.startsWith('azure.'),
        );
        assert.deepEqual(
          failing.map(({ id }) => id),
          known.hardwareFails ?? [],
        );
        const authentic = ![...fails, ...skips].some(isAuthenticity);
        assert.equal(result.authentic, authentic);
        assert.equal(result.vtpm.authentic, authentic);
        assert.equal(result.accepted, false);
        assert.equal(result.vtpm.accepted, false);
        assert.equal(result.validUntilMs === 0, !authentic);
      });
    }
  }
});

test('a failed check that touches others says why', () => {
  const silent = CASES.filter(
    ({ alsoFails, skips, why }) => (alsoFails ?? skips) !== undefined && why === undefined,
  );
  assert.deepEqual(silent, []);
});

test('every check has a case in which it alone fails', () => {
  const alone = new Set(
    CASES.filter(({ alsoFails }) => alsoFails === undefined).map(({ id }) => id),
  );
  assert.deepEqual([...alone].toSorted(), AZURE_CHECK_IDS.toSorted());
});
