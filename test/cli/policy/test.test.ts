/** `veilgate policy test`: every check of a policy failing alone, differences shown, broken fixtures named, recording. @module */

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { POLICY_CHECK_IDS } from '../../../attestation/policy/evaluate.ts';
import { RULE_CHECK_IDS } from '../../../attestation/policy/judge-rule.ts';
import { SNP_RULE_CHECK_IDS } from '../../../attestation/policy/snp-rule.ts';
import { TDX_RULE_CHECK_IDS } from '../../../attestation/policy/tdx-rule.ts';
import { EXIT, answered, type PolicyAnswer } from '../../../cli/policy/answer.ts';
import { testAnswer, type TestOptions } from '../../../cli/policy/test.ts';
import { evidenceFolder } from '../../support/attest.ts';
import { policyFolder, runPolicy, type PolicyFolder } from '../../support/policy-files.ts';
import { writePolicyFixtures, type WrittenFixtures } from '../../support/policy-fixtures.ts';
import { PIPE, reportOf, testIo, textOf } from '../../support/policy-io.ts';
import { createTestPki } from '../../support/tdx/pki.ts';
import { buildEvidence, testPolicyDocument, TEST_RULE } from '../../support/worker-evidence.ts';

let parent: PolicyFolder;
let written: WrittenFixtures;

before(async () => {
  parent = policyFolder();
  written = await writePolicyFixtures(parent.path);
});
after(() => parent[Symbol.dispose]());

async function run(folder: string, options: TestOptions): Promise<PolicyAnswer> {
  const question = { command: 'test', json: options.json === true };
  return await answered(question, () =>
    testAnswer(question, { folder, options, io: testIo(), page: PIPE }),
  );
}

const COVERAGE = z.looseObject({
  coverage: z.object({
    covered: z.array(z.string()),
    missing: z.array(z.string()),
    exempt: z.array(z.object({ id: z.string(), why: z.string() })),
  }),
});

/** None of these can fail alone under a policy with rules for both kinds of machine. */
const NEVER_ALONE = ['cpu.tcbFloor', 'cpu.tee', 'policy.rule', 'policy.simulated'];

test('every check of a policy is failed alone by one fixture, or named with the reason why it cannot be', async () => {
  const answer = await run(written.folder, { policy: written.policy, coverage: true, json: true });
  const { coverage } = COVERAGE.parse(reportOf(answer));
  assert.deepEqual(coverage.missing, []);
  assert.deepEqual(coverage.exempt.map(({ id }) => id).toSorted(), NEVER_ALONE);
  const all = [
    ...POLICY_CHECK_IDS,
    ...RULE_CHECK_IDS,
    ...TDX_RULE_CHECK_IDS,
    ...SNP_RULE_CHECK_IDS,
  ];
  assert.deepEqual(
    [...coverage.covered, ...NEVER_ALONE].toSorted(),
    [...new Set(all)].toSorted(),
    'nothing is left out',
  );
  assert.equal(answer.status, EXIT.ok, answer.errors.join());
});

test('as a process: one line when all is as expected', () => {
  const { status, stdout } = runPolicy('test', written.folder, '--policy', written.policy);
  assert.equal(stdout, `${written.count} fixtures: ${written.count} as expected\n`);
  assert.equal(status, EXIT.ok);
});

test('a policy that lets somebody in shows as a difference, with the lines that fail', async () => {
  const text = readFileSync(written.policy, 'utf8');
  const lax = parent.write('lax.json', text.replaceAll('"perfmon": "forbid"', '"perfmon": "any"'));
  const answer = await run(written.folder, { policy: lax });
  assert.equal(answer.status, EXIT.findings);
  const shown = textOf(answer);
  assert.match(shown, /^differs cpu\.attributes\.perfmon\.yaml$/m);
  assert.match(shown, /^ {2}decision +want +denied$/m);
  assert.match(shown, /^ {12}got +admitted$/m);
  assert.match(shown, /^\d+ fixtures: \d+ as expected, 1 not$/m);
});

test('a gap of coverage is a finding, and so is a check that is switched off named', async () => {
  rmSync(join(written.folder, 'cpu.vmpl.yaml'));
  rmSync(join(written.folder, 'cpu.vmpl.json'));
  const answer = await run(written.folder, { policy: written.policy, coverage: true });
  assert.equal(answer.status, EXIT.findings);
  assert.match(textOf(answer), /^ {2}without +cpu\.vmpl$/m);
  assert.match(textOf(answer), /^ {2}never +policy\.rule: this policy has rules, whatever comes$/m);
});

async function small(): Promise<PolicyFolder & { readonly policy: string }> {
  const folder = policyFolder();
  const pki = await createTestPki();
  const built = await buildEvidence(pki);
  const document = testPolicyDocument(built.rootSha256);
  using evidence = evidenceFolder();
  const bundle = readFileSync(evidence.bundle('b.json', built.evidence));
  folder.write('fixtures/worker.json', bundle);
  folder.write('captured.json', bundle);
  const policy = folder.write('policy.json', JSON.stringify(document));
  return { ...folder, policy, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

const GOOD = {
  evidence: 'worker.json',
  at: '2026-06-15T12:00:00Z',
  expect: 'denied',
  rule: 'test-rule',
  image: 'test-image',
  failing: ['statement.nonce'],
};

const BROKEN: readonly (readonly [what: string, fixture: object, reason: RegExp])[] = [
  ['an unknown member', { ...GOOD, waived: [] }, /1 unknown member/],
  [
    'a check that does not exist',
    { ...GOOD, failing: ['cpu.mrseem'] },
    /failing\.0: no such check/,
  ],
  ['a check twice', { ...GOOD, failing: ['cpu.tee', 'cpu.tee'] }, /stands twice/],
  ['denied by nothing', { ...GOOD, failing: [] }, /want what fails/],
  ['admitted with failures', { ...GOOD, expect: 'admitted' }, /nothing fails/],
  ['evidence outside', { ...GOOD, evidence: '../captured.json' }, /inside the folder/],
  ['evidence that is not there', { ...GOOD, evidence: 'absent.json' }, /not there: absent\.json/],
  ['no instant', { ...GOOD, at: 'today' }, /at: want an instant/],
];

for (const [what, fixture, reason] of BROKEN) {
  test(`${what}: the fixture is broken, and the others are judged`, async () => {
    using folder = await small();
    folder.write('fixtures/good.yaml', JSON.stringify(GOOD));
    folder.write('fixtures/broken.yaml', JSON.stringify(fixture));
    const answer = await run(join(folder.path, 'fixtures'), { policy: folder.policy });
    assert.equal(answer.status, EXIT.unreadable, textOf(answer));
    assert.match(textOf(answer), /^broken {2}broken\.yaml$/m);
    assert.match(textOf(answer), reason);
    assert.match(textOf(answer), /^1 fixture: 1 as expected, 1 broken$/m);
  });
}

test('a file that nobody names is no test that somebody runs', async () => {
  using folder = await small();
  folder.write('fixtures/good.yaml', JSON.stringify(GOOD));
  folder.write('fixtures/other.yamll', JSON.stringify(GOOD));
  const answer = await run(join(folder.path, 'fixtures'), { policy: folder.policy });
  assert.equal(answer.status, EXIT.unreadable);
  assert.match(textOf(answer), /broken {2}other\.yamll\n +no fixture names it/);
});

test('another rule or image than the named one is a difference', async () => {
  using folder = await small();
  folder.write('fixtures/a.yaml', JSON.stringify({ ...GOOD, rule: 'other', image: 'other' }));
  const answer = await run(join(folder.path, 'fixtures'), { policy: folder.policy });
  assert.match(textOf(answer), /rule +want +other\n +got +test-rule/);
  assert.match(textOf(answer), /image +want +other\n +got +test-image/);
});

test('a policy that begins after a fixture was captured does not change what it says of it', async () => {
  using folder = await small();
  folder.write('fixtures/a.yaml', JSON.stringify(GOOD));
  const later = readFileSync(folder.policy, 'utf8').replace(
    '"issued":"2026-06-01T00:00:00Z"',
    '"issued":"2026-07-01T00:00:00Z"',
  );
  writeFileSync(folder.policy, later);
  const answer = await run(join(folder.path, 'fixtures'), { policy: folder.policy });
  assert.equal(answer.status, EXIT.ok, textOf(answer));
});

test('what is recorded passes, and is not written over', async () => {
  using folder = await small();
  const fixtures = join(folder.path, 'fixtures');
  rmSync(join(fixtures, 'worker.json'));
  const options = { policy: folder.policy, record: [join(folder.path, 'captured.json')] };
  const answer = await run(fixtures, options);
  assert.equal(answer.status, EXIT.ok, answer.errors.join());
  assert.match(textOf(answer), /^captured\.yaml: admitted, as of 2026-06-15T11:59:30Z$/m);
  const tested = await run(fixtures, { policy: folder.policy });
  assert.equal(textOf(tested), '1 fixture: 1 as expected');
  const again = await run(fixtures, options);
  assert.equal(again.status, EXIT.unreadable);
  assert.match(again.errors.join(), /captured\.yaml is there already/);
});

test('what is recorded of denied evidence names what failed', async () => {
  using folder = await small();
  const text = readFileSync(folder.policy, 'utf8');
  const models = JSON.stringify(TEST_RULE['models']);
  writeFileSync(folder.policy, text.replace(`"models":${models}`, '"models":[]'));
  rmSync(join(folder.path, 'fixtures', 'worker.json'));
  const record = [join(folder.path, 'captured.json')];
  const answer = await run(join(folder.path, 'fixtures'), { policy: folder.policy, record });
  assert.match(textOf(answer), /denied by workload\.model/);
});
