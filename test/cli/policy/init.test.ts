/** `veilgate policy init`: the draft admits exactly the worker it was made from, and is not written when nothing should. @module */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { appraise } from '../../../attestation/appraise.ts';
import type { EvidenceBundle } from '../../../attestation/evidence.ts';
import type { CompiledPolicy } from '../../../attestation/policy/compile.ts';
import { lintPolicy } from '../../../attestation/policy/lint.ts';
import { EXIT, answered, type PolicyAnswer } from '../../../cli/policy/answer.ts';
import { initAnswer, type InitOptions } from '../../../cli/policy/init.ts';
import { readPolicy } from '../../../cli/policy/read-policy.ts';
import { fixed, fromHex } from '../../../core/bytes.ts';
import { evidenceFolder, type EvidenceFolder } from '../../support/attest.ts';
import { policyFolder, type PolicyFolder } from '../../support/policy-files.ts';
import { PIPE, testIo, textOf } from '../../support/policy-io.ts';
import { CSP_ID, createSnpTestPki, type SnpTestPki } from '../../support/snp/pki.ts';
import { buildSnpEvidence } from '../../support/snp/worker-evidence.ts';
import { filled, TCB_INFO } from '../../support/tdx/case.ts';
import { NOW_MS, createTestPki, type TestPki } from '../../support/tdx/pki.ts';
import { buildEvidence, NOTHING_REVOKED, TEST_AUD } from '../../support/worker-evidence.ts';

let folder: EvidenceFolder;
let out: PolicyFolder;
let pki: TestPki;
let snpPki: SnpTestPki;
let root: string;
let count = 0;

before(async () => {
  folder = evidenceFolder();
  out = policyFolder();
  pki = await createTestPki();
  snpPki = await createSnpTestPki();
  root = folder.write('root.der', pki.sound.root.der);
});
after(() => {
  folder[Symbol.dispose]();
  out[Symbol.dispose]();
});

async function init(
  evidence: EvidenceBundle,
  options: Partial<InitOptions> = {},
): Promise<PolicyAnswer> {
  const question = { command: 'init', json: false };
  const from = folder.bundle(`worker-${count++}.json`, evidence);
  const request = { options: { from, name: 'draft', root, ...options }, io: testIo(), page: PIPE };
  return await answered(question, () => initAnswer(question, request));
}

async function draft(
  evidence: EvidenceBundle,
  options: Partial<InitOptions> = {},
): Promise<CompiledPolicy> {
  const path = join(out.path, `draft-${count}${options.host === undefined ? '.yaml' : '/'}`);
  const answer = await init(evidence, { out: path, ...options });
  assert.equal(answer.status, EXIT.ok, `${textOf(answer)}${answer.errors.join()}`);
  return readPolicy(path);
}

function admits(policy: CompiledPolicy, evidence: EvidenceBundle): boolean {
  const { outcome } = appraise({
    evidence,
    policy,
    nowMs: NOW_MS,
    aud: TEST_AUD,
    challenge: { waived: 'none' },
    revocations: NOTHING_REVOKED,
  });
  return outcome === 'admitted';
}

test('a TDX draft admits its worker, has no errors, ends after 90 days and refuses another machine and image', async () => {
  const { evidence } = await buildEvidence(pki);
  const policy = await draft(evidence, { owner: 'sec@example.org' });
  assert.ok(admits(policy, evidence));
  assert.deepEqual(
    lintPolicy(policy, NOW_MS).filter(({ level }) => level === 'error'),
    [],
  );
  const { document } = policy;
  assert.equal(document.expires - document.issued, 90 * 86_400_000);
  assert.equal(document.contact, 'sec@example.org');
  for (const td of [
    { mrTd: filled(48, 9) },
    { tdAttributes: fixed(fromHex('0000001000000080'), 8) },
  ]) {
    assert.ok(!admits(policy, (await buildEvidence(pki, { quote: { td } })).evidence));
  }
});

test('every value says where it comes from', async () => {
  const { evidence } = await buildEvidence(pki);
  const text = textOf(await init(evidence));
  for (const origin of [
    '# From the quote: MRTD and RTMR0 to RTMR3.',
    '# From the verified PCK certificate: this one machine.',
    '# From the quoted statement.',
    '# From the worker card.',
    '# choose: the name of the release',
  ]) {
    assert.ok(text.includes(origin), origin);
  }
});

test('an SEV-SNP draft in a directory, with the machine as a host', async () => {
  const certificates = await snpPki.sound({ product: 'Genoa', signer: 'vcek' });
  const snpRoot = folder.write('snp-root.der', certificates.root.der);
  const { evidence } = await buildSnpEvidence(snpPki);
  const host = { host: 'fra1-r07', location: 'fra1', by: ['alice', 'bob'] };
  const policy = await draft(evidence, { root: snpRoot, ...host });
  assert.ok(admits(policy, evidence));
  assert.deepEqual(
    policy.document.hosts.map((each) => each.host),
    ['fra1-r07'],
  );
  assert.deepEqual(policy.document.rules[0]?.cpu.platforms, { registry: 'hosts' });
});

test('a draft for a machine of a cloud names the cloud and no chip', async () => {
  const certificates = await snpPki.sound({ product: 'Genoa', signer: 'vlek' });
  const snpRoot = folder.write('vlek-root.der', certificates.root.der);
  const { evidence } = await buildSnpEvidence(snpPki, { signer: 'vlek' });
  const policy = await draft(evidence, { root: snpRoot });
  assert.ok(admits(policy, evidence));
  const cpu = policy.document.rules[0]?.cpu;
  assert.ok(cpu?.tee === 'snp');
  assert.deepEqual(cpu.signer, { allow: ['vlek'], csp_ids: [CSP_ID] });
});

test('a machine that is not fully patched gets its exceptions, to be reasoned', async () => {
  const [best, ...rest] = TCB_INFO.levels;
  assert.ok(best !== undefined);
  const level = { ...best, tcbStatus: 'OutOfDate', advisoryIds: ['INTEL-SA-00001'] } as const;
  const collateral = { tcbInfoInput: { levels: [level, ...rest] } };
  const { evidence } = await buildEvidence(pki, { collateral });
  const policy = await draft(evidence);
  assert.ok(admits(policy, evidence));
  const [entry] = policy.document.advisories;
  assert.equal(entry?.reason, '<why this is safe here>');
  assert.equal(entry.expires, NOW_MS + 30 * 86_400_000);
});

const REFUSED: readonly (readonly [
  what: string,
  build: () => Promise<EvidenceBundle>,
  why: RegExp,
])[] = [
  [
    'a debug machine',
    async () => {
      const td = { tdAttributes: fixed(fromHex('0100001000000000'), 8) };
      return (await buildEvidence(pki, { quote: { td } })).evidence;
    },
    /fail +policy\.td\.debug/,
  ],
  [
    'a machine that Intel has revoked',
    async () => {
      const [best, ...rest] = TCB_INFO.levels;
      assert.ok(best !== undefined);
      const level = { ...best, tcbStatus: 'Revoked', advisoryIds: ['INTEL-SA-00001'] } as const;
      const collateral = { tcbInfoInput: { levels: [level, ...rest] } };
      return (await buildEvidence(pki, { collateral })).evidence;
    },
    /fail +cpu\.tcbStatus/,
  ],
  [
    'a quote that covers another statement',
    async () => (await buildEvidence(pki, { reportData: filled(64, 1) })).evidence,
    /fail +statement\.reportData/,
  ],
];

for (const [what, build, why] of REFUSED) {
  test(`no draft is written for ${what}`, async () => {
    const path = join(out.path, 'refused.yaml');
    const answer = await init(await build(), { out: path });
    assert.equal(answer.status, EXIT.findings);
    assert.match(textOf(answer), /^nothing written/);
    assert.match(textOf(answer), why);
    assert.ok(!existsSync(path));
  });
}

test('a simulated machine without its root, and old evidence, are refused with what to add', async () => {
  const { evidence } = await buildEvidence(pki);
  const from = folder.bundle('plain.json', evidence);
  const question = { command: 'init', json: false };
  const simulated = await initAnswer(question, {
    options: { from, name: 'draft' },
    io: testIo(),
    page: PIPE,
  });
  assert.equal(simulated.status, EXIT.findings);
  assert.match(textOf(simulated), /--root FILE/);
  const old = await init(evidence, { at: NOW_MS + 86_400_000 });
  assert.match(textOf(old), /add --at 2026-06-15T11:59:30Z/);
});

test('nothing that is there is written over, and the command line cannot break out of the draft', async () => {
  const { evidence } = await buildEvidence(pki);
  const path = join(out.path, 'there.yaml');
  const owner = 'a" \u009b2J\nserial: 99';
  assert.equal((await init(evidence, { out: path, owner })).status, EXIT.ok);
  const written = readFileSync(path, 'utf8');
  assert.doesNotMatch(written, /\u009b/);
  assert.equal(readPolicy(path).document.serial, 1);
  assert.equal((await init(evidence, { out: path })).status, EXIT.unreadable);
  assert.equal(readFileSync(path, 'utf8'), written);
});

test('wrong usage: a bare quote, one person for a host, a name that is none', async () => {
  const { evidence } = await buildEvidence(pki);
  const host = { host: 'a', location: 'b', by: ['alice', 'Alice '] };
  for (const options of [host, { name: 'No Name' }]) {
    assert.equal((await init(evidence, options)).status, EXIT.usage);
  }
  const question = { command: 'init', json: false };
  const from = folder.write('quote.bin', evidence.quote);
  const bare = await answered(question, () =>
    initAnswer(question, { options: { from, name: 'draft', root }, io: testIo(), page: PIPE }),
  );
  assert.equal(bare.status, EXIT.usage);
});
