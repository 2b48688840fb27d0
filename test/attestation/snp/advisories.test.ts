/** AMD's bulletins beside a report: what is shown, what is not, and what nobody can see. @module */

import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import {
  judgeAdvisories,
  SNP_ADVISORIES,
  type AdvisoryFinding,
} from '../../../attestation/snp/advisories.ts';
import { snpRemedies, tcbRemarks } from '../../../attestation/snp/remedies.ts';
import { verifySnp, type SnpFacts } from '../../../attestation/snp/verify.ts';
import { toHex } from '../../../core/bytes.ts';
import { buildSnpCase, type SnpFaults } from '../../support/snp/case.ts';
import { createSnpTestPki, PRODUCTS, type SnpTestPki } from '../../support/snp/pki.ts';

let pki: SnpTestPki;
before(async () => {
  pki = await createSnpTestPki();
});

async function factsOf(faults: SnpFaults): Promise<SnpFacts> {
  const { facts } = verifySnp(await buildSnpCase(pki, faults));
  return facts ?? assert.fail('unreadable');
}

async function findingOf(id: string, faults: SnpFaults): Promise<AdvisoryFinding | undefined> {
  return judgeAdvisories(await factsOf(faults)).find(({ advisory }) => advisory.id.startsWith(id));
}

const { tcb } = PRODUCTS.Genoa;

test('each bulletin stands once, with a word for what it is about', () => {
  const ids = SNP_ADVISORIES.map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (const { id, about } of SNP_ADVISORIES) assert.match(about, /^.{10,}\.$/, id);
});

test('a microcode at the floor of its line shows the fix', async () => {
  assert.equal((await findingOf('AMD-SB-3019', {}))?.outcome, 'shown');
});

test('a microcode below the floor names the TCB values, what they have and what is needed', async () => {
  const low = { ...tcb, microcode: 83 };
  const finding = await findingOf('AMD-SB-3019', {
    report: { fields: { reportedTcb: low, launchTcb: low } },
  });
  assert.equal(finding?.outcome, 'lacking');
  assert.deepEqual(finding.gaps, [
    { what: 'microcode of REPORTED_TCB, LAUNCH_TCB', have: '83', need: '84' },
  ]);
});

test('floors are those of the silicon line, not of the product', async () => {
  const cpuid = { family: 0x19, model: 0xa0, stepping: 1 };
  const low = { ...tcb, microcode: 25 };
  const fields = { cpuid, currentTcb: low, committedTcb: low, reportedTcb: low, launchTcb: low };
  assert.equal((await findingOf('AMD-SB-3019', { report: { fields } }))?.outcome, 'shown');
});

test('a bit that is demanded and clear is a gap', async () => {
  const finding = await findingOf('AMD-SB-3015', { report: { fields: { platformInfo: 0x5n } } });
  assert.deepEqual(finding?.gaps, [
    { what: 'platform aliasCheckComplete', have: 'clear', need: 'set' },
  ]);
});

test('a version that nobody knows is not made up', async () => {
  assert.equal((await findingOf('AMD-SB-3020', {}))?.outcome, 'unnumbered');
  assert.equal((await findingOf('AMD-SB-3019', { product: 'Turin' }))?.outcome, 'unnumbered');
});

test('what no report can show is said to be so', async () => {
  assert.equal((await findingOf('Battering', {}))?.outcome, 'unseen');
});

test('Milan is refused whatever its TCB, and only Milan', async () => {
  assert.equal((await findingOf('arXiv', { product: 'Milan' }))?.outcome, 'lacking');
  assert.equal(await findingOf('arXiv', {}), undefined);
});

test('a report of an unknown processor gets no answers', async () => {
  const facts = await factsOf({
    report: { fields: { cpuid: { family: 0x1b, model: 0, stepping: 0 } } },
  });
  assert.deepEqual(judgeAdvisories(facts), []);
  assert.deepEqual(tcbRemarks(facts), []);
});

test('the certificate to fetch is named by the report’s own chip and TCB', async () => {
  const facts = await factsOf({
    report: { fields: { reportedTcb: { ...tcb, bootloader: 9 } } },
  });
  const advice = snpRemedies(facts).get('bind.tcb') ?? '';
  const hwid = toHex(PRODUCTS.Genoa.hwId);
  assert.ok(
    advice.endsWith(
      `https://kdsintf.amd.com/vcek/v1/Genoa/${hwid}?blSPL=9&teeSPL=0&snpSPL=23&ucodeSPL=84`,
    ),
    advice,
  );
  assert.match(advice, /Fetch the VCEK for bootloader 9, tee 0, snp 23, microcode 84/);
});

test('Turin names eight bytes of chip and five components', async () => {
  const advice = snpRemedies(await factsOf({ product: 'Turin' })).get('vek.present') ?? '';
  assert.match(advice, /\/Turin\/[0-9a-f]{16}\?fmcSPL=2&blSPL=3&teeSPL=1&snpSPL=4&ucodeSPL=81$/);
});

test('a cloud’s certificate is for the cloud to hand over', async () => {
  const advice = snpRemedies(await factsOf({ signer: 'vlek' }));
  assert.match(advice.get('vek.present') ?? '', /VLEK/);
  assert.match(advice.get('crl.present') ?? '', /\/vlek\/v1\/Genoa\/crl$/);
});

test('a hidden chip gets no address', async () => {
  const chipId = new Uint8Array(64);
  const facts = await factsOf({ report: { signed: (bytes) => replaced(bytes, 0x1a0, chipId) } });
  assert.doesNotMatch(snpRemedies(facts).get('vek.present') ?? '', /https/);
});

function replaced(bytes: Uint8Array, at: number, by: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  copy.set(by, at);
  return copy;
}

test('four TCB values that differ say commit, report and relaunch, in that order', async () => {
  const [older, oldest] = [
    { ...tcb, snp: 22 },
    { ...tcb, snp: 21 },
  ];
  const facts = await factsOf({
    report: { fields: { committedTcb: older, reportedTcb: oldest, launchTcb: older } },
  });
  const [commit, report, relaunch, ...more] = tcbRemarks(facts);
  assert.match(commit ?? '', /^Commit.*snp 22 < 23/);
  assert.match(report ?? '', /^Have the host report.*snp 21 < 22/);
  assert.match(
    relaunch ?? '',
    /^Relaunch the guest: LAUNCH_TCB is older than CURRENT_TCB \(snp 22 < 23\)/,
  );
  assert.deepEqual(more, []);
  assert.deepEqual(tcbRemarks(await factsOf({})), []);
});
