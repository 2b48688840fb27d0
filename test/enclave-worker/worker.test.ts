/** A whole worker against a gateway that appraises it: registration, rotation, an exchange over the link, leaving. @module */

import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { sha256 } from '#primitives';
import { fixed, fromUtf8, toHex, utf8 } from '../../core/bytes.ts';
import { systemClock, type Clock } from '../../core/clock.ts';
import { decodeConfig } from '../../core/node/config.ts';
import { fetchBytes, type HttpPool } from '../../core/node/http-client.ts';
import { createLog } from '../../core/node/log.ts';
import { encodeCard, parseCard, workerIdOf } from '../../attestation/card.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { ResponseReader } from '../../protocol/sx/read-response.ts';
import { sealRequest, type SealedRequest } from '../../protocol/sx/seal.ts';
import { WORKER_CONFIG, type WorkerConfig } from '../../enclave-worker/config.ts';
import {
  createSimulator,
  type Simulator,
} from '../../enclave-worker/evidence/simulator/simulator.ts';
import { WORKER_EVENTS } from '../../enclave-worker/events.ts';
import { localOwnerSigner, type OwnerSigner } from '../../enclave-worker/owner.ts';
import { createWorker, type RunningWorker } from '../../enclave-worker/worker.ts';
import { startTestGateway, type TestGateway } from './gateway-fixture.ts';
import { workerSetup, type WorkerSetup } from './worker-fixture.ts';

let setup: WorkerSetup;
let simulator: Simulator;
let gateway: TestGateway;
const logLines: string[] = [];

/** Real time, which a test can push forward. */
let aheadMs = 0;
const clock: Clock = () => systemClock() + aheadMs;

before(async () => {
  setup = await workerSetup();
  simulator = await createSimulator({ pkiDir: setup.pkiDir, now: clock });
  gateway = await startTestGateway(simulator.rootSha256(), clock);
});

after(async () => {
  await gateway.close();
  await rm(setup.dir, { recursive: true, force: true });
});

function start(change: (config: WorkerConfig) => WorkerConfig = (c) => c, owner?: OwnerSigner) {
  const config = change(decodeConfig(WORKER_CONFIG, setup.config(gateway)));
  return createWorker(config, {
    provider: simulator,
    owner: owner ?? localOwnerSigner(setup.owner.secretKey, setup.cardBytes),
    clock,
    log: createLog({
      events: WORKER_EVENTS,
      part: 'worker',
      destination: { write: (line) => void logLines.push(line) },
    }),
  });
}

function seal(key: AttestedKey): SealedRequest {
  return sealRequest({
    keys: [key],
    request: {
      path: '/v1/chat/completions',
      headers: [['content-type', 'application/json']],
      body: utf8(
        JSON.stringify({
          model: 'veilgate-demo',
          messages: [{ role: 'user', content: 'What is remote attestation?' }],
          temperature: 0,
        }),
      ),
    },
    bounds: { maxAmount: 0n, maxPrompt: 100, maxOutput: 100, asset: 0 },
    payer: fixed(new Uint8Array(32), 32),
    stream: false,
    ttlS: 60,
    deadlineMs: 60_000,
    nowMs: clock(),
  });
}

async function exchange(pool: HttpPool, sealed: SealedRequest): Promise<string> {
  const answer = await fetchBytes(pool, {
    method: 'POST',
    path: '/sx/v1/exchange',
    headers: { 'content-type': 'application/vnd.sx1.req' },
    body: sealed.bytes,
    maxBytes: 1_000_000,
    timeoutMs: 10_000,
  });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-type'], 'application/vnd.sx1.res');
  const reader = new ResponseReader(sealed.exchange);
  const events = reader.push(answer.body);
  reader.end();
  return events.map((event) => (event.kind === 'data' ? fromUtf8(event.bytes) : '')).join('');
}

function lastRegistration() {
  const registration = gateway.registrations.at(-1);
  assert.ok(registration !== undefined);
  return registration;
}

test('a worker proves itself, answers over the link, proves itself again at half life, and leaves', async () => {
  gateway.refuseNext = 1;
  const worker: RunningWorker = await start();
  assert.deepEqual(Buffer.from(worker.workerId), Buffer.from(workerIdOf(setup.owner.publicKey)));
  assert.ok(
    logLines.some((line) => line.includes('worker.gateway_unreachable')),
    'a gateway in trouble is asked again',
  );
  const first = lastRegistration();
  assert.equal(first.endpoint, worker.endpoint);
  assert.equal(first.key.simulated, true);
  const pool = gateway.link(first);
  const sealed = seal(first.key);
  assert.match(await exchange(pool, sealed), /Remote attestation is a way for a machine/);

  const receipt = await fetchBytes(pool, {
    method: 'GET',
    path: `/sx/v1/receipts/${toHex(sealed.msgId)}`,
    headers: {},
    maxBytes: 1000,
    timeoutMs: 1000,
  });
  assert.equal(receipt.status, 200);
  assert.equal(receipt.body.length, 445);

  aheadMs += 31 * 60_000;
  const count = gateway.registrations.length;
  while (gateway.registrations.length === count) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const second = lastRegistration();
  assert.notDeepEqual(second.key.kid, first.key.kid);
  assert.notDeepEqual(second.key.receiptKey, first.key.receiptKey);
  assert.notDeepEqual(second.key.statementHash, first.key.statementHash);
  // The older statement still lives: what was sealed to it is still served, on its link.
  assert.match(await exchange(pool, seal(first.key)), /chat\.completion/);
  assert.match(await exchange(gateway.link(second), seal(second.key)), /chat\.completion/);

  await worker.close();
  assert.deepEqual(gateway.left, [`/v1/workers/${toHex(worker.workerId)}`]);
  await assert.rejects(exchange(gateway.link(second), seal(second.key)), { code: 'http.connect' });
  assert.ok(!logLines.join('').includes('ttestation is'));
});

test('a gateway with another identity than the configured one learns nothing', async () => {
  const other = `gw1.${'A'.repeat(43)}`;
  const before = gateway.registrations.length;
  await assert.rejects(
    start((config) => ({ ...config, gateway: { ...config.gateway, aud: other } })),
    { code: 'worker.gateway_identity' },
  );
  assert.equal(gateway.registrations.length, before);
});

test('a workload that the policy does not list ends the start, and the log names the check', async () => {
  const image = sha256(utf8('another image'));
  await assert.rejects(
    start((config) => ({ ...config, workload: { ...config.workload, image } })),
    { code: 'worker.gateway_refused' },
  );
  assert.ok(logLines.some((line) => line.includes('"event":"worker.denied"')));
});

test('an owner who does not sign ends the start', async () => {
  const stranger = localOwnerSigner(setup.owner.secretKey, utf8('{"fmt":"another card"}'));
  await assert.rejects(
    start((config) => config, stranger),
    { code: 'worker.owner_refused' },
  );
});

test('a model file that is not the one of the card ends the start', async () => {
  const modelPath = new URL(import.meta.url).pathname;
  await assert.rejects(
    start((config) => ({ ...config, engine: { ...config.engine, modelPath } })),
    { code: 'engine.digest' },
  );
});

test('a card that promises what nobody here knows ends the start', async () => {
  for (const capabilities of [['chat', 'telepathy'], []]) {
    const { fmt: _, ...fields } = parseCard(setup.cardBytes);
    const card = fromUtf8(encodeCard({ ...fields, model: { ...fields.model, capabilities } }));
    await assert.rejects(
      start((config) => ({ ...config, card })),
      { code: 'worker.config' },
    );
  }
});

test('a configuration with an unknown key or without a card does not start', async () => {
  assert.throws(() => decodeConfig(WORKER_CONFIG, { ...setup.config(gateway), debug: true }), {
    code: 'config.invalid',
  });
  const { card, ...without } = setup.config(gateway);
  assert.ok(card !== undefined);
  const config = decodeConfig(WORKER_CONFIG, without);
  await assert.rejects(
    start(() => config),
    { code: 'worker.config' },
  );
});
