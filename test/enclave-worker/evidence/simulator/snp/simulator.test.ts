/**
 * What the SNP simulator hands out, checked by OpenSSL, and its hierarchy on disk. What the verifier says to it is in
 * test/attestation/snp. Spec: sev-snp.md §1, §2; overview "Simulated machines".
 * @module
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { verify, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { sha256 } from '#primitives';
import { parseCrl } from '../../../../../attestation/pki/crl.ts';
import { concat, fixed, isZero, toHex } from '../../../../../core/bytes.ts';
import { manualClock } from '../../../../../core/clock.ts';
import { hasCode } from '../../../../../core/errors.ts';
import {
  DEMO_MEASUREMENTS,
  DEMO_SNP_MEASUREMENTS,
} from '../../../../../enclave-worker/evidence/simulator/demo-image.ts';
import { createSimulator } from '../../../../../enclave-worker/evidence/simulator/simulator.ts';
import {
  createSnpSimulator,
  type SnpSimulator,
} from '../../../../../enclave-worker/evidence/simulator/snp/simulator.ts';
import { DAY_MS, NOW_MS } from '../../../../support/snp/pki.ts';

const folder = mkdtempSync(join(tmpdir(), 'veilgate-snp-simulator-'));
after(() => rmSync(folder, { recursive: true, force: true }));

/** Made once: it takes seconds. Tests that damage it work on copies. */
const PKI_DIR = join(folder, 'pki');
const STORED = join(PKI_DIR, 'veilgate-development-snp-pki-1');
const REPORT_DATA = fixed(
  Uint8Array.from({ length: 64 }, (_, at) => at),
  64,
);

let simulator: SnpSimulator;
before(async () => {
  simulator = await createSnpSimulator({ pkiDir: PKI_DIR, now: () => NOW_MS });
});

function copyOf(name: string): string {
  const pkiDir = join(folder, name);
  const target = join(pkiDir, 'veilgate-development-snp-pki-1');
  cpSync(STORED, target, { recursive: true });
  return pkiDir;
}

test('its chain and report verify', async () => {
  const { quote, endorsements } = await simulator.collect(REPORT_DATA);
  const [vek, ask, ark] = [endorsements.vek, endorsements.intermediate, endorsements.root].map(
    (der) => new X509Certificate(der),
  );
  assert.ok(vek !== undefined && ask !== undefined && ark !== undefined);
  assert.ok(ark.verify(ark.publicKey) && ask.verify(ark.publicKey) && vek.verify(ask.publicKey));
  const rs = concat(quote.slice(0x2a0, 0x2d0).reverse(), quote.slice(0x2e8, 0x318).reverse());
  const key = { key: vek.publicKey, dsaEncoding: 'ieee-p1363' } as const;
  assert.equal(verify('sha384', quote.subarray(0, 0x2a0), key, rs), true);
  assert.equal(toHex(sha256(endorsements.root)), toHex(simulator.rootSha256()));
});

test('its report is that of a patched Genoa with the demo image', async () => {
  const { tee, quote } = await simulator.collect(REPORT_DATA);
  const hex = (at: number, size: number): string => toHex(quote.subarray(at, at + size));
  assert.equal(tee, 'snp');
  assert.equal(quote.length, 1184);
  assert.equal(hex(0x000, 4), '05000000');
  assert.equal(hex(0x008, 8), '0000030000000000');
  assert.equal(hex(0x030, 4), '00000000');
  assert.equal(hex(0x040, 8), '2500000000000000');
  assert.equal(hex(0x050, 64), toHex(REPORT_DATA));
  assert.equal(hex(0x090, 48), toHex(DEMO_SNP_MEASUREMENTS.measurement));
  assert.ok(isZero(quote.subarray(0x0c0, 0x140)));
  assert.equal(hex(0x188, 3), '191101');
  for (const at of [0x038, 0x180, 0x1e0, 0x1f0]) assert.equal(hex(at, 8), '0a00000000001754');
  assert.ok(!isZero(quote.subarray(0x1a0, 0x1e0)));
});

test('its chip is that of its certificate', async () => {
  const { quote, endorsements } = await simulator.collect(REPORT_DATA);
  const chipId = toHex(quote.subarray(0x1a0, 0x1e0));
  assert.ok(toHex(endorsements.vek).includes(`060104019c7801040440${chipId}`));
});

test('measurement and host data can be chosen', async () => {
  const measurement = fixed(new Uint8Array(48).fill(1), 48);
  const hostData = fixed(new Uint8Array(32).fill(2), 32);
  const other = await createSnpSimulator({ pkiDir: PKI_DIR, measurement, hostData });
  const { quote } = await other.collect(REPORT_DATA);
  assert.equal(toHex(quote.subarray(0x090, 0x0c0)), toHex(measurement));
  assert.equal(toHex(quote.subarray(0x0c0, 0x0e0)), toHex(hostData));
});

test('the demo image of SNP is not mistaken for that of TDX', () => {
  const hexes = Object.values(DEMO_MEASUREMENTS).map((value) =>
    typeof value === 'string' ? value : toHex(value),
  );
  assert.ok(!hexes.includes(toHex(DEMO_SNP_MEASUREMENTS.measurement)));
});

test('two guests of one machine differ in their report id alone', async () => {
  const again = await createSnpSimulator({ pkiDir: PKI_DIR, now: () => NOW_MS });
  const [one, two] = await Promise.all([
    simulator.collect(REPORT_DATA),
    again.collect(REPORT_DATA),
  ]);
  const differs = (start: number, end: number): boolean =>
    toHex(one.quote.subarray(start, end)) !== toHex(two.quote.subarray(start, end));
  assert.ok(!differs(0, 0x140));
  assert.ok(differs(0x140, 0x160));
  assert.ok(!differs(0x160, 0x2a0));
  assert.equal(toHex(again.rootSha256()), toHex(simulator.rootSha256()));
});

test('the list is signed again at half its life', async () => {
  const clock = manualClock(NOW_MS);
  const moving = await createSnpSimulator({ pkiDir: PKI_DIR, now: clock.now });
  const crlOf = async (): Promise<Uint8Array> =>
    (await moving.collect(REPORT_DATA)).endorsements.crl;
  const first = await crlOf();
  clock.advance(3 * DAY_MS);
  assert.equal(toHex(await crlOf()), toHex(first));
  clock.advance(DAY_MS);
  const [old, fresh] = [parseCrl(first), parseCrl(await crlOf())];
  assert.equal(old.nextUpdateMs, NOW_MS + 7 * DAY_MS);
  assert.equal(fresh.nextUpdateMs, NOW_MS + 11 * DAY_MS);
  assert.ok(fresh.number > old.number);
});

test('TDX and SNP simulators share a folder without touching each other', async () => {
  const pkiDir = copyOf('shared');
  const tdx = await createSimulator({ pkiDir });
  const snp = await createSnpSimulator({ pkiDir });
  assert.equal(toHex(snp.rootSha256()), toHex(simulator.rootSha256()));
  assert.notEqual(toHex(tdx.rootSha256()), toHex(snp.rootSha256()));
  assert.equal(readdirSync(pkiDir).length, 2);
});

test('only the owner can read the files, and what is in them says what it is', () => {
  const files = readdirSync(STORED).map((name) => join(STORED, name));
  assert.equal(files.length, 6);
  assert.equal(statSync(PKI_DIR).mode & 0o777, 0o700);
  for (const path of files) {
    assert.equal(statSync(path).mode & 0o777, 0o600, path);
    assert.match(path, /veilgate-development-(ark-genoa|sev-genoa|sev-vcek)\.(der|pkcs8)$/);
    if (path.endsWith('.der')) {
      assert.ok(readFileSync(path, 'latin1').includes('Veilgate development, not AMD'));
    }
  }
});

for (const missing of ['sev-genoa.pkcs8', 'sev-vcek.der', 'ark-genoa.pkcs8']) {
  test(`half a hierarchy is refused, not completed (${missing})`, async () => {
    const pkiDir = copyOf(`half-${missing}`);
    rmSync(join(pkiDir, 'veilgate-development-snp-pki-1', `veilgate-development-${missing}`));
    await assert.rejects(createSnpSimulator({ pkiDir }), (error) =>
      hasCode(error, 'simulator.pki'),
    );
  });
}

test('a damaged key is refused', async () => {
  const pkiDir = copyOf('damaged');
  const key = join(pkiDir, 'veilgate-development-snp-pki-1', 'veilgate-development-sev-vcek.pkcs8');
  writeFileSync(key, 'not a key');
  await assert.rejects(createSnpSimulator({ pkiDir }), (error) => hasCode(error, 'simulator.pki'));
});

const START = fileURLToPath(new URL('../../../../support/snp/start-simulator.ts', import.meta.url));

async function rootMadeByProcess(pkiDir: string): Promise<string> {
  const child = spawn(process.execPath, [START, pkiDir], { stdio: ['ignore', 'pipe', 'inherit'] });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (printed += text));
  const [code] = await once(child, 'close');
  assert.equal(code, 0);
  return printed;
}

test('processes that start at once share one root, and leave no drafts behind', async () => {
  const pkiDir = join(folder, 'race');
  const roots = await Promise.all([rootMadeByProcess(pkiDir), rootMadeByProcess(pkiDir)]);
  assert.match(roots[0] ?? '', /^[0-9a-f]{64}$/);
  assert.equal(new Set(roots).size, 1);
  assert.deepEqual(readdirSync(pkiDir), ['veilgate-development-snp-pki-1']);
});
