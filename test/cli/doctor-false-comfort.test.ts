/**
 * Where `veilgate doctor` would say that nothing stands in the way of a worker that cannot register, or send the owner of
 * one that can after something that does not matter.
 * @module
 */

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ed25519PublicKey, randomBytes } from '#primitives';
import { encodeCard, parseCard } from '../../attestation/card.ts';
import { endpointFinding } from '../../cli/doctor/endpoint.ts';
import { examineMachine } from '../../cli/doctor/machine.ts';
import { examineOwner } from '../../cli/doctor/surroundings.ts';
import { fixed, utf8 } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { WORKER_CONFIG, type WorkerConfig } from '../../enclave-worker/config.ts';
import { thisGuest } from '../../enclave-worker/evidence/guest.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { makeEpoch, makeLinkKey, type Epoch } from '../../enclave-worker/keys.ts';
import { localOwnerSigner, type OwnerSigner } from '../../enclave-worker/owner.ts';
import { openOwnerAgent } from '../../enclave-worker/owner-agent.ts';
import { fakeGuest } from '../support/tsm/fake-kernel.ts';
import { testCard } from '../support/worker-evidence.ts';

const SIGNAL = AbortSignal.timeout(60_000);
const TOKEN = 'token-of-this-test';
const SECRET = randomBytes(32);
const CARD = encodeCard(testCard({ owner: ed25519PublicKey(SECRET) }));
let folder: string;
let epoch: Epoch;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'veilgate-comfort-'));
  const nowMs = systemClock();
  epoch = await makeEpoch(
    {
      kem: 'X25519',
      lifetimeS: 600,
      nowMs,
      aud: `gw1.${'A'.repeat(43)}`,
      challenge: randomBytes(32),
      workload: { image: randomBytes(32), config: randomBytes(32) },
      card: parseCard(CARD),
      cardBytes: CARD,
      provider: await createSimulator({ pkiDir: folder }),
      linkKey: await makeLinkKey(nowMs),
    },
    SIGNAL,
  );
});

after(() => rmSync(folder, { recursive: true }));

function configOf(more: object = {}): WorkerConfig {
  return WORKER_CONFIG.parse({
    gateway: { url: 'https://gateway.example', aud: `gw1.${'A'.repeat(43)}` },
    workload: { image: '00'.repeat(32), config: '00'.repeat(32) },
    engine: { modelPath: '/m.gguf' },
    ...more,
  });
}

async function ownerFinding(signer: OwnerSigner) {
  const agent = await openOwnerAgent({
    signer,
    token: TOKEN,
    host: '127.0.0.1',
    port: 0,
    onRequest: () => undefined,
  });
  try {
    const owner = { url: `http://127.0.0.1:${agent.port}`, tokenFile: 'unused' };
    return await examineOwner(configOf({ owner }), epoch, () => TOKEN);
  } finally {
    await agent.close();
  }
}

test('a service that signs with the key of the card is in order', async () => {
  assert.equal((await ownerFinding(localOwnerSigner(SECRET, CARD))).outcome, 'ok');
});

test('a service that answers with a signature of somebody else is not the owner', async () => {
  const other = localOwnerSigner(randomBytes(32), CARD);
  const noise = { sign: () => Promise.resolve(fixed(randomBytes(64), 64)) };
  for (const signer of [other, noise]) {
    const finding = await ownerFinding(signer);
    assert.equal(finding.outcome, 'problem');
    assert.match(finding.detail, /another key/);
  }
});

test('a refusal says what the service refused', async () => {
  const finding = await ownerFinding(localOwnerSigner(SECRET, utf8('another card')));
  assert.match(finding.detail, /status 403 \(worker\.owner_refused\)/);
});

test('a worker that starts from this file and has nobody to sign cannot start', async () => {
  const finding = await examineOwner(configOf(), epoch, () => TOKEN);
  assert.equal(finding.outcome, 'problem');
});

test('a way to evidence that does not work is no problem beside one that does', async () => {
  const { paths } = thisGuest;
  const { guest } = fakeGuest((kernel) => {
    kernel.provider = 'tdx_guest';
    kernel.files.set(paths.chassisAssetTag, utf8('7783-7084-3265-9085-8269-3286-77\n'));
    kernel.files.set(paths.tpm, utf8(''));
    kernel.sockets.add(paths.legacyDstackSockets[0] ?? '');
  });
  const { findings, provider } = await examineMachine({ provider: 'auto' }, guest, SIGNAL);
  assert.equal(provider?.name, 'configfs-tsm');
  assert.deepEqual(
    findings
      .filter(({ id }) => id.startsWith('machine'))
      .map(({ id, outcome }) => `${id} ${outcome}`),
    ['machine.dstack warning', 'machine.configfs-tsm ok', 'machine.azure warning', 'machine ok'],
  );
});

test('an endpoint that the gateway will not connect to is found before it is refused', async () => {
  const names: Readonly<Record<string, string>> = {
    'gateway.example': '8.8.8.8',
    'gateway.internal': '10.0.0.1',
    'worker.example': '1.1.1.1',
    'worker.internal': '10.0.0.2',
  };
  const resolve = (name: string): Promise<readonly string[]> => {
    const address = names[name];
    return address === undefined ? Promise.reject(new Error('none')) : Promise.resolve([address]);
  };
  const near = { gateway: { url: 'https://gateway.internal', aud: `gw1.${'A'.repeat(43)}` } };
  const at = (endpoint: string): object => ({ listen: { endpoint } });
  const cases: readonly (readonly [outcome: string, config: object])[] = [
    ['ok', at('https://worker.example:8443')],
    ['problem', at('https://worker.internal:8443')],
    ['warning', { ...near, ...at('https://worker.internal:8443') }],
    ['problem', {}],
    ['warning', { gateway: { ...near.gateway, url: 'http://127.0.0.1:8787' } }],
    ['problem', { ...near, listen: { host: '0.0.0.0', port: 8443 } }],
    ['problem', { ...near, ...at('https://169.254.169.254:8443') }],
    ['problem', { ...near, ...at('https://worker.example:22') }],
    ['problem', { ...near, ...at('http://worker.example:8443') }],
    ['problem', { ...near, ...at('https://unknown.example:8443') }],
  ];
  for (const [outcome, config] of cases) {
    const finding = await endpointFinding(configOf(config), resolve);
    assert.equal(finding.outcome, outcome, JSON.stringify(config));
  }
});
