/**
 * A worker on a revoked machine brings the last revocation list from before its revocation: genuine, unexpired, and older
 * than what the gateway has seen. It is not admitted, and one that is there already has to go. Every machine here is
 * simulated; the gateway's store trusts the simulator's root as it would trust Intel's.
 * @module
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { randomBytes } from '#primitives';
import { CollateralStore } from '../../attestation/collateral/collateral-store.ts';
import { createIntelAuthority } from '../../attestation/collateral/intel-judge.ts';
import { parseCertificate } from '../../attestation/pki/certificate.ts';
import type { TdxCollateral } from '../../attestation/tdx/collateral.ts';
import { issueCrl } from '../../attestation/x509.ts';
import { fromHex } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { pause } from '../../core/node/lifecycle.ts';
import { crlProfile } from '../../enclave-worker/evidence/simulator/hierarchy.ts';
import { openDevelopmentPki } from '../../enclave-worker/evidence/simulator/pki-store.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { vouchingBy } from '../../gateway/workers/vouching.ts';
import { openLab, type Lab } from '../support/gateway-lab.ts';
import { startSxWorker } from '../support/sx-worker.ts';
import { NO_AMD } from '../support/vendors/lab.ts';

const SIGNAL = new AbortController().signal;
const MINUTE_MS = 60_000;

let dataDir: string;
let lab: Lab;
let store: CollateralStore;
let revision = 0;

before(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'veilgate-old-list-'));
  const pki = await openDevelopmentPki(join(dataDir, 'pki'), systemClock());
  store = await CollateralStore.open({
    ports: { now: systemClock, pause, random: () => 0.5 },
    intel: createIntelAuthority(pki.root.der),
    amd: NO_AMD,
    sources: [],
    edition: 'standard',
    amdList: 'required',
    onEvent: ({ kind }) => {
      if (kind === 'replaced') revision++;
    },
  });
  const vouching = vouchingBy(store, () => revision);
  lab = await openLab({ dataDir, deps: { vouching, sweepIntervalMs: 20 } });
});

after(async () => {
  await lab.close();
  rmSync(dataDir, { recursive: true });
});

/** The simulator's collateral, with a list of this minute that revokes the machine. */
async function afterRevocation(collateral: TdxCollateral): Promise<TdxCollateral> {
  const pki = await openDevelopmentPki(join(dataDir, 'pki'), systemClock());
  const { serial } = parseCertificate(pki.pck.der);
  const times = { thisUpdateMs: systemClock() - MINUTE_MS, nextUpdateMs: systemClock() + 1e9 };
  const profile = await crlProfile(pki.platformCa, times, [
    { serial: fromHex(serial), revokedMs: systemClock() - MINUTE_MS },
  ]);
  return { ...collateral, pckCrl: await issueCrl(profile, pki.platformCa.keys.privateKey) };
}

async function newcomer() {
  const worker = await startSxWorker({
    provider: lab.provider,
    aud: lab.gateway.aud,
    gatewayUrl: lab.url,
  });
  after(() => worker.close());
  return worker;
}

test('with the list of the day the worker is admitted', async () => {
  const worker = await newcomer();
  const { status, json } = await worker.register();
  assert.equal(status, 200, JSON.stringify(json));
  assert.equal(lab.gateway.registry.byWorkerId(worker.workerId).length, 1);
});

test('once the newer list is known, the worker that is there goes and the old list lets nobody in', async () => {
  const simulator = await createSimulator({ pkiDir: join(dataDir, 'pki') });
  const { quote, endorsements } = await simulator.collect(randomBytes(64));
  const newer = await afterRevocation(endorsements);
  // As if another worker had brought it, or the vendor had been asked.
  await store.endorse({ tee: 'tdx', quote, endorsements: newer }, SIGNAL);
  assert.ok(revision > 0);
  while (lab.gateway.registry.all().length > 0) await pause(10, SIGNAL);
  const { status, json } = await (await newcomer()).register();
  assert.equal(status, 403);
  assert.match(JSON.stringify(json), /"id":"pck\.revoked","outcome":"fail"/);
});

test('what the store cannot confirm is not admitted, and may come again', async () => {
  const vouching = vouchingBy(
    {
      endorse: async () => await store.endorse({ tee: 'tdx', quote: new Uint8Array(0) }, SIGNAL),
    },
    () => 0,
  );
  const other = await openLab({ deps: { vouching } });
  try {
    const worker = await startSxWorker({
      provider: other.provider,
      aud: other.gateway.aud,
      gatewayUrl: other.url,
    });
    after(() => worker.close());
    const { status, json } = await worker.register();
    assert.equal(status, 503);
    assert.match(JSON.stringify(json), /registration\.collateral/);
    assert.equal(other.gateway.registry.all().length, 0);
  } finally {
    await other.close();
  }
});
