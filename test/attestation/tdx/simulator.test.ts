/**
 * The simulator against the production verifier, and its hierarchy on disk. Spec: overview "Simulated machines".
 * @module
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { baselineTdxPolicy, type TdxPolicy } from '../../../attestation/tdx/td-policy.ts';
import { verifyTdx, type TdxResult } from '../../../attestation/tdx/verify.ts';
import { equalPublic, fixed, toHex } from '../../../core/bytes.ts';
import { manualClock } from '../../../core/clock.ts';
import { hasCode } from '../../../core/errors.ts';

import { PROVIDERS } from '../../../enclave-worker/evidence/providers.ts';
import { DEMO_MEASUREMENTS } from '../../../enclave-worker/evidence/simulator/demo-image.ts';
import {
  createSimulator,
  type SimulatedEvidence,
  type Simulator,
} from '../../../enclave-worker/evidence/simulator/simulator.ts';
import { DAY_MS, NOW_MS } from '../../support/tdx/pki.ts';

const folder = mkdtempSync(join(tmpdir(), 'veilgate-simulator-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const REPORT_DATA = fixed(
  Uint8Array.from({ length: 64 }, (_, at) => at),
  64,
);
const POLICY: TdxPolicy = baselineTdxPolicy({
  reportData: { equals: REPORT_DATA },
  measurements: { anyOf: [DEMO_MEASUREMENTS] },
});

function verdict(evidence: SimulatedEvidence, simulator: Simulator, nowMs: number): TdxResult {
  return verifyTdx({
    quote: evidence.quote,
    collateral: evidence.endorsements,
    nowMs,
    policy: POLICY,
    roots: [{ sha256: simulator.rootSha256(), simulated: true }],
  });
}

function failed(result: TdxResult): readonly string[] {
  return result.checks.flatMap(({ id, outcome }) => (outcome === 'fail' ? [id] : []));
}

function folderOf(name: string): string {
  return join(folder, name);
}

test('a policy that names the root accepts the evidence, as simulated', async () => {
  const simulator = await createSimulator({ pkiDir: folderOf('accept'), now: () => NOW_MS });
  const result = verdict(await simulator.collect(REPORT_DATA), simulator, NOW_MS);
  assert.deepEqual(failed(result), []);
  assert.equal(result.accepted, true);
  assert.equal(result.simulated, true);
  assert.equal(result.tcb?.status, 'UpToDate');
  assert.equal(result.platform?.fmspc, toHex(new TextEncoder().encode('VGDEV0')));
  assert.equal(result.measurement?.image, 'veilgate-demo');
  assert.deepEqual(result.warnings, []);
  assert.ok(simulator.simulated);
});

test('without that root nothing but the three ends of the chains is wrong', async () => {
  const simulator = await createSimulator({ pkiDir: folderOf('accept'), now: () => NOW_MS });
  const { quote, endorsements } = await simulator.collect(REPORT_DATA);
  const result = verifyTdx({ quote, collateral: endorsements, nowMs: NOW_MS, policy: POLICY });
  assert.deepEqual(failed(result), ['pck.root', 'tcbInfo.chain', 'qeIdentity.chain']);
  assert.equal(result.accepted, false);
  assert.equal(result.simulated, false);
});

test('each quote carries the report data asked for', async () => {
  const simulator = await createSimulator({ pkiDir: folderOf('accept'), now: () => NOW_MS });
  const other = fixed(new Uint8Array(64).fill(9), 64);
  const [first, second] = await Promise.all([
    simulator.collect(REPORT_DATA),
    simulator.collect(other),
  ]);
  assert.deepEqual(failed(verdict(first, simulator, NOW_MS)), []);
  assert.deepEqual(failed(verdict(second, simulator, NOW_MS)), ['policy.reportData']);
});

test('the hierarchy outlives the process that made it', async () => {
  const first = await createSimulator({ pkiDir: folderOf('again'), now: () => NOW_MS });
  const later = NOW_MS + 400 * DAY_MS;
  const second = await createSimulator({ pkiDir: folderOf('again'), now: () => later });
  assert.ok(equalPublic(first.rootSha256(), second.rootSha256()));
  const result = verdict(await second.collect(REPORT_DATA), second, later);
  assert.deepEqual(failed(result), []);
});

test('documents are signed again before they expire', async () => {
  const clock = manualClock(NOW_MS);
  const simulator = await createSimulator({ pkiDir: folderOf('renew'), now: clock.now });
  const old = await simulator.collect(REPORT_DATA);
  clock.advance(8 * DAY_MS);
  assert.deepEqual(failed(verdict(old, simulator, clock.now())), [
    'rootCrl.freshness',
    'pckCrl.freshness',
    'tcbInfo.freshness',
    'qeIdentity.freshness',
  ]);
  const renewed = await simulator.collect(REPORT_DATA);
  assert.deepEqual(failed(verdict(renewed, simulator, clock.now())), []);
});

test('the verdict lasts as long as the documents and no longer', async () => {
  const simulator = await createSimulator({ pkiDir: folderOf('accept'), now: () => NOW_MS });
  const evidence = await simulator.collect(REPORT_DATA);
  const { validUntilMs } = verdict(evidence, simulator, NOW_MS);
  assert.equal(validUntilMs, NOW_MS + 7 * DAY_MS);
  assert.equal(verdict(evidence, simulator, validUntilMs).accepted, true);
  assert.equal(verdict(evidence, simulator, validUntilMs + 1).accepted, false);
});

function filesUnder(path: string): readonly string[] {
  return readdirSync(path, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

test('only the owner can read the files', async () => {
  const pkiDir = folderOf('modes');
  await createSimulator({ pkiDir, now: () => NOW_MS });
  const files = filesUnder(pkiDir);
  assert.equal(files.length, 8);
  for (const path of files) assert.equal(statSync(path).mode & 0o777, 0o600, path);
  assert.equal(statSync(pkiDir).mode & 0o777, 0o700);
});

test('what is on disk says that it is a development hierarchy', async () => {
  const pkiDir = folderOf('modes');
  await createSimulator({ pkiDir, now: () => NOW_MS });
  for (const path of filesUnder(pkiDir).filter((name) => name.endsWith('.der'))) {
    assert.match(path, /veilgate-development/);
    assert.ok(readFileSync(path, 'latin1').includes('Veilgate development, not Intel'));
  }
});

test('half a hierarchy is refused, not completed', async () => {
  const pkiDir = folderOf('half');
  await createSimulator({ pkiDir, now: () => NOW_MS });
  const leafKey = filesUnder(pkiDir).find((path) => path.endsWith('pck-certificate.pkcs8'));
  assert.ok(leafKey !== undefined);
  rmSync(leafKey);
  await assert.rejects(createSimulator({ pkiDir }), (error) => hasCode(error, 'simulator.pki'));
});

test('a damaged key is refused', async () => {
  const pkiDir = folderOf('damaged');
  await createSimulator({ pkiDir, now: () => NOW_MS });
  const key = filesUnder(pkiDir).find((path) => path.endsWith('root-ca.pkcs8'));
  assert.ok(key !== undefined);
  writeFileSync(key, 'not a key');
  await assert.rejects(createSimulator({ pkiDir }), (error) => hasCode(error, 'simulator.pki'));
});

test('simulators of one process that start at once share one root', async () => {
  const pkiDir = folderOf('together');
  const all = await Promise.all(
    Array.from({ length: 8 }, () => createSimulator({ pkiDir, now: () => NOW_MS })),
  );
  assert.equal(new Set(all.map((one) => toHex(one.rootSha256()))).size, 1);
});

const START = fileURLToPath(new URL('../../support/tdx/start-simulator.ts', import.meta.url));

async function rootMadeByProcess(pkiDir: string): Promise<string> {
  const child = spawn(process.execPath, [START, pkiDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  return printed;
}

test('processes that start at once share one root, and leave no drafts behind', async () => {
  const pkiDir = folderOf('race');
  const roots = await Promise.all(Array.from({ length: 3 }, () => rootMadeByProcess(pkiDir)));
  assert.match(roots[0] ?? '', /^[0-9a-f]{64}$/);
  assert.equal(new Set(roots).size, 1);
  assert.ok(existsSync(pkiDir));
  assert.equal(readdirSync(pkiDir).length, 1);
});

test('every registered provider says whether it is simulated', () => {
  for (const provider of PROVIDERS) assert.equal(typeof provider.simulated, 'boolean');
  assert.equal(new Set(PROVIDERS.map(({ name }) => name)).size, PROVIDERS.length);
});
