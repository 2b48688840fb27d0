/** `veilgate attest inspect`: everything readable, and what each part of it is worth. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import type { AttestOptions } from '../../cli/attest/request.ts';
import { fixed, fromHex, toHex } from '../../core/bytes.ts';
import { attest, evidenceFolder, jsonOf, type EvidenceFolder } from '../support/attest.ts';
import { buildSnpCase } from '../support/snp/case.ts';
import { createSnpTestPki, PRODUCTS, type SnpTestPki } from '../support/snp/pki.ts';
import { buildCase, filled, tdReport, type Faults } from '../support/tdx/case.ts';
import { createTestPki, type TestPki } from '../support/tdx/pki.ts';
import { buildEvidence, TEST_WORKLOAD, type EvidenceFaults } from '../support/worker-evidence.ts';

let folder: EvidenceFolder;
let pki: TestPki;
let snpPki: SnpTestPki;
let root: string;
before(async () => {
  folder = evidenceFolder();
  pki = await createTestPki();
  snpPki = await createSnpTestPki();
  root = folder.write('root.der', pki.sound.root.der);
});
after(() => folder[Symbol.dispose]());

const VALUE = z.union([z.string(), z.number(), z.boolean()]);
const ANSWER = z.object({
  exit: z.int(),
  evidence: z.array(
    z.object({
      verified: z.strictObject({
        machine: z.boolean(),
        statement: z.boolean(),
        card: z.boolean(),
      }),
      fields: z.record(z.string(), z.record(z.string(), VALUE)),
    }),
  ),
});

async function inspected(input: string, options: AttestOptions) {
  const { exit, evidence } = ANSWER.parse(
    jsonOf(await attest('inspect', input, { ...options, json: true })),
  );
  const [one] = evidence;
  assert.ok(one !== undefined);
  return { ...one, exit };
}

async function quoteFiles(faults: Faults = {}): Promise<readonly [string, AttestOptions]> {
  const { quote, collateral } = await buildCase(pki, faults);
  return [
    folder.write('quote.bin', quote),
    { collateral: folder.collateral('collateral.json', collateral), root },
  ];
}

async function bundle(faults: EvidenceFaults = {}): Promise<string> {
  return folder.bundle('bundle.json', (await buildEvidence(pki, faults)).evidence);
}

/** What stands in brackets behind each section's title. */
function worths(text: string): ReadonlyMap<string, string> {
  return new Map(
    [...text.matchAll(/^(\S.*) \[(\w+)\]$/gm)].map(([, title = '', worth = '']) => [title, worth]),
  );
}

test('a TDX quote shows its registers, machine, chain, documents and TCB', async () => {
  const [quote, options] = await quoteFiles({ quote: { version: 5, body: 3 } });
  const { fields, exit } = await inspected(quote, options);
  const td = tdReport();
  assert.equal(exit, 0);
  assert.equal(fields['td']?.['mrTd'], toHex(td.mrTd));
  assert.equal(fields['td']?.['rtmr3'], toHex(td.rtmr[3]));
  assert.equal(fields['td']?.['reportData'], 'c3'.repeat(64));
  assert.equal(fields['module']?.['teeTcbSvn2'], '05010400000000000000000000000000');
  assert.equal(fields['platform']?.['fmspc'], 'c0ffee000000');
  assert.match(String(fields['pckChain']?.['leaf']), /^Intel SGX PCK Certificate, serial/);
  assert.equal(fields['tcbInfo']?.['evaluationDataNumber'], 19);
  assert.equal(fields['rootCrl']?.['revoked'], 2);
  assert.equal(fields['tcb']?.['status'], 'UpToDate');
});

test('bits have names, and those nobody knows are called unknown', async () => {
  const tdAttributes = fixed(fromHex('0100003000000080'), 8);
  const xfam = fixed(fromHex('e702060000000001'), 8);
  const [quote, options] = await quoteFiles({ quote: { td: { tdAttributes, xfam } } });
  const { text } = await attest('inspect', quote, options);
  assert.match(
    text,
    /ATTRIBUTES +0100003000000080 +\(DEBUG \| SEPT_VE_DISABLE \| MIGRATABLE \|\s+PERFMON\)/,
  );
  assert.match(text, /bit 56 \(unknown\)/);
});

test('an SEV-SNP report shows guest, policy, platform, four TCBs and its certificates', async () => {
  const { evidence, certificates } = await buildSnpCase(snpPki);
  const report = folder.write('report.bin', evidence.bytes);
  const options = {
    vek: folder.write('vek.der', evidence.endorsements.vek ?? assert.fail()),
    ask: folder.write('ask.der', certificates.intermediate.der),
    ark: folder.write('ark.der', certificates.root.der),
    crl: folder.write('crl.der', evidence.endorsements.crl ?? assert.fail()),
    root: folder.write('snp-root.der', certificates.root.der),
  };
  const { fields, verified } = await inspected(report, options);
  assert.equal(verified.machine, true);
  assert.equal(fields['guest']?.['reportData'], 'c3'.repeat(64));
  assert.equal(fields['guestPolicy']?.['set'], 'SMT');
  assert.equal(fields['platform']?.['product'], 'genoa');
  assert.equal(fields['platform']?.['chipId'], toHex(PRODUCTS.Genoa.chipId));
  assert.equal(fields['tcb']?.['launch'], 'bootloader 10, tee 0, snp 23, microcode 84');
  assert.equal(fields['leaf']?.['tcb'], 'bootloader 10, tee 0, snp 23, microcode 84');
  assert.equal(fields['crl']?.['revoked'], 2);
  const { text } = await attest('inspect', report, options);
  assert.match(
    text,
    /PLATFORM_INFO +0x0000000000000025 +\(SMT_EN \| ECC_EN \| ALIAS_CHECK_COMPLETE\)/,
  );
});

test('what an SEV-SNP report came without is shown as missing', async () => {
  const { evidence } = await buildSnpCase(snpPki);
  const { fields } = await inspected(folder.write('report.bin', evidence.bytes), {});
  assert.deepEqual([fields['leaf'], fields['crl']], [{ missing: true }, { missing: true }]);
});

test('a blob of Azure’s shows what its guest wrote', async () => {
  const { evidence } = await buildSnpCase(snpPki, { hcl: {} });
  const { fields } = await inspected(folder.write('hcl.bin', evidence.bytes), {});
  assert.equal(fields['hcl']?.['userData'], '00'.repeat(64));
  assert.equal(fields['guest']?.['version'], 5);
});

test('a bundle shows statement and card as well', async () => {
  const { fields, verified } = await inspected(await bundle(), { root });
  assert.deepEqual(verified, { machine: true, statement: true, card: true });
  assert.equal(fields['statement']?.['image'], toHex(TEST_WORKLOAD.image));
  assert.equal(fields['card']?.['model'], 'test/model');
});

test('nothing is called verified under a root that nobody named', async () => {
  const [quote, { collateral }] = await quoteFiles();
  const { text } = await attest('inspect', quote, { ...(collateral && { collateral }) });
  assert.match(text, /^UNVERIFIED: everything below is what the sender says/m);
  assert.deepEqual([...new Set(worths(text).values())], ['UNVERIFIED']);
});

test('under a development root everything is called simulated, nothing verified', async () => {
  const { text } = await attest('inspect', await bundle(), { root });
  assert.deepEqual([...new Set(worths(text).values())], ['SIMULATED']);
});

test('a statement that the quote does not cover is the sender’s word, whatever the machine is', async () => {
  const input = await bundle({ reportData: filled(64, 1) });
  const { verified } = await inspected(input, { root });
  assert.deepEqual(verified, { machine: true, statement: false, card: false });
  const { text } = await attest('inspect', input, { root });
  const worth = worths(text);
  assert.equal(worth.get('Statement: what the worker says'), 'UNVERIFIED');
  assert.equal(worth.get('Card: what its owner offers'), 'UNVERIFIED');
  assert.equal(worth.get('TD: what the guest is'), 'SIMULATED');
  assert.match(text, /The quote does not cover the statement/);
});

test('a card that the statement does not name is the sender’s word', async () => {
  const { evidence } = await buildEvidence(pki);
  const other = await buildEvidence(pki, { card: { payout: `0:${'1'.repeat(64)}` } });
  const input = folder.bundle('swapped.json', { ...evidence, card: other.evidence.card });
  const { verified } = await inspected(input, { root });
  assert.deepEqual(verified, { machine: true, statement: true, card: false });
});

test('evidence that is refused is shown, with status 0, and said to be refused', async () => {
  const [quote, options] = await quoteFiles({
    quote: { td: { tdAttributes: fixed(fromHex('0100001000000000'), 8) } },
  });
  const { status, text } = await attest('inspect', quote, options);
  assert.equal(status, 0);
  assert.match(text, /^REJECTED, NO POLICY/);
  assert.match(text, /refused all the same/);
});

test('parts that cannot be read say why, and the others are shown', async () => {
  const [quote] = await quoteFiles();
  const collateral = folder.write('half.json', '{"tcbInfo":"{","pckCrl":"AAAA"}');
  const { fields } = await inspected(quote, { collateral, root });
  assert.match(String(fields['tcbInfo']?.['unreadable']), /json\.syntax/);
  assert.match(String(fields['pckCrl']?.['unreadable']), /der\./);
  assert.equal(fields['platform']?.['fmspc'], 'c0ffee000000');
});

test('bytes from certificates reach the terminal escaped', async () => {
  const commonName = 'Intel SGX \u001B[2J\u202E\u0007PCK';
  const [quote, options] = await quoteFiles({
    certificates: {
      pck: (profile) => ({ ...profile, subject: { ...profile.subject, commonName } }),
    },
  });
  const { text } = await attest('inspect', quote, options);
  assert.match(text, /Intel SGX \\u\{1b\}\[2J/);
  for (const character of text.replaceAll('\n', '')) {
    assert.doesNotMatch(character, /[\p{C}\p{Zl}\p{Zp}]/u, character.codePointAt(0)?.toString(16));
  }
});
