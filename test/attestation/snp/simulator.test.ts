/**
 * The SNP simulator against the production verifier, with the demands that the shipped policy makes of real machines.
 * Its hierarchy on disk is tested in test/enclave-worker/evidence/simulator/snp. Spec: overview "Simulated machines".
 * @module
 */

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { compilePolicy } from '../../../attestation/policy/compile.ts';
import type { SnpPolicy } from '../../../attestation/snp/guest-policy.ts';
import { verifySnp, type SnpResult } from '../../../attestation/snp/verify.ts';
import { concat, fixed, toHex } from '../../../core/bytes.ts';
import { manualClock } from '../../../core/clock.ts';
import { DEMO_SNP_MEASUREMENTS } from '../../../enclave-worker/evidence/simulator/demo-image.ts';
import {
  TABLE_GUID,
  writeCertificateTable,
} from '../../../enclave-worker/evidence/simulator/snp/certificate-table.ts';
import {
  createSnpSimulator,
  type SimulatedSnpEvidence,
  type SnpSimulator,
} from '../../../enclave-worker/evidence/simulator/snp/simulator.ts';
import { NOT_ASKED, soundPolicy } from '../../support/snp/case.ts';
import { DAY_MS, NOW_MS } from '../../support/snp/pki.ts';

const folder = mkdtempSync(join(tmpdir(), 'veilgate-snp-verified-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const REPORT_DATA = fixed(
  Uint8Array.from({ length: 64 }, (_, at) => at),
  64,
);
let simulator: SnpSimulator;
let policy: SnpPolicy;

before(async () => {
  simulator = await createSnpSimulator({ pkiDir: folder, now: () => NOW_MS });
  policy = shippedPolicy();
});

/** What production asks of a Genoa, with this image and this report data. */
function shippedPolicy(): SnpPolicy {
  const { rules } = compilePolicy(readFileSync('policies/production.yaml')).document;
  const cpu = rules.map((rule) => rule.cpu).find(({ tee }) => tee === 'snp');
  assert.ok(cpu?.tee === 'snp');
  const floors = { floors: cpu.tcb };
  return {
    ...soundPolicy({ product: 'Genoa', signer: 'vcek' }),
    minTcb: floors,
    minLaunchTcb: floors,
    minFirmware: { major: 1, minor: 55, build: 40 },
    minAbi: NOT_ASKED,
    minGuestSvn: NOT_ASKED,
    chipIds: NOT_ASKED,
    familyId: NOT_ASKED,
    imageId: NOT_ASKED,
    reportId: NOT_ASKED,
    authorKeys: NOT_ASKED,
    measurements: { anyOf: [DEMO_SNP_MEASUREMENTS.measurement] },
    hostData: { equals: DEMO_SNP_MEASUREMENTS.hostData },
    idKeys: { anyOf: [DEMO_SNP_MEASUREMENTS.idKeyDigest] },
    reportData: { equals: REPORT_DATA },
  };
}

function verdict({ quote, endorsements }: SimulatedSnpEvidence, nowMs: number): SnpResult {
  return verifySnp({
    evidence: { form: 'report', bytes: quote, endorsements },
    nowMs,
    policy,
    anchors: [{ sha256: simulator.rootSha256(), simulated: true }],
  });
}

function failed(result: SnpResult): readonly string[] {
  return result.checks.flatMap(({ id, outcome }) => (outcome === 'fail' ? [id] : []));
}

test('a policy that names the root accepts the evidence, as simulated', async () => {
  const result = verdict(await simulator.collect(REPORT_DATA), NOW_MS);
  assert.deepEqual(failed(result), []);
  assert.equal(result.accepted, true);
  assert.equal(result.simulated, true);
  assert.equal(result.facts?.siliconLine, 'genoa');
  assert.equal(result.owner?.kind, 'vcek');
  assert.deepEqual(result.warnings, []);
});

test('without that root nothing but the end of the chain is wrong', async () => {
  const { quote, endorsements } = await simulator.collect(REPORT_DATA);
  const evidence = { form: 'report', bytes: quote, endorsements } as const;
  const result = verifySnp({ evidence, nowMs: NOW_MS, policy });
  assert.deepEqual(failed(result), ['chain.root']);
  assert.equal(result.accepted, false);
  assert.equal(result.simulated, false);
});

test('each report carries the report data asked for', async () => {
  const other = fixed(new Uint8Array(64).fill(9), 64);
  const [first, second] = await Promise.all([
    simulator.collect(REPORT_DATA),
    simulator.collect(other),
  ]);
  assert.deepEqual(failed(verdict(first, NOW_MS)), []);
  assert.deepEqual(failed(verdict(second, NOW_MS)), ['policy.reportData']);
});

test('the hierarchy outlives the process that made it', async () => {
  const later = NOW_MS + 400 * DAY_MS;
  const again = await createSnpSimulator({ pkiDir: folder, now: () => later });
  assert.equal(toHex(again.rootSha256()), toHex(simulator.rootSha256()));
  assert.deepEqual(failed(verdict(await again.collect(REPORT_DATA), later)), []);
});

test('the list is signed again before it expires', async () => {
  const clock = manualClock(NOW_MS);
  const moving = await createSnpSimulator({ pkiDir: folder, now: clock.now });
  const old = await moving.collect(REPORT_DATA);
  clock.advance(8 * DAY_MS);
  assert.deepEqual(failed(verdict(old, clock.now())), ['crl.freshness']);
  assert.deepEqual(failed(verdict(await moving.collect(REPORT_DATA), clock.now())), []);
});

test('the verdict lasts as long as the list and no longer', async () => {
  const evidence = await simulator.collect(REPORT_DATA);
  const { validUntilMs } = verdict(evidence, NOW_MS);
  assert.equal(validUntilMs, NOW_MS + 7 * DAY_MS);
  assert.equal(verdict(evidence, validUntilMs).accepted, true);
  assert.equal(verdict(evidence, validUntilMs + 1).accepted, false);
});

test('its endorsements can come in a certificate table as well', async () => {
  const { quote, endorsements } = await simulator.collect(REPORT_DATA);
  const certTable = writeCertificateTable([
    { guid: TABLE_GUID.vcek, bytes: endorsements.vek },
    { guid: TABLE_GUID.intermediate, bytes: endorsements.intermediate },
    { guid: TABLE_GUID.root, bytes: endorsements.root },
    { guid: TABLE_GUID.crl, bytes: endorsements.crl },
  ]);
  const result = verifySnp({
    evidence: { form: 'report', bytes: quote, certTable, endorsements: {} },
    nowMs: NOW_MS,
    policy,
    anchors: [{ sha256: simulator.rootSha256(), simulated: true }],
  });
  assert.deepEqual(failed(result), []);
});

test('another image is refused by its measurement alone', async () => {
  const measurement = fixed(concat(new Uint8Array(47), Uint8Array.of(1)), 48);
  const other = await createSnpSimulator({ pkiDir: folder, measurement, now: () => NOW_MS });
  assert.deepEqual(failed(verdict(await other.collect(REPORT_DATA), NOW_MS)), [
    'policy.measurement',
  ]);
});
