/** What every registered TEE promises to an appraisal: complete lists in a fixed order, and no exception. @module */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { randomBytes } from '#primitives';
import type { TdxEvidence } from '../../attestation/evidence.ts';
import { TEES, teeOf } from '../../attestation/tees.ts';
import type { TeeFinding, TeeInput } from '../../attestation/tee.ts';
import { NOW_MS, createTestPki } from '../support/tdx/pki.ts';
import { buildEvidence, testPolicy, type TestEvidence } from '../support/worker-evidence.ts';

let sound: TestEvidence;

before(async () => {
  sound = await buildEvidence(await createTestPki());
});

function inputOf(parts: Partial<TdxEvidence> = {}): TeeInput {
  return {
    evidence: { ...sound.evidence, ...parts },
    nowMs: NOW_MS,
    simulatedRoots: [sound.rootSha256],
    caches: {},
  };
}

function judge(finding: TeeFinding) {
  return finding.judge({
    policy: testPolicy(sound.rootSha256),
    rule: 0,
    image: 0,
    nowMs: NOW_MS,
  });
}

test('each TEE has one entry', () => {
  const names = TEES.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const tee of TEES) assert.equal(teeOf(tee.name), tee);
});

for (const tee of TEES.filter(({ name }) => name === 'tdx')) {
  test(`${tee.name}: no check has two meanings`, () => {
    const ids = [...tee.checkIds, ...tee.ruleCheckIds];
    assert.equal(new Set(ids).size, ids.length);
  });

  test(`${tee.name}: the lists are complete and in order, whatever the evidence is`, () => {
    for (const quote of [sound.evidence.quote, new Uint8Array(0), randomBytes(1000)]) {
      const finding = tee.verify(inputOf({ quote }));
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
    const finding = tee.verify(inputOf({ quote: randomBytes(1000) }));
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
    const policy = testPolicy(sound.rootSha256);
    for (const question of [
      { rule: 7, image: 0 },
      { rule: 0, image: 7 },
      { rule: 0, image: { because: 'workload.image' } },
    ]) {
      const { checks } = finding.judge({ policy, nowMs: NOW_MS, ...question });
      assert.ok(checks.some(({ outcome }) => outcome === 'skipped'));
    }
  });
}
