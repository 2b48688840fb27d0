/** `veilgate policy diff` and `advisories`, with captured evidence of machines that the edits move. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { advisoriesAnswer } from '../../../cli/policy/advisories.ts';
import { diffAnswer, type DiffRequest } from '../../../cli/policy/diff.ts';
import type { PolicyAnswer } from '../../../cli/policy/answer.ts';
import { encodeEvidence } from '../../../attestation/evidence.ts';
import type { Json, JsonObject } from '../../../core/json.ts';
import { policyFolder, runPolicy, type PolicyFolder } from '../../support/policy-files.ts';
import { TCB_INFO } from '../../support/tdx/case.ts';
import { createTestPki, NOW_MS } from '../../support/tdx/pki.ts';
import {
  buildEvidence,
  TEST_CPU,
  TEST_RULE,
  testPolicyDocument,
  type TestEvidence,
} from '../../support/worker-evidence.ts';

const DAY_MS = 86_400_000;
const WRAPPED = { columns: 80, rows: 'wrapped' } as const;
const WHOLE = { columns: 100, rows: 'whole' } as const;
const ADVISORY: JsonObject = {
  id: 'INTEL-SA-00001',
  rules: ['test-rule'],
  admits: 'sw-hardening-needed',
  reason: 'mitigated in the guest',
  owner: 'alice@example.org',
  expires: '2026-07-01T00:00:00Z',
};
const EVIL = '\u001b[2J\u009b31m\u202e\u0007\u2028x';

let folder: PolicyFolder;
let sound: TestEvidence;
let evidence: string;

before(async () => {
  folder = policyFolder();
  const pki = await createTestPki();
  sound = await buildEvidence(pki);
  const [best, ...rest] = TCB_INFO.levels;
  assert.ok(best !== undefined);
  const level = {
    ...best,
    tcbStatus: 'SWHardeningNeeded',
    advisoryIds: ['INTEL-SA-00001'],
  } as const;
  const hardening = await buildEvidence(pki, {
    collateral: { tcbInfoInput: { levels: [level, ...rest] } },
  });
  folder.write('evidence/fra1.json', JSON.stringify(encodeEvidence(sound.evidence)));
  folder.write('evidence/fra2.json', JSON.stringify(encodeEvidence(hardening.evidence)));
  folder.write('evidence/quote.bin', sound.evidence.quote);
  folder.write('evidence/notes.txt', 'hello');
  folder.write('evidence/README.md', 'captured in June');
  evidence = `${folder.path}/evidence`;
});
after(() => folder[Symbol.dispose]());

function policy(name: string, overrides: Readonly<Record<string, Json>> = {}): string {
  const text = JSON.stringify(testPolicyDocument(sound.rootSha256, overrides), undefined, 1);
  // As itself it does not load; in quotes and said openly it does.
  const hidden = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}]/gu;
  const escaped = (character: string): string =>
    `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`;
  return folder.write(name, text.replaceAll(hidden, escaped));
}

const cpu = (members: JsonObject) => ({
  rules: [{ ...TEST_RULE, cpu: { ...TEST_CPU, ...members } }],
});

function diff(request: Omit<DiffRequest, 'nowMs'>, nowMs = NOW_MS): PolicyAnswer {
  return diffAnswer({ command: 'diff', json: false }, { ...request, nowMs }, WHOLE);
}

test('names which captured workers are newly admitted, with what refused them before', () => {
  const request = {
    was: policy('a.yaml'),
    now: policy('b.yaml', { serial: 2, advisories: [ADVISORY] }),
    evidence,
  };
  const { status, output } = diff(request);
  const text = output.join('\n');
  assert.equal(status, 1);
  assert.match(text, /^test#1 → test#2: 1 wider, 0 narrower, 1 without effect$/m);
  assert.match(text, /^2 captured workers: 1 still admitted, 0 still denied$/m);
  assert.match(
    text,
    /^NEWLY ADMITTED\n {2}fra2\.json {2}by rule test-rule; before: cpu\.tcbStatus: want up-to-date .*, got SWHardeningNeeded with INTEL-SA-00001$/m,
  );
  assert.match(text, /quote\.bin {2}bare evidence of a machine/);
  assert.match(text, /notes\.txt {2}attest\.unknown/);
});

test('names which are newly denied, and the first check that fails', () => {
  const { output } = diff({
    was: policy('a.yaml'),
    now: policy('b.yaml', cpu({ fmspc: { allow: ['000000000000'] } })),
    evidence,
  });
  assert.match(
    output.join('\n'),
    /^NEWLY DENIED\n {2}fra1\.json {2}nearest rule test-rule: cpu\.fmspc: want 000000000000 \[b\.yaml:\d+\], got c0ffee000000$/m,
  );
});

test('names who is admitted by another rule', () => {
  const before = { ...TEST_RULE, id: 'first' };
  const { output } = diff({
    was: policy('a.yaml'),
    now: policy('b.yaml', { rules: [before, TEST_RULE] }),
    evidence,
  });
  assert.match(
    output.join('\n'),
    /^ADMITTED BY ANOTHER RULE\n {2}fra1\.json {2}test-rule → first$/m,
  );
});

test('evidence of last month is judged as of then, and the policies as of now', () => {
  const request = { was: policy('a.yaml'), now: policy('b.yaml', { serial: 2 }), evidence };
  const later = diff(request, NOW_MS + 30 * DAY_MS).output.join('\n');
  assert.match(later, /1 still admitted, 1 still denied/);
  const expired = diff(request, NOW_MS + 60 * DAY_MS).output.join('\n');
  assert.match(expired, /0 still admitted, 2 still denied/);
});

test('0 when nothing changes, 1 when something does, 3 when an input cannot be read', () => {
  const [a, b] = [policy('a.yaml'), policy('b.yaml', { serial: 2 })];
  assert.deepEqual(diff({ was: a, now: a, evidence }).status, 0);
  const rows = [
    [0, [a, a]],
    [1, [a, b]],
    [1, [a, folder.write('broken.yaml', 'a: [')]],
    [3, [a, `${folder.path}/absent`]],
    [3, [a, b, '--evidence', `${folder.path}/absent`]],
    [2, [a]],
  ] as const;
  for (const [status, args] of rows)
    assert.equal(runPolicy('diff', ...args).status, status, args.join(' '));
});

test('says when gateways would not take the new version', () => {
  const was = policy('a.yaml', { serial: 2 });
  const expires = '2026-08-20T00:00:00Z';
  const said = (overrides: Readonly<Record<string, Json>>): boolean =>
    diff({ was, now: policy('b.yaml', { expires, ...overrides }) }).output.some((line) =>
      line.startsWith('No successor'),
    );
  assert.deepEqual(
    [{ serial: 3 }, { serial: 2 }, { serial: 1 }, { serial: 3, name: 'other' }].map(said),
    [false, true, true, true],
  );
  assert.deepEqual(diff({ was, now: was }).output, ['test#2 → test#2: nothing changes']);
});

const REPORT = z.looseObject({
  exit: z.int(),
  changes: z.array(
    z.looseObject({ width: z.enum(['widens', 'narrows', 'neutral']), mark: z.string() }),
  ),
  evidence: z.array(z.looseObject({ name: z.string(), change: z.string() })).nullable(),
});

test('for programs: one line of ASCII', () => {
  const [was, now] = [policy('a.yaml'), policy('b.yaml', { advisories: [ADVISORY] })];
  const { output, status } = diffAnswer(
    { command: 'diff', json: true },
    { was, now, evidence, nowMs: NOW_MS },
    WHOLE,
  );
  const [line = '', ...more] = output;
  assert.deepEqual([status, more], [1, []]);
  assert.match(line, /^[ -~]+$/);
  const report = REPORT.parse(JSON.parse(line));
  assert.deepEqual(
    report.changes.map(({ width }) => width),
    ['widens'],
  );
  assert.deepEqual(
    report.evidence?.map(({ change }) => change),
    ['unchanged', 'admitted'],
  );
});

test('nothing from a policy or a name moves a cursor', () => {
  const advisories = [{ ...ADVISORY, reason: EVIL, owner: `${EVIL} ${'and so on '.repeat(20)}` }];
  const [was, now] = [
    policy('a.yaml', { note: EVIL }),
    policy('b.yaml', { advisories, note: `${EVIL}2` }),
  ];
  const answers = [
    diffAnswer({ command: 'diff', json: false }, { was, now, evidence, nowMs: NOW_MS }, WRAPPED),
    advisoriesAnswer(
      { command: 'advisories', json: false },
      { path: now, evidence, nowMs: NOW_MS },
      WRAPPED,
    ),
  ];
  for (const line of answers.flatMap(({ output }) => output)) assert.match(line, /^[ -~…’→]*$/);
});

function advisories(overrides: readonly Json[], nowMs = NOW_MS): PolicyAnswer {
  const path = policy('advisories.yaml', { advisories: overrides });
  return advisoriesAnswer({ command: 'advisories', json: false }, { path, nowMs, evidence }, WHOLE);
}

test('exceptions are listed by expiry, with who answers for them, the days left and who leans on them', () => {
  const other = {
    ...ADVISORY,
    id: 'INTEL-SA-00002',
    owner: 'bob@example.org',
    expires: '2026-06-20T00:00:00Z',
  };
  const { status, output } = advisories([ADVISORY, other]);
  assert.equal(status, 0);
  const text = output.join('\n');
  assert.ok(text.indexOf('INTEL-SA-00002') < text.indexOf('INTEL-SA-00001'));
  assert.match(text, /INTEL-SA-00002 {2}ends in 4 days/);
  assert.match(text, /INTEL-SA-00001 {2}ends in 15 days {2}advisories\.yaml:\d+/);
  assert.match(text, /alice@example\.org: mitigated in the guest/);
  assert.match(text, /leans on it: fra2\.json \(ppid 1{32}\)/);
  assert.match(text, /none of the captured machines leans on it/);
});

test('an expired exception is a finding', () => {
  const { status, output } = advisories([ADVISORY], NOW_MS + 17 * DAY_MS);
  assert.equal(status, 1);
  assert.match(output.join('\n'), /INTEL-SA-00001 {2}EXPIRED/);
  assert.match(output.join('\n'), /none of the captured/);
});

test('a policy without exceptions says so', () => {
  assert.deepEqual(advisories([]).output.slice(0, 1), ['test#1: no exceptions']);
});
