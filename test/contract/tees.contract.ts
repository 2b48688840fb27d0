/** What every registered TEE promises to an appraisal: complete lists in a fixed order, and no exception. @module */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { NO_REVOCATIONS } from '../../attestation/policy/revocations.ts';
import { randomBytes } from '#primitives';
import type { EvidenceBundle } from '../../attestation/evidence.ts';
import type { CompiledPolicy } from '../../attestation/policy/compile.ts';
import { SignatureMemo } from '../../attestation/pki/signature.ts';
import { TEES, teeOf } from '../../attestation/tees.ts';
import type { TeeFinding, TeeInput } from '../../attestation/tee.ts';
import type { TeeName } from '../../attestation/verdict.ts';
import type { Bytes } from '../../core/bytes.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';
import { buildSnpEvidence, snpImage, TEST_SNP_RULE } from '../support/snp/worker-evidence.ts';
import { NOW_MS, createTestPki } from '../support/tdx/pki.ts';
import { buildEvidence, testPolicy } from '../support/worker-evidence.ts';

interface Sound {
  readonly evidence: EvidenceBundle;
  readonly rootSha256: Bytes<32>;
  readonly policy: CompiledPolicy;
}

/** A new TEE gets a line here: being registered is being tested. */
const MAKE: Readonly<Record<TeeName, () => Promise<Sound>>> = {
  tdx: async () => {
    const { evidence, rootSha256 } = await buildEvidence(await createTestPki());
    return { evidence, rootSha256, policy: testPolicy(rootSha256) };
  },
  snp: async () => {
    const { evidence, rootSha256 } = await buildSnpEvidence(await createSnpTestPki());
    const policy = testPolicy(rootSha256, { rules: [TEST_SNP_RULE], images: [snpImage()] });
    return { evidence, rootSha256, policy };
  },
};

test('each TEE has one entry', () => {
  const names = TEES.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const tee of TEES) assert.equal(teeOf(tee.name), tee);
});

for (const tee of TEES) {
  let sound: Sound;

  before(async () => {
    sound = await MAKE[tee.name]();
  });

  const inputOf = (quote: Uint8Array = sound.evidence.quote): TeeInput => ({
    evidence: { ...sound.evidence, quote },
    nowMs: NOW_MS,
    simulatedRoots: [sound.rootSha256],
    caches: {},
  });

  const judge = (finding: TeeFinding) =>
    finding.judge({
      policy: sound.policy,
      rule: 0,
      image: 0,
      nowMs: NOW_MS,
      revocations: NO_REVOCATIONS,
    });

  test(`${tee.name}: no check has two meanings`, () => {
    const ids = [...tee.checkIds, ...tee.ruleCheckIds];
    assert.equal(new Set(ids).size, ids.length);
  });

  test(`${tee.name}: sound evidence passes everything`, () => {
    const finding = tee.verify(inputOf());
    const checks = [...finding.checks, ...judge(finding).checks];
    assert.deepEqual(
      checks.filter(({ outcome }) => outcome !== 'pass'),
      [],
    );
    assert.equal(finding.simulated, true);
    assert.ok(finding.validUntilMs > NOW_MS);
  });

  test(`${tee.name}: the lists are complete and in order, whatever the evidence is`, () => {
    for (const quote of [sound.evidence.quote, new Uint8Array(0), randomBytes(1000)]) {
      const finding = tee.verify(inputOf(quote));
      assert.deepEqual(
        finding.checks.map(({ id }) => id),
        tee.checkIds,
      );
      assert.deepEqual(
        judge(finding).checks.map(({ id }) => id),
        tee.ruleCheckIds,
      );
    }
  });

  test(`${tee.name}: evidence that is not genuine says nothing and no rule passes on it`, () => {
    const finding = tee.verify(inputOf(randomBytes(1000)));
    assert.ok('because' in finding.reportData);
    const cause = finding.reportData.because;
    const named = finding.checks.find(({ id }) => id === cause);
    assert.equal(named?.outcome, 'fail', 'the cause is a failed check of the list');
    assert.equal(finding.platform, undefined);
    assert.equal(finding.validUntilMs, 0);
    for (const { outcome } of judge(finding).checks) assert.equal(outcome, 'skipped');
  });

  test(`${tee.name}: a rule or an image that is not there grants nothing`, () => {
    const finding = tee.verify(inputOf());
    for (const question of [
      { rule: 7, image: 0 },
      { rule: 0, image: 7 },
      { rule: 0, image: { because: 'workload.image' } },
    ]) {
      const { checks } = finding.judge({
        policy: sound.policy,
        nowMs: NOW_MS,
        revocations: NO_REVOCATIONS,
        ...question,
      });
      assert.ok(checks.some(({ outcome }) => outcome === 'skipped'));
    }
  });

  test(`${tee.name}: verifying apart changes nothing, for sound evidence and for noise`, async () => {
    for (const quote of [sound.evidence.quote, new Uint8Array(0), randomBytes(1184)]) {
      const input = { ...inputOf(quote), caches: { signatures: new SignatureMemo() } };
      await tee.verifyApart?.(input);
      assert.deepEqual(tee.verify(input).checks, tee.verify(inputOf(quote)).checks);
    }
  });
}
