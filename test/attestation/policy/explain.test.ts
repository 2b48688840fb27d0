/** Verdicts as text for people. @module */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { describeVerdict } from '../../../attestation/policy/explain.ts';
import { createTestPki, type TestPki } from '../../support/tdx/pki.ts';
import {
  appraiseTest,
  buildEvidence,
  testCard,
  testPolicy,
  type TestEvidence,
} from '../../support/worker-evidence.ts';

let pki: TestPki;
let sound: TestEvidence;

before(async () => {
  pki = await createTestPki();
  sound = await buildEvidence(pki);
});

test('an admission says what was admitted, by which rule, what was waived and how long it holds', () => {
  const [headline, ...rest] = describeVerdict(appraiseTest(sound).verdict);
  assert.match(
    headline ?? '',
    /^ADMIT {2}\(simulated\) {2}test\/model \/ test-image \/ small {2}policy test#1 \(sha256:[0-9a-f]{16}…\) {2}rule: test-rule {2}\(\d+ pass, 1 waived\)$/,
  );
  const text = rest.join('\n');
  assert.match(text, /^ waived policy\.simulated .*protects nothing {3}by test\.yaml:\d+$/m);
  assert.match(text, /^ note {3}tdx ppid 1{32}, fmspc c0ffee000000/m);
  assert.match(text, /^ note {3}valid until 2026-06-15T12:09:30Z$/m);
});

test('a refusal shows want, got and the line for each failure, and one line per skipped cause', async () => {
  const built = await buildEvidence(pki, {
    card: { model: { ...testCard().model, id: 'other/model' } },
  });
  const lines = describeVerdict(appraiseTest(built, { aud: 'gw1.other' }).verdict);
  const text = lines.join('\n');
  assert.match(
    lines[0] ?? '',
    /^DENY .*nearest rule: test-rule {2}\(\d+ pass, 1 waived, 2 fail, 1 skipped\)$/,
  );
  assert.match(text, /^ fail {3}statement\.aud +want gw1\.other {3}got gw1\.test-gateway$/m);
  assert.match(
    text,
    /^ fail {3}workload\.model +want test\/model \[test\.yaml:\d+\] {3}got other\/model$/m,
  );
  assert.match(text, /^ skipped because of workload\.model: workload\.weights$/m);
});

test('a refusal without any rule says so', () => {
  const policy = testPolicy(sound.rootSha256, { rules: [] });
  const [headline] = describeVerdict(appraiseTest(sound, { policy }).verdict);
  assert.match(headline ?? '', /no rule/);
});

test('nothing in the evidence can start a line or move a cursor', () => {
  const { verdict } = appraiseTest(sound, { aud: `x\n ADMIT\u001b[2J\u2028\u202ey` });
  for (const line of describeVerdict(verdict)) {
    assert.doesNotMatch(line, /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
  }
});
