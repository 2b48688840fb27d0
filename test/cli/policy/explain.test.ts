/** `veilgate policy explain`: the nearest rule, what failed where, what is known elsewhere, and the smallest change. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { EXIT, answered, type PolicyAnswer } from '../../../cli/policy/answer.ts';
import { explainAnswer, type ExplainOptions } from '../../../cli/policy/explain.ts';
import { fixed, fromHex } from '../../../core/bytes.ts';
import type { Json } from '../../../core/json.ts';
import { evidenceFolder, type EvidenceFolder } from '../../support/attest.ts';
import { memoryGateway } from '../../support/memory-gateway.ts';
import { PIPE, TERMINAL_80, reportOf, testIo, textOf } from '../../support/policy-io.ts';
import { runPolicy } from '../../support/policy-files.ts';
import { tdReport } from '../../support/tdx/case.ts';
import { createTestPki, type TestPki } from '../../support/tdx/pki.ts';
import {
  buildEvidence,
  TEST_CHALLENGE,
  TEST_CPU,
  TEST_IMAGE,
  TEST_RULE,
  TEST_TUPLE,
  testPolicyDocument,
  type TestEvidence,
} from '../../support/worker-evidence.ts';

let folder: EvidenceFolder;
let pki: TestPki;
let sound: TestEvidence;
let soundPath: string;

before(async () => {
  folder = evidenceFolder();
  pki = await createTestPki();
  sound = await buildEvidence(pki);
  soundPath = folder.bundle('worker.json', sound.evidence);
});
after(() => folder[Symbol.dispose]());

type Overrides = Readonly<Record<string, Json>>;

function policy(overrides: Overrides = {}, name = 'policy.json'): string {
  const document = testPolicyDocument(sound.rootSha256, overrides);
  return folder.write(name, JSON.stringify(document, undefined, 2));
}

async function explain(
  options: ExplainOptions,
  input = soundPath,
  more: Partial<Parameters<typeof explainAnswer>[1]> = {},
): Promise<PolicyAnswer> {
  const question = { command: 'explain', json: options.json === true };
  const request = {
    input,
    options: { challenge: TEST_CHALLENGE, ...options },
    io: testIo(),
    page: PIPE,
    ...more,
  };
  return await answered(question, () => explainAnswer(question, request));
}

const RTMR2 = '5e'.repeat(48);

async function otherRelease(): Promise<string> {
  const [rtmr0, rtmr1, , rtmr3] = tdReport().rtmr;
  const rtmr = [rtmr0, rtmr1, fixed(fromHex(RTMR2), 48), rtmr3] as const;
  const built = await buildEvidence(pki, { quote: { td: { rtmr } } });
  return folder.bundle('other.json', built.evidence);
}

test('admitted: 0, by which rule', async () => {
  const answer = await explain({ policy: policy() });
  assert.equal(answer.status, EXIT.ok, textOf(answer));
  assert.match(textOf(answer), /^ADMIT {2}worker\.json$/m);
  assert.match(textOf(answer), /rule: test-rule \(24 pass\)/);
});

test('denied: 1, the failed check with want, got and its line, and the change that was tried', async () => {
  const answer = await explain({ policy: policy() }, await otherRelease());
  const text = textOf(answer);
  assert.equal(answer.status, EXIT.findings);
  assert.match(text, /nearest rule: test-rule \(23 pass, 1 fail\)/);
  assert.match(
    text,
    /^ fail +cpu\.measurements +want test-image\/small: rtmr2 [0-9a-f]{16}… +got rtmr2 5e5e5e5e5e5e5e5e… +policy\.json:\d+$/m,
  );
  assert.match(text, /1\. add to images\[test-image\]\.tdx +policy\.json:\d+/);
  assert.match(text, new RegExp(`^ +rtmr2: ${RTMR2}$`, 'm'), 'in full where it is to be copied');
});

test('a candidate that knows the release is named, and promoting it comes first', async () => {
  const images = [
    { ...TEST_IMAGE, tdx: [TEST_TUPLE, { ...TEST_TUPLE, shape: 'rc', rtmr2: RTMR2 }] },
  ];
  const candidate = policy({ serial: 2, images }, 'candidate.json');
  const text = textOf(await explain({ policy: policy(), candidate }, await otherRelease()));
  assert.match(text, /note +all that it measured is known: test-image\/rc of candidate test#2/);
  assert.match(text, /note +candidate test#2 would ADMIT it, by test-rule \/ test-image \/ rc/);
  assert.ok(text.indexOf('promote the candidate') < text.indexOf(' edit '));
});

test('that no challenge was given is no reason to want a policy that asks for none', async () => {
  const path = policy({ rules: [{ ...TEST_RULE, models: [] }] });
  const options = { command: 'explain', json: false };
  const request = { input: soundPath, options: { policy: path }, io: testIo(), page: PIPE };
  const text = textOf(await explainAnswer(options, request));
  assert.match(text, /^ fail +statement\.nonce/m);
  assert.match(text, /next +statement\.nonce: .*--challenge/);
  assert.doesNotMatch(text, /set limits\.challenge/);
  assert.match(text, /1\. add to rules\[test-rule\]\.models/);
  const alone = { ...request, options: { policy: policy() } };
  assert.match(textOf(await explainAnswer(options, alone)), /edit +none is needed/);
});

test('one known register among unknown ones is found', async () => {
  const tuple = {
    ...TEST_TUPLE,
    shape: 'far',
    rtmr2: RTMR2,
    rtmr0: 'ab'.repeat(48),
    rtmr1: 'zero',
  };
  const images = [{ ...TEST_IMAGE, tdx: [TEST_TUPLE, tuple] }];
  const text = textOf(await explain({ policy: policy({ images }) }, await otherRelease()));
  assert.match(text, /note +rtmr2 5e5e5e5e5e5e5e5e… is known: test-image\/far of this policy/);
});

test('a debug machine: no edit, and why', async () => {
  const tdAttributes = fixed(fromHex('0100001000000000'), 8);
  const built = await buildEvidence(pki, { quote: { td: { tdAttributes } } });
  const path = folder.bundle('debug.json', built.evidence);
  const text = textOf(await explain({ policy: policy() }, path));
  assert.match(text, /edit +none: no change of the policy admits this evidence/);
  assert.match(text, /policy\.td\.debug: the host reads everything in a debug guest/);
});

test('evidence of yesterday says with which instant to ask', async () => {
  const at = Date.UTC(2026, 5, 16);
  const text = textOf(await explain({ policy: policy(), at }));
  assert.match(
    text,
    /note +this evidence was made at 2026-06-15T11:59:30Z: .* --at\s+2026-06-15T11:59:30Z/,
  );
});

test('--rule and --all-rules show every check of a rule', async () => {
  const strict = { ...TEST_RULE, id: 'strict', cpu: { ...TEST_CPU, fmspc: { allow: [] } } };
  const path = policy({ rules: [TEST_RULE, strict] });
  const one = textOf(await explain({ policy: path, rule: 'strict' }));
  assert.match(one, /^ fail +cpu\.fmspc/m);
  assert.match(one, /^ pass +cpu\.mrseam +policy\.json:\d+$/m);
  assert.match(
    textOf(await explain({ policy: path, allRules: true })),
    /^rule: strict \(23 pass, 1 fail\)$/m,
  );
  const unknown = await explain({ policy: path, rule: 'absent' });
  assert.equal(unknown.status, EXIT.usage);
  assert.match(unknown.errors[0] ?? '', /this policy has test-rule, strict/);
});

const REPORT = z.looseObject({
  exit: z.int(),
  evidence: z.array(
    z.looseObject({
      decision: z.string(),
      nearest: z.string(),
      rules: z.array(z.looseObject({ rule: z.string(), checks: z.array(z.looseObject({})) })),
      remedy: z.looseObject({ outcome: z.string() }),
    }),
  ),
});

test('for programs: all rules in full, and the edits with path, value and line', async () => {
  const answer = await explain({ policy: policy(), json: true }, await otherRelease());
  const report = REPORT.parse(reportOf(answer));
  const [one] = report.evidence;
  assert.ok(one !== undefined);
  assert.deepEqual([report.exit, one.decision, one.nearest], [1, 'denied', 'test-rule']);
  assert.equal(one.rules[0]?.checks.length, 24);
  const edits = z
    .array(z.looseObject({ action: z.string(), name: z.string(), at: z.string() }))
    .parse(one.remedy['edits']);
  assert.equal(edits[0]?.name, 'images[test-image].tdx');
  assert.match(edits[0].at, /^policy\.json:\d+$/);
});

test('each worker of a gateway is explained', async () => {
  const gateway = await memoryGateway([{}, { unlisted: true }]);
  const path = folder.write('gateway.json', gateway.policy.canonical);
  const io = testIo({ fetch: gateway.fetch });
  const answer = await explain({ policy: path }, 'https://gateway.example', { io });
  assert.equal(answer.status, EXIT.findings);
  assert.equal([...textOf(answer).matchAll(/^(ADMIT|DENY) +worker [0-9a-f]{16} of/gm)].length, 2);
});

test('bare evidence, no policy and unreadable files end with their own status', async () => {
  const quote = folder.write('quote.bin', sound.evidence.quote);
  const bare = await explain({ policy: policy() }, quote);
  assert.equal(bare.status, EXIT.usage, bare.errors.join());
  assert.equal((await explain({})).status, EXIT.usage);
  assert.equal((await explain({ policy: policy() }, '/nowhere')).status, EXIT.unreadable);
});

test('on a terminal no line but one to copy is wider than it, and nothing moves the cursor', async () => {
  const name = folder.bundle('a\u001b[2Jb.json', sound.evidence);
  const page = TERMINAL_80;
  const answer = await explain(
    { policy: policy({ rules: [{ ...TEST_RULE, models: [] }] }) },
    name,
    {
      page,
    },
  );
  for (const line of answer.output) {
    assert.ok(line.length <= 80 || /[0-9a-f]{64}/.test(line), line);
    assert.doesNotMatch(line, /\p{Cc}/u);
  }
});

test('as a process', () => {
  const args = ['explain', soundPath, '--policy', policy(), '--at', '2026-06-15T12:00:00Z'];
  const { status, stdout } = runPolicy(...args, '--challenge', '00'.repeat(32));
  assert.equal(status, 1);
  assert.match(stdout, /statement\.nonce/);
});
