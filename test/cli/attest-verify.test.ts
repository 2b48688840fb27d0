/** `veilgate attest verify`: accepted, rejected, undecided, with and without a policy. @module */

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import type { AttestOptions } from '../../cli/attest/request.ts';
import { concat, fixed, fromHex, utf8 } from '../../core/bytes.ts';
import type { Json } from '../../core/json.ts';
import { sha256 } from '#primitives';
import {
  attest,
  evidenceFolder,
  jsonOf,
  type Answered,
  type EvidenceFolder,
} from '../support/attest.ts';
import { buildSnpCase, type SnpCase, type SnpFaults } from '../support/snp/case.ts';
import { createSnpTestPki, type SnpTestPki } from '../support/snp/pki.ts';
import { buildSnpEvidence, TEST_SNP_CPU } from '../support/snp/worker-evidence.ts';
import { buildCase, filled, type Faults } from '../support/tdx/case.ts';
import { createTestPki, NOW_MS, type TestPki } from '../support/tdx/pki.ts';
import {
  buildEvidence,
  TEST_AUD,
  TEST_CHALLENGE,
  TEST_IMAGE,
  TEST_RULE,
  testPolicyDocument,
  type EvidenceFaults,
} from '../support/worker-evidence.ts';

let folder: EvidenceFolder;
let pki: TestPki;
let snpPki: SnpTestPki;
let tdxRoot: string;

before(async () => {
  folder = evidenceFolder();
  pki = await createTestPki();
  snpPki = await createSnpTestPki();
  tdxRoot = folder.write('tdx-root.der', pki.sound.root.der);
});
after(() => folder[Symbol.dispose]());

const AT = z.string().exactOptional();
const CHECK = z.discriminatedUnion('outcome', [
  z.strictObject({ id: z.string(), outcome: z.literal('pass'), at: AT }),
  z.strictObject({
    id: z.string(),
    outcome: z.literal('fail'),
    want: z.string(),
    got: z.string(),
    at: AT,
  }),
  z.strictObject({
    id: z.string(),
    outcome: z.literal('waived'),
    by: z.string(),
    note: z.string(),
  }),
  z.strictObject({ id: z.string(), outcome: z.literal('skipped'), because: z.string() }),
]);
const TEXT_OR_NULL = z.string().nullable();

/** The shape is API: strict, so that a new or lost member shows here. */
const ANSWER = z.strictObject({
  format: z.literal('veilgate.attest/1'),
  command: z.literal('verify'),
  exit: z.int(),
  at: z.literal('2026-06-15T12:00:00Z'),
  policy: z
    .strictObject({ name: z.string(), serial: z.int(), sha256: z.string().length(64) })
    .nullable(),
  evidence: z.array(
    z.strictObject({
      name: z.string(),
      kind: z.string(),
      tee: z.enum(['tdx', 'snp']),
      verdict: z.enum(['accepted', 'rejected', 'undecided']),
      authentic: z.boolean(),
      simulated: z.boolean(),
      failing: z.array(z.string()),
      checks: z.array(CHECK),
      warnings: z.array(z.strictObject({ id: z.string(), detail: z.string() })),
      missing: z.array(z.strictObject({ name: z.string(), option: z.string() })),
      notes: z.array(z.string()),
      rule: TEXT_OR_NULL,
      image: TEXT_OR_NULL,
      shape: TEXT_OR_NULL,
      model: TEXT_OR_NULL,
      platform: z.record(z.string(), z.string()).nullable(),
      tcbStatus: TEXT_OR_NULL,
      validUntil: TEXT_OR_NULL,
    }),
  ),
  unreadable: z.array(z.unknown()),
});

/** The one judgement of a `--json` answer; both say the same exit status. */
async function judged(input: string, options: AttestOptions) {
  const answer = await attest('verify', input, { ...options, json: true });
  const { exit, evidence, policy } = ANSWER.parse(jsonOf(answer));
  assert.equal(exit, answer.status);
  assert.deepEqual(answer.errors, []);
  const [one, ...more] = evidence;
  assert.ok(one !== undefined && more.length === 0);
  return { ...one, exit, policy };
}

async function quoteFiles(faults: Faults = {}): Promise<readonly [string, AttestOptions]> {
  const { quote, collateral } = await buildCase(pki, faults);
  return [
    folder.write('quote.bin', quote),
    { collateral: folder.collateral('collateral.json', collateral), root: tdxRoot },
  ];
}

function reportFiles({ evidence, certificates }: SnpCase): readonly [string, AttestOptions] {
  const { vek, intermediate, crl } = evidence.endorsements;
  const written = (name: string, bytes: Uint8Array | undefined): string =>
    folder.write(name, bytes ?? assert.fail(name));
  return [
    folder.write('report.bin', evidence.bytes),
    {
      vek: written('vek.der', vek),
      ask: written('ask.der', intermediate),
      crl: written('crl.der', crl),
      root: folder.write('snp-root.der', certificates.root.der),
    },
  ];
}

function firstLines({ output }: Answered): string {
  return output.slice(0, 6).join('\n');
}

suite('a bare TDX quote', () => {
  test('is accepted with what is needed, and the first lines say what that does not mean', async () => {
    const [quote, options] = await quoteFiles();
    const answer = await attest('verify', quote, options);
    assert.equal(answer.status, 0);
    assert.match(answer.output[0] ?? '', /^ACCEPTED, NO POLICY {2}quote\.bin$/);
    assert.match(firstLines(answer), /No policy was applied\. Accepted means no more than/);
    assert.match(firstLines(answer), /any software\s+may run there/);
    assert.match(firstLines(answer), /may be a\s+recording/);
  });

  test('whose root is a development root is simulated, and says so', async () => {
    const [quote, options] = await quoteFiles();
    const { simulated, exit } = await judged(quote, options);
    assert.ok(simulated);
    assert.equal(exit, 0);
    const { text } = await attest('verify', quote, options);
    assert.match(text, /SIMULATED: .*protects nothing/);
  });

  test('under nobody’s root is rejected', async () => {
    const [quote, { collateral }] = await quoteFiles();
    const { exit, failing } = await judged(quote, { ...(collateral && { collateral }) });
    assert.equal(exit, 1);
    assert.ok(failing.includes('pck.root'), failing.join(' '));
  });

  test('with the expected report data shows the check as passed, with another as failed', async () => {
    const reportData = filled(64, 0xc3);
    const [quote, options] = await quoteFiles();
    const good = await judged(quote, { ...options, reportData });
    assert.deepEqual(
      good.checks.find(({ id }) => id === 'policy.reportData'),
      { id: 'policy.reportData', outcome: 'pass' },
    );
    assert.doesNotMatch(
      (await attest('verify', quote, { ...options, reportData })).text,
      /recording/,
    );
    const bad = await judged(quote, { ...options, reportData: filled(64, 0xc4) });
    assert.deepEqual([bad.exit, bad.failing], [1, ['policy.reportData']]);
  });

  test('that is debuggable is rejected for exactly that', async () => {
    const tdAttributes = fixed(fromHex('0100001000000000'), 8);
    const [quote, options] = await quoteFiles({ quote: { td: { tdAttributes } } });
    const { exit, failing } = await judged(quote, options);
    assert.deepEqual([exit, failing], [1, ['policy.td.debug']]);
  });

  test('judged at another instant is judged at that instant', async () => {
    const [quote, options] = await quoteFiles();
    const answer = await attest('verify', quote, { ...options, at: NOW_MS + 400 * 86_400_000 });
    assert.equal(answer.status, 1);
    assert.match(answer.text, /fail {3}tcbInfo\.freshness/);
  });

  test('without collateral is undecided: nothing speaks against it', async () => {
    const [quote] = await quoteFiles();
    const { exit, verdict, missing } = await judged(quote, { root: tdxRoot });
    assert.deepEqual([exit, verdict], [3, 'undecided']);
    assert.ok(missing.length >= 4);
    assert.ok(missing.every(({ option }) => option === '--collateral'));
    const { text } = await attest('verify', quote, { root: tdxRoot });
    assert.match(text, /Missing, and so not judged: TCB info.*--collateral/s);
  });

  test('without collateral and with something against it is rejected', async () => {
    const [quote] = await quoteFiles();
    assert.equal((await judged(quote, {})).exit, 1);
  });
});

suite('a bare SEV-SNP report', () => {
  const files = async (faults: SnpFaults = {}) => reportFiles(await buildSnpCase(snpPki, faults));

  test('is accepted with certificates and list, and says that its age was not judged', async () => {
    const [report, options] = await files();
    const answer = await attest('verify', report, options);
    assert.equal(answer.status, 0, answer.text);
    assert.match(firstLines(answer), /Whether its firmware is new enough was\s+not judged/);
  });

  test('takes certificates from the table that follows it', async () => {
    const { evidence, certificates } = await buildSnpCase(snpPki, { table: (entries) => entries });
    const both = concat(evidence.bytes, evidence.certTable ?? assert.fail());
    const path = folder.write('report-table.bin', both);
    const root = folder.write('snp-root.der', certificates.root.der);
    assert.equal((await judged(path, { root })).exit, 0);
  });

  test('inside a blob of Azure’s is found', async () => {
    const hcl = await buildSnpCase(snpPki, { hcl: {} });
    const [blob, options] = reportFiles(hcl);
    const { exit, kind } = await judged(blob, options);
    assert.deepEqual([exit, kind], [0, 'azure-hcl']);
    const answer = await attest('verify', blob, options);
    assert.match(answer.text, /vouches for the paravisor, not for the\s+guest/);
  });

  test('takes ASK and ARK from one PEM file, as AMD hands them out', async () => {
    const built = await buildSnpCase(snpPki);
    const pem = (der: Uint8Array): string =>
      `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
    const { intermediate, root } = built.certificates;
    const [report, options] = reportFiles(built);
    const ask = folder.write('chain.pem', pem(intermediate.der) + pem(root.der));
    assert.equal((await judged(report, { ...options, ask })).exit, 0);
  });

  test('without certificate or list is undecided, and names the option for each', async () => {
    const [report, { root, ask }] = await files();
    const { exit, missing, failing } = await judged(report, {
      ...(root && { root }),
      ...(ask && { ask }),
    });
    assert.equal(exit, 3);
    assert.deepEqual(failing, ['vek.present', 'crl.present']);
    assert.deepEqual(
      missing.map(({ option }) => option),
      ['--vek', '--crl'],
    );
  });

  test('with the certificate of another TCB is rejected for exactly that', async () => {
    const [report, options] = await files({
      report: { fields: { reportedTcb: { bootloader: 9, tee: 0, snp: 23, microcode: 84 } } },
    });
    assert.deepEqual((await judged(report, options)).failing, ['bind.tcb']);
  });

  test('of a debug guest is rejected for exactly that', async () => {
    const [report, options] = await files({ report: { fields: { policy: 0xb_0137n } } });
    assert.deepEqual((await judged(report, options)).failing, ['policy.guestPolicy.debug']);
  });
});

suite('a bundle', () => {
  const tdxBundle = async (faults: EvidenceFaults = {}): Promise<string> =>
    folder.bundle('bundle.json', (await buildEvidence(pki, faults)).evidence);
  const policyFile = (overrides: Readonly<Record<string, Json>> = {}): string =>
    folder.write(
      'policy.yaml',
      JSON.stringify(testPolicyDocument(sha256(pki.sound.root.der), overrides), undefined, 2),
    );
  const asked = { aud: TEST_AUD, challenge: TEST_CHALLENGE };

  test('under a policy that lists it is admitted, in the words of every other command', async () => {
    const answer = await attest('verify', await tdxBundle(), { policy: policyFile(), ...asked });
    assert.equal(answer.status, 0, answer.text);
    assert.match(answer.output[0] ?? '', /^ACCEPTED {2}bundle\.json$/);
    assert.match(
      answer.text,
      /^ADMIT {2}\(simulated\) {2}test\/model.*policy test#1.*rule: test-rule/m,
    );
    assert.doesNotMatch(answer.text, /NO POLICY|No policy/);
  });

  test('under a policy names rule, image, shape and model for programs', async () => {
    const found = await judged(await tdxBundle(), { policy: policyFile(), ...asked });
    assert.deepEqual(
      [found.rule, found.image, found.shape, found.model, found.policy?.name],
      ['test-rule', 'test-image', 'small', 'test/model', 'test'],
    );
    assert.ok(found.validUntil !== null);
    assert.ok(found.checks.every(({ outcome }) => outcome === 'pass' || outcome === 'waived'));
  });

  test('under a policy that lists other images is denied, with the line of the policy', async () => {
    const policy = policyFile({ rules: [{ ...TEST_RULE, images: [] }] });
    const answer = await attest('verify', await tdxBundle(), { policy, ...asked });
    assert.equal(answer.status, 1);
    assert.match(answer.text, /^DENY/m);
    assert.match(answer.text, /fail {3}workload\.image +want .*\[policy\.yaml:\d+\]/);
  });

  test('without --aud shows whom it was made for as not compared', async () => {
    const options = { policy: policyFile(), challenge: TEST_CHALLENGE };
    const { checks, exit } = await judged(await tdxBundle(), options);
    const check = checks.find(({ id }) => id === 'statement.aud');
    assert.equal(check?.outcome, 'waived');
    assert.equal(exit, 0);
  });

  test('made for another gateway is rejected, with a policy and without', async () => {
    const bundle = await tdxBundle();
    const aud = 'gw1.another';
    for (const options of [
      { policy: policyFile(), ...asked, aud },
      { root: tdxRoot, aud },
    ]) {
      assert.deepEqual((await judged(bundle, options)).failing, ['statement.aud']);
    }
  });

  test('without --challenge is for the policy to decide', async () => {
    const bundle = await tdxBundle();
    const { failing } = await judged(bundle, { policy: policyFile(), aud: TEST_AUD });
    assert.deepEqual(failing, ['statement.nonce']);
    const limits = {
      evidence_age: '1h',
      reattest_every: '1h',
      revocation_age: { gateway: '60s', client: '5m' },
      collateral_grace: '0s',
      challenge: 'gateway',
    };
    const policy = policyFile({ limits });
    assert.equal((await judged(bundle, { policy, aud: TEST_AUD })).exit, 0);
  });

  test('that answers another challenge is rejected', async () => {
    const challenge = sha256(utf8('another challenge'));
    const options = { root: tdxRoot, aud: TEST_AUD, challenge };
    assert.deepEqual((await judged(await tdxBundle(), options)).failing, ['statement.nonce']);
  });

  test('without a policy is judged for authenticity, statement and card, and says so', async () => {
    const answer = await attest('verify', await tdxBundle(), { root: tdxRoot });
    assert.equal(answer.status, 0, answer.text);
    assert.match(firstLines(answer), /^ACCEPTED, NO POLICY/);
    assert.match(firstLines(answer), /Decide with\s+--policy FILE/);
    assert.match(answer.text, /waived statement\.aud .*no --aud was given/);
    assert.match(answer.text, /waived statement\.nonce .*no --challenge was given/);
  });

  test('whose statement the quote does not cover is rejected for exactly that', async () => {
    const bundle = await tdxBundle({ reportData: filled(64, 1) });
    const { failing } = await judged(bundle, { root: tdxRoot });
    assert.deepEqual(failing, ['statement.reportData']);
  });

  test('whose card was swapped is rejected for exactly that', async () => {
    const { evidence } = await buildEvidence(pki);
    const other = await buildEvidence(pki, { card: { payout: `0:${'1'.repeat(64)}` } });
    const bundle = folder.bundle('swapped.json', { ...evidence, card: other.evidence.card });
    assert.deepEqual((await judged(bundle, { root: tdxRoot })).failing, ['card.digest']);
  });

  test('with collateral of its own takes that which is handed over instead', async () => {
    const expired = await tdxBundle({
      collateral: { tcbInfoInput: { nextUpdateMs: NOW_MS - 1000, issueMs: NOW_MS - 86_400_000 } },
    });
    assert.deepEqual((await judged(expired, { root: tdxRoot })).failing, ['tcbInfo.freshness']);
    const { collateral } = await buildCase(pki);
    const options = { root: tdxRoot, collateral: folder.collateral('fresh.json', collateral) };
    assert.equal((await judged(expired, options)).exit, 0);
  });

  test('of an SEV-SNP machine is judged by the same rules', async () => {
    const { evidence, rootSha256 } = await buildSnpEvidence(snpPki);
    const bundle = folder.bundle('snp.json', evidence);
    const root = folder.write('snp-root.der', evidence.endorsements.root ?? assert.fail());
    assert.deepEqual((await judged(bundle, { root, ...asked })).failing, []);
    const { mrconfigid, mrowner, mrownerconfig, tdx, ...image } = TEST_IMAGE;
    assert.ok([mrconfigid, mrowner, mrownerconfig, tdx].every((part) => part !== undefined));
    const document = testPolicyDocument(rootSha256, {
      rules: [{ ...TEST_RULE, cpu: TEST_SNP_CPU }],
      images: [{ ...image, snp: [] }],
    });
    const policy = folder.write('snp.yaml', JSON.stringify(document));
    assert.deepEqual((await judged(bundle, { policy, ...asked })).failing, ['cpu.measurements']);
  });

  test('does not go with --report-data, nor a policy with --root', async () => {
    const bundle = await tdxBundle();
    const reportData = filled(64, 1);
    assert.equal((await attest('verify', bundle, { root: tdxRoot, reportData })).status, 2);
    const both = await attest('verify', bundle, { policy: policyFile(), root: tdxRoot });
    assert.equal(both.status, 2);
    assert.match(both.errors[0] ?? '', /--root does not go with an evidence bundle/);
  });
});
