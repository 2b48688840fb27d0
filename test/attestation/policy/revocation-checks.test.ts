/** What was taken back, against what one worker proved: each kind of entry alone denies, and says which. @module */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import type { AppraiseInput, Appraisal } from '../../../attestation/appraise.ts';
import {
  NO_REVOCATIONS,
  type Revocable,
  type RevocationKind,
  type RevocationKnowledge,
} from '../../../attestation/policy/revocations.ts';
import type { Json } from '../../../core/json.ts';
import { createSnpTestPki } from '../../support/snp/pki.ts';
import { buildSnpEvidence, snpImage, TEST_SNP_RULE } from '../../support/snp/worker-evidence.ts';
import { TCB_INFO } from '../../support/tdx/case.ts';
import { createTestPki, DAY_MS, NOW_MS, type TestPki } from '../../support/tdx/pki.ts';
import {
  appraiseTest,
  buildEvidence,
  idsOf,
  testPolicy,
  type SoundEvidence,
} from '../../support/worker-evidence.ts';

type Judge = (overrides?: Partial<AppraiseInput>) => Appraisal;

let pki: TestPki;
let sound: SoundEvidence;
let snp: Judge;

before(async () => {
  pki = await createTestPki();
  sound = await buildEvidence(pki);
  const built = await buildSnpEvidence(await createSnpTestPki());
  const { rootSha256 } = built;
  const policy = testPolicy(rootSha256, { rules: [TEST_SNP_RULE], images: [snpImage()] });
  snp = (overrides = {}) => appraiseTest(built, { policy, ...overrides });
});

const tdx: Judge = (overrides = {}) => appraiseTest(sound, overrides);

function listWith({ kind, value }: Revocable): RevocationKnowledge {
  const entry = { kind, value, reason: 'stolen', by: 'alice' };
  return {
    list: {
      find: (asked, named) => (asked === kind && named === value ? entry : undefined),
    },
    freshness: { untilMs: NOW_MS + DAY_MS },
  };
}

function factsOf({ verdict }: Appraisal, kind: RevocationKind): readonly Revocable[] {
  assert.equal(verdict.decision, 'admitted');
  return verdict.revocable.filter((fact) => fact.kind === kind);
}

for (const kind of ['policy', 'cpu', 'measurement', 'key', 'kid', 'rule', 'image'] as const) {
  test(`a machine of either kind is denied for its ${kind}, and for that alone`, () => {
    for (const judge of [tdx, snp]) {
      const facts = factsOf(judge(), kind);
      assert.ok(facts.length > 0, `a verdict names its ${kind}`);
      for (const fact of facts) {
        const { outcome, verdict } = judge({ revocations: listWith(fact) });
        assert.equal(outcome, 'denied');
        assert.deepEqual(idsOf(verdict.checks, 'fail'), [`revocation.${kind}`]);
        const check = verdict.checks.find(({ id }) => id === `revocation.${kind}`);
        assert.ok(check?.outcome === 'fail');
        assert.equal(check.got, `${kind} ${fact.value} was revoked by alice: stolen`);
      }
      const other = listWith({ kind, value: 'another' });
      assert.equal(judge({ revocations: other }).outcome, 'admitted');
    }
  });
}

test('a machine is named by every register that was measured, and by its own number', () => {
  assert.equal(factsOf(tdx(), 'measurement').length, 5);
  assert.match(factsOf(tdx(), 'cpu')[0]?.value ?? '', /^[0-9a-f]{32}$/);
  assert.equal(factsOf(snp(), 'measurement').length, 1);
  assert.match(factsOf(snp(), 'cpu')[0]?.value ?? '', /^[0-9a-f]{128}$/);
});

test('an exception that was taken back admits nobody any more', async () => {
  const [best, ...rest] = TCB_INFO.levels;
  assert.ok(best !== undefined);
  const level = {
    ...best,
    tcbStatus: 'SWHardeningNeeded',
    advisoryIds: ['INTEL-SA-00001'],
  } as const;
  const built = await buildEvidence(pki, {
    collateral: { tcbInfoInput: { levels: [level, ...rest] } },
  });
  const exception: Json = {
    id: 'INTEL-SA-00001',
    rules: ['test-rule'],
    admits: 'sw-hardening-needed',
    reason: 'mitigated in the guest',
    owner: 'alice',
    expires: '2026-07-01T00:00:00Z',
  };
  const policy = testPolicy(built.rootSha256, { advisories: [exception] });
  const [fact] = factsOf(appraiseTest(built, { policy }), 'advisory');
  assert.equal(fact?.value, 'INTEL-SA-00001');
  const revocations = listWith({ kind: 'advisory', value: 'INTEL-SA-00001' });
  assert.equal(appraiseTest(built, { policy, revocations }).outcome, 'denied');
});

test('old word on revocations denies, and young word ends the verdict where it ends', () => {
  const list = NO_REVOCATIONS;
  const untilMs = NOW_MS + 60_000;
  const young = tdx({ revocations: { list, freshness: { untilMs } } });
  assert.ok(young.outcome === 'admitted');
  assert.equal(young.key.expiresAtMs, untilMs);
  for (const freshness of [{ untilMs: NOW_MS }, { stale: 'behind' }]) {
    const { outcome, verdict } = tdx({ revocations: { list, freshness } });
    assert.equal(outcome, 'denied');
    assert.deepEqual(idsOf(verdict.checks, 'fail'), ['revocation.fresh']);
  }
});

test('who asks at each request is named, and gets a verdict that lives longer', () => {
  const freshness = { judged: 'each-request', by: 'the gateway' } as const;
  const result = tdx({ revocations: { list: NO_REVOCATIONS, freshness } });
  assert.ok(result.outcome === 'admitted');
  const check = result.verdict.checks.find(({ id }) => id === 'revocation.fresh');
  assert.ok(check?.outcome === 'waived');
  assert.equal(check.by, 'the gateway');
});
