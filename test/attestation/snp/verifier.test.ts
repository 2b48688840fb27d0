/**
 * What the verifier says to an appraisal beside its checks: nothing about evidence that reads well and is not genuine,
 * a platform's name only where the signing key proves it, and "hardware" for AMD's own roots alone.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NO_REVOCATIONS } from '../../../attestation/policy/revocations.ts';
import { decodePemBlock } from '../../../attestation/pem.ts';
import type { EvidenceBundle } from '../../../attestation/evidence.ts';
import type { SnpEndorsements } from '../../../attestation/snp/endorsements.ts';
import { snp } from '../../../attestation/snp/verifier.ts';
import type { TeeFinding, TeeInput } from '../../../attestation/tee.ts';
import { fromUtf8, toHex, type Bytes } from '../../../core/bytes.ts';
import { corpusFile, hasCorpus } from '../../support/snp/amd-corpus.ts';
import type { SnpFaults } from '../../support/snp/case.ts';
import { CSP_ID, createSnpTestPki, NOW_MS, PRODUCTS } from '../../support/snp/pki.ts';
import {
  buildSnpEvidence,
  snpImage,
  TEST_SNP_RULE,
  type TestSnpEvidence,
} from '../../support/snp/worker-evidence.ts';
import { testPolicy } from '../../support/worker-evidence.ts';

const pki = await createSnpTestPki();

function verified(
  { evidence, rootSha256 }: TestSnpEvidence,
  simulatedRoots: TeeInput['simulatedRoots'] = [rootSha256],
): TeeFinding {
  return snp.verify({ evidence, nowMs: NOW_MS, simulatedRoots, caches: {} });
}

function failed({ checks }: TeeFinding): readonly string[] {
  return checks.filter(({ outcome }) => outcome === 'fail').map(({ id }) => id);
}

/** Each reads well from end to end and fails one check of authenticity. */
const NOT_GENUINE: readonly (readonly [id: string, faults: SnpFaults])[] = [
  ['report.signature', { report: { key: pki.strangerVek.privateKey } }],
  ['chain.signatures', { chain: { vek: { signedBy: pki.rsa.stranger.privateKey } } }],
  ['crl.present', { sent: ({ vek, intermediate, root }) => ({ vek, intermediate, root }) }],
  ['bind.chipId', { report: { fields: { chipId: PRODUCTS.Turin.chipId } } }],
];

for (const [id, faults] of NOT_GENUINE) {
  test(`a report that fails ${id} says nothing, and no rule is judged on it`, async () => {
    const built = await buildSnpEvidence(pki, faults);
    const finding = verified(built);
    assert.deepEqual(failed(finding), [id]);
    assert.deepEqual(finding.reportData, { because: id });
    assert.equal(finding.platform, undefined);
    assert.equal(finding.tcbStatus, undefined);
    assert.equal(finding.validUntilMs, 0);
    const policy = testPolicy(built.rootSha256, { rules: [TEST_SNP_RULE], images: [snpImage()] });
    const ruled = finding.judge({
      policy,
      rule: 0,
      image: 0,
      nowMs: NOW_MS,
      revocations: NO_REVOCATIONS,
    });
    assert.equal(ruled.validUntilMs, 0);
    assert.equal(ruled.shape, undefined);
    for (const check of ruled.checks) {
      assert.deepEqual(check, { id: check.id, outcome: 'skipped', because: id });
    }
  });
}

test('a chip key names its chip and its silicon line', async () => {
  const { platform } = verified(await buildSnpEvidence(pki));
  assert.deepEqual(platform, {
    tee: 'snp',
    ids: { siliconLine: 'genoa', chipId: toHex(PRODUCTS.Genoa.chipId) },
  });
});

test("a cloud's key names the cloud and no chip, whatever the report says", async () => {
  for (const chipId of [undefined, PRODUCTS.Genoa.chipId]) {
    const fields = chipId === undefined ? {} : { chipId };
    const built = await buildSnpEvidence(pki, { signer: 'vlek', report: { fields } });
    assert.deepEqual(verified(built).platform, {
      tee: 'snp',
      ids: { siliconLine: 'genoa', cspId: CSP_ID },
    });
  }
});

test('a development root that no policy names is no root', async () => {
  const finding = verified(await buildSnpEvidence(pki), []);
  assert.deepEqual(failed(finding), ['chain.root']);
  assert.deepEqual(finding.reportData, { because: 'chain.root' });
});

const REAL = {
  report: 'reports/real-genoa-v3-azure-coco.bin',
  vek: 'certs/amd-real-genoa-v3-azure-coco-vek.der',
  crl: 'crls/amd-genoa.crl.pem',
  nowMs: Date.UTC(2025, 5, 1),
} as const;

function realEvidence(endorsements: SnpEndorsements): EvidenceBundle {
  const nothing = new Uint8Array(0);
  const quote = corpusFile(REAL.report);
  return { tee: 'snp', statement: nothing, card: nothing, quote, endorsements };
}

test(
  'a real machine is hardware, also under a policy that names a development root',
  { skip: hasCorpus ? false : 'the corpus is not here' },
  async () => {
    const text = fromUtf8(corpusFile(REAL.crl)).replaceAll(/-----[^-]+-----|\s/g, '');
    const evidence = realEvidence({ vek: corpusFile(REAL.vek), crl: decodePemBlock(text) });
    const { rootSha256 } = await buildSnpEvidence(pki);
    const named: readonly (readonly Bytes<32>[])[] = [[], [rootSha256]];
    for (const simulatedRoots of named) {
      const { nowMs } = REAL;
      const finding = snp.verify({ evidence, nowMs, simulatedRoots, caches: {} });
      assert.deepEqual(failed(finding), []);
      assert.equal(finding.simulated, false);
      assert.ok(finding.reportData instanceof Uint8Array);
      assert.equal(finding.platform?.ids['siliconLine'], 'genoa');
    }
  },
);
