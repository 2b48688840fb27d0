/** `veilgate host enrol` and `host check`: entries from verified certificates, and nothing else. @module */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { after, before, test } from 'node:test';
import { checkAnswer } from '../../../cli/host/check.ts';
import { enrolAnswer, type EnrolOptions } from '../../../cli/host/enrol.ts';
import { EXIT, answered, type PolicyAnswer } from '../../../cli/policy/answer.ts';
import { fixed, toHex } from '../../../core/bytes.ts';
import type { Json } from '../../../core/json.ts';
import { evidenceFolder, type EvidenceFolder } from '../../support/attest.ts';
import { policyFolder, type PolicyFolder } from '../../support/policy-files.ts';
import { PIPE, testIo, textOf } from '../../support/policy-io.ts';
import { createSnpTestPki, PRODUCTS, type SnpTestPki } from '../../support/snp/pki.ts';
import type { SnpFaults } from '../../support/snp/case.ts';
import { buildSnpEvidence } from '../../support/snp/worker-evidence.ts';
import { createTestPki, type TestPki } from '../../support/tdx/pki.ts';
import {
  buildEvidence,
  TEST_CPU,
  TEST_RULE,
  testPolicyDocument,
  type TestEvidence,
} from '../../support/worker-evidence.ts';

let folder: EvidenceFolder;
let out: PolicyFolder;
let pki: TestPki;
let snpPki: SnpTestPki;
let sound: TestEvidence;
let tdx: string;
let root: string;

before(async () => {
  folder = evidenceFolder();
  out = policyFolder();
  pki = await createTestPki();
  snpPki = await createSnpTestPki();
  sound = await buildEvidence(pki);
  tdx = folder.bundle('tdx.json', sound.evidence);
  root = folder.write('root.der', pki.sound.root.der);
});
after(() => {
  folder[Symbol.dispose]();
  out[Symbol.dispose]();
});

const PPID = '11'.repeat(16);
const OPTIONS: EnrolOptions = {
  host: 'fra1-r07',
  location: 'fra1, rack 7',
  by: ['alice', 'bob'],
  simulated: true,
};

async function enrol(
  inputs: readonly string[],
  options: Partial<EnrolOptions> = {},
): Promise<PolicyAnswer> {
  const question = { command: 'host-enrol', json: false };
  const request = { inputs, options: { ...OPTIONS, root, ...options }, io: testIo(), page: PIPE };
  return await answered(question, () => enrolAnswer(question, request));
}

function policy(hosts: readonly Json[], name = 'policy.json'): string {
  const rules = [{ ...TEST_RULE, cpu: { ...TEST_CPU, platforms: { registry: 'hosts' } } }];
  const document = testPolicyDocument(sound.rootSha256, { hosts, rules });
  return out.write(name, JSON.stringify(document, undefined, 1));
}

function entry(overrides: Readonly<Record<string, Json>> = {}): Json {
  return {
    host: 'fra1-r07',
    cpu: { ppid: PPID },
    gpus: [],
    switches: [],
    location: 'fra1',
    seen: '2026-06-01',
    by: ['alice', 'bob'],
    expires: '2026-08-01T00:00:00Z',
    ...overrides,
  };
}

async function check(inputs: readonly string[], path: string): Promise<PolicyAnswer> {
  const question = { command: 'host-check', json: false };
  const request = { inputs, options: { policy: path }, io: testIo(), page: PIPE };
  return await answered(question, () => checkAnswer(question, request));
}

test('the entry has the PPID of the verified certificate, and loads in a policy', async () => {
  policy([], 'split/policy.yaml');
  const file = join(out.path, 'split', 'hosts', 'fra1-r07.yaml');
  out.write('split/hosts/README.md', '');
  const answer = await enrol([tdx], { out: file });
  assert.equal(answer.status, EXIT.ok, answer.errors.join());
  assert.match(readFileSync(file, 'utf8'), new RegExp(`^cpu: \\{ ppid: '${PPID}' \\}$`, 'm'));
  const checked = await check([tdx], join(out.path, 'split'));
  assert.equal(checked.status, EXIT.ok, `${textOf(checked)}${checked.errors.join()}`);
  assert.match(
    textOf(checked),
    /^REGISTERED {2}tdx\.json\n {2}fra1-r07 at fra1, rack 7, entered 2026-06-15 by alice, bob/,
  );
});

test('a bare report is enough: the machine is what counts', async () => {
  const certificates = await snpPki.sound({ product: 'Genoa', signer: 'vcek' });
  const { evidence } = await buildSnpEvidence(snpPki);
  const bundle = folder.bundle('snp.json', evidence);
  const snpRoot = folder.write('snp-root.der', certificates.root.der);
  const text = textOf(await enrol([bundle], { root: snpRoot }));
  assert.match(text, new RegExp(`chip_id: '${toHex(PRODUCTS.Genoa.chipId)}'`));
});

const SNP_REFUSED: readonly (readonly [what: string, faults: SnpFaults, why: RegExp])[] = [
  ['a cloud’s key', { signer: 'vlek' }, /a cloud’s key \(VLEK\)/],
  [
    'a masked chip',
    { report: { fields: { chipId: fixed(new Uint8Array(64), 64) } } },
    /CHIP_ID is zero|not genuine.*: (bind\.chipId|policy\.maskedChipId)/,
  ],
  [
    'another chip than its certificate’s',
    { report: { fields: { chipId: fixed(new Uint8Array(64).fill(3), 64) } } },
    /not genuine.*: bind\.chipId/,
  ],
];

for (const [what, faults, why] of SNP_REFUSED) {
  test(`${what} is refused`, async () => {
    const signer = faults.signer ?? 'vcek';
    const certificates = await snpPki.sound({ product: 'Genoa', signer });
    const snpRoot = folder.write('other-root.der', certificates.root.der);
    const bundle = folder.bundle('odd.json', (await buildSnpEvidence(snpPki, faults)).evidence);
    const answer = await enrol([bundle], { root: snpRoot });
    assert.equal(answer.status, EXIT.findings, textOf(answer));
    assert.match(textOf(answer), why);
  });
}

test('a simulated machine is refused unless that is said, and hardware is not what is said to be simulated', async () => {
  const { simulated: _, ...without } = OPTIONS;
  const question = { command: 'host-enrol', json: false };
  const answer = await enrolAnswer(question, {
    inputs: [tdx],
    options: { ...without, root },
    io: testIo(),
    page: PIPE,
  });
  assert.equal(answer.status, EXIT.findings);
  assert.match(textOf(answer), /say --simulated/);
});

test('evidence that does not verify proves no machine', async () => {
  const { root: _, ...without } = { ...OPTIONS, root };
  const question = { command: 'host-enrol', json: false };
  const request = { inputs: [tdx], options: without, io: testIo(), page: PIPE };
  const answer = await enrolAnswer(question, request);
  assert.equal(answer.status, EXIT.findings);
  assert.match(textOf(answer), /not genuine.*pck\.root/);
});

test('a machine or a name that the policy has already is refused, with the line', async () => {
  const known = await enrol([tdx], { policy: policy([entry({ host: 'other' })]) });
  assert.equal(known.status, EXIT.findings);
  assert.match(textOf(known), /this machine is other already \[policy\.json:\d+\]/);
  const taken = await enrol([tdx], { policy: policy([entry({ cpu: { ppid: '22'.repeat(16) } })]) });
  assert.match(textOf(taken), /another machine is called fra1-r07 \[policy\.json:\d+\]/);
});

test('evidence of two machines makes no entry', async () => {
  const other = await createTestPki();
  const bundle = folder.bundle('second.json', (await buildEvidence(other)).evidence);
  const answer = await enrol([tdx, bundle]);
  assert.equal(answer.status, EXIT.findings, 'the second ends in another root');
});

test('two different people are needed, and nothing is written over', async () => {
  assert.equal((await enrol([tdx], { by: ['alice'] })).status, EXIT.usage);
  assert.equal((await enrol([tdx], { by: ['alice', 'ALICE'] })).status, EXIT.usage);
  const file = out.write('there.yaml', 'x');
  assert.equal((await enrol([tdx], { out: file })).status, EXIT.unreadable);
  assert.equal(readFileSync(file, 'utf8'), 'x');
  assert.ok(!existsSync(`${file}.tmp`));
});

test('check: unknown, expired, and a registry that no rule asks for', async () => {
  const unknown = await check([tdx], policy([]));
  assert.equal(unknown.status, EXIT.findings);
  assert.match(textOf(unknown), /^UNKNOWN {5}tdx\.json\n {2}no entry of hosts has this machine/);
  const expired = await check([tdx], policy([entry({ expires: '2026-06-15T12:00:00Z' })]));
  assert.equal(expired.status, EXIT.findings);
  assert.match(textOf(expired), /^EXPIRED /);
  const document = testPolicyDocument(sound.rootSha256, { hosts: [entry()] });
  const unused = await check([tdx], out.write('unused.json', JSON.stringify(document)));
  assert.match(textOf(unused), /No rule of test#1 asks for the registry/);
});

test('as a process', () => {
  const args = [
    'host',
    'check',
    tdx,
    '--policy',
    policy([entry()]),
    '--at',
    '2026-06-15T12:00:00Z',
  ];
  const { status, stdout } = spawnSync(process.execPath, ['cli/veilgate.ts', ...args], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stdout);
  assert.match(stdout, /^REGISTERED/);
});
