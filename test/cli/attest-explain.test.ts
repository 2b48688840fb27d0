/** `veilgate attest explain`: what failed and why it matters, what is behind, what to do. @module */

import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { z } from 'zod';
import { sha256 } from '#primitives';
import { decodePemBlock, splitPemCertificates } from '../../attestation/pem.ts';
import type { AttestOptions } from '../../cli/attest/request.ts';
import { fixed, fromHex } from '../../core/bytes.ts';
import { attest, evidenceFolder, jsonOf, type EvidenceFolder } from '../support/attest.ts';
import { buildSnpCase, type SnpFaults } from '../support/snp/case.ts';
import { createSnpTestPki, PRODUCTS, type SnpTestPki } from '../support/snp/pki.ts';
import { buildCase, svn, type Faults } from '../support/tdx/case.ts';
import { createTestPki, NOW_MS, PLATFORM_COMPONENTS, type TestPki } from '../support/tdx/pki.ts';
import {
  buildEvidence,
  TEST_AUD,
  TEST_CHALLENGE,
  TEST_RULE,
  testPolicyDocument,
  type EvidenceFaults,
} from '../support/worker-evidence.ts';

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

async function explainQuote(faults: Faults, options: AttestOptions = {}): Promise<string> {
  const { quote, collateral } = await buildCase(pki, faults);
  const path = folder.write('quote.bin', quote);
  // Certificates with a fault are issued under a root of their own.
  const [, der = ''] = splitPemCertificates(collateral.tcbInfoIssuerChain);
  const files = {
    collateral: folder.collateral('collateral.json', collateral),
    root: folder.write('case-root.der', decodePemBlock(der)),
  };
  return (await attest('explain', path, { ...files, ...options })).text;
}

async function explainReport(faults: SnpFaults): Promise<string> {
  const { evidence, certificates } = await buildSnpCase(snpPki, faults);
  const { vek, crl } = evidence.endorsements;
  return (
    await attest('explain', folder.write('report.bin', evidence.bytes), {
      ...(vek && { vek: folder.write('vek.der', vek) }),
      ...(crl && { crl: folder.write('crl.der', crl) }),
      ask: folder.write('ask.der', certificates.intermediate.der),
      root: folder.write('snp-root.der', certificates.root.der),
    })
  ).text;
}

async function explainBundle(faults: EvidenceFaults, options: AttestOptions): Promise<string> {
  const input = folder.bundle('bundle.json', (await buildEvidence(pki, faults)).evidence);
  return (await attest('explain', input, options)).text;
}

suite('a TDX machine', () => {
  test('that is good has nothing to explain but what nobody looked at', async () => {
    const text = await explainQuote({});
    assert.match(text, /^Nothing failed\.$/m);
    assert.match(text, /^Nothing is behind: every part is up to date\.$/m);
    assert.match(text, /^What nobody looked at \(waived\)$/m);
    assert.match(text, /no --report-data was given: policy\.reportData/);
    assert.match(text, /^Good until 2026-07-01T00:00:00Z/m);
  });

  test('that is out of date: component, have and need, advisory, and the update', async () => {
    const components = PLATFORM_COMPONENTS.map((value, at) => (at === 0 ? value - 1 : value));
    const text = await explainQuote({ certificates: { facts: { components, pceSvn: 11 } } });
    assert.match(text, /^In short\n {2}The machine is genuine and out of date/m);
    assert.match(text, /platform: OutOfDate, reaches Intel’s level of 2024-11-13/);
    assert.match(text, /\(sgx\[0\]\) has 3, needs 4/);
    assert.match(text, /provisioning enclave \(PCE\) \(pcesvn\) has 11, needs 13/);
    assert.match(text, /open: TEST-SA-P3/);
    assert.match(text, /do: Restart, let the host register the new TCB/);
  });

  test('that was launched under an old module: relaunch', async () => {
    const v15 = { teeTcbSvn2: svn(5, 1, 4), mrServiceTd: fixed(new Uint8Array(48), 48) };
    const td = { teeTcbSvn: svn(3, 1, 4), v15 };
    const text = await explainQuote({ quote: { version: 5, body: 3, td } });
    assert.match(text, /TDX module at launch: OutOfDate/);
    assert.match(text, /Relaunch the guest: it was launched under a TDX module that is OutOfDate/);
  });

  test('whose collateral is over: the day, the distance, and only time speaks against it', async () => {
    const text = await explainQuote({}, { at: NOW_MS + 30 * 86_400_000 });
    assert.match(text, /^In short\n {2}Only time speaks against it/m);
    assert.match(text, /The TCB info expired on 2026-07-01T00:00:00Z, 14 days before/);
    assert.match(text, /^What is behind\n {2}Not known/m);
  });

  test('judged by a clock that is behind: the clock', async () => {
    const text = await explainQuote({}, { at: NOW_MS - 30 * 86_400_000 });
    assert.match(
      text,
      /begins on 2026-06-01T00:00:00Z, 15 days after .*: the clock of this\s+machine/s,
    );
  });

  test('for debugging: nothing else matters', async () => {
    const tdAttributes = fixed(fromHex('0100001000000000'), 8);
    const text = await explainQuote({ quote: { td: { tdAttributes } } });
    assert.match(text, /^In short\n {2}A debug guest: its host reads and writes everything in it/m);
    assert.match(text, /\(whoever builds and launches the guest\) Launch the TD without debug/);
  });

  test('with collateral of another platform: says which to fetch', async () => {
    const text = await explainQuote({
      collateral: { tcbInfoInput: { fmspc: fromHex('00806f050000') } },
    });
    assert.match(text, /^In short\n {2}The collateral is that of another kind of platform/m);
    assert.match(text, /want {2}c0ffee000000\n {2}got {3}00806f050000/);
    assert.match(text, /hides 6 further checks could not be made: policy\.tcbStatus/);
  });

  test('under a root that nobody named: that nobody vouches for it', async () => {
    const { quote, collateral } = await buildCase(pki);
    const options = { collateral: folder.collateral('collateral.json', collateral) };
    const { text } = await attest('explain', folder.write('quote.bin', quote), options);
    assert.match(text, /^In short\n {2}Nobody you trust vouches for it/m);
  });

  test('without collateral: what is missing, and that nothing speaks against it', async () => {
    const { quote } = await buildCase(pki);
    const answer = await attest('explain', folder.write('quote.bin', quote), { root });
    assert.equal(answer.status, 3);
    assert.match(answer.text, /^In short\n {2}Nothing speaks against it so far/m);
  });

  test('warnings say why they are worth a look', async () => {
    const text = await explainQuote({
      collateral: { qeIdentityInput: { evaluationNumber: 18 } },
    });
    assert.match(text, /^warning collateral\.evaluationNumberMismatch$/m);
    assert.match(text, /why {3}One of them is older than it could be/);
  });
});

suite('an SEV-SNP machine', () => {
  const { tcb } = PRODUCTS.Genoa;

  test('with the certificate of another TCB: which one to fetch, with its address', async () => {
    const text = await explainReport({
      report: { fields: { reportedTcb: { ...tcb, bootloader: 9 } } },
    });
    assert.match(text, /^In short\n {2}The certificate is not this report’s/m);
    assert.match(text, /Fetch the VCEK for bootloader 9, tee 0, snp 23, microcode 84:/);
    assert.match(text, /blSPL=9&teeSPL=0&snpSPL=23&ucodeSPL=84/);
  });

  test('whose guest is older than its firmware: relaunch', async () => {
    const text = await explainReport({
      report: { fields: { launchTcb: { ...tcb, microcode: 83 } } },
    });
    assert.match(
      text,
      /do: Relaunch the guest: LAUNCH_TCB is older than CURRENT_TCB \(microcode 83/,
    );
    assert.match(text, /AMD-SB-3019, AMD-SB-7033 \(EntrySign\)/);
    assert.match(text, /microcode of LAUNCH_TCB is 83, needs 84/);
  });

  test('the bulletins come with their caveat, and with what no report can show', async () => {
    const text = await explainReport({});
    assert.match(text, /^AMD’s bulletins, by what this report shows$/m);
    assert.match(text, /the bulletins decide/);
    assert.match(text, /fix shown: .*EntrySign \(AMD-SB-3019, AMD-SB-7033\)/);
    assert.match(text, /number not known here, see the bulletin: .*RMPocalypse\s+\(AMD-SB-3020\)/);
    assert.match(text, /no report can show it: .*Battering RAM/s);
  });

  test('a report that did not verify claims, it does not show', async () => {
    const text = await explainReport({ report: { signature: (rs) => rs.reverse() } });
    assert.match(text, /by what this report claims \(it did not verify\)/);
  });
});

suite('a bundle', () => {
  const policyFile = (rule = TEST_RULE): string =>
    folder.write(
      'policy.yaml',
      JSON.stringify(
        testPolicyDocument(sha256(pki.sound.root.der), { rules: [rule] }),
        undefined,
        2,
      ),
    );
  const asked = { aud: TEST_AUD, challenge: TEST_CHALLENGE };

  test('whose statement is over: by how much', async () => {
    const iat = NOW_MS / 1000 - 7200;
    const text = await explainBundle({ statement: { iat, exp: iat + 600 } }, { root, ...asked });
    assert.match(text, /It ended 1 hour ago: ask for new evidence/);
  });

  test('whose statement is from the future: by how much', async () => {
    const iat = NOW_MS / 1000 + 600;
    const text = await explainBundle({ statement: { iat, exp: iat + 600 } }, { root, ...asked });
    assert.match(text, /The worker’s clock is 10 minutes ahead of yours/);
  });

  test('under a policy explains the policy’s checks, with their lines', async () => {
    const text = await explainBundle(
      {},
      { policy: policyFile({ ...TEST_RULE, models: [] }), ...asked },
    );
    assert.match(text, /^workload\.model$/m);
    assert.match(text, /want {2}nothing: the list is empty \[policy\.yaml:\d+\]/);
    assert.match(text, /\(whoever writes the policy\) List the model by its exact name/);
    assert.match(
      text,
      /a simulated machine: protects nothing \[policy\.yaml:\d+\]: policy\.simulated/,
    );
  });

  test('as JSON has every failed check with its words, its mender and its advice', async () => {
    const input = folder.bundle('bundle.json', (await buildEvidence(pki)).evidence);
    const options = { policy: policyFile(), aud: 'gw1.other', challenge: TEST_CHALLENGE };
    const { evidence } = z
      .object({
        evidence: z.array(
          z.object({
            explanations: z.array(
              z.strictObject({
                id: z.string(),
                checks: z.string(),
                matters: z.string(),
                mender: z.enum(['host', 'guest', 'verifier', 'sender', 'policy']),
                fix: z.string(),
                advice: z.string().nullable(),
                hides: z.array(z.string()),
              }),
            ),
            behind: z.array(z.unknown()),
            remarks: z.array(z.string()),
            bulletins: z.array(z.unknown()),
          }),
        ),
      })
      .parse(jsonOf(await attest('explain', input, { ...options, json: true })));
    assert.deepEqual(
      evidence[0]?.explanations.map(({ id, mender }) => [id, mender]),
      [['statement.aud', 'verifier']],
    );
  });
});
