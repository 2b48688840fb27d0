/** Who gets in, who does not, and who has to go. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { generateEd25519, signEd25519 } from '#primitives';
import { fixed, toBase64, toHex } from '../../core/bytes.ts';
import { createPinnedPool, fetchJson } from '../../core/node/http-client.ts';
import { ownerSignatureInput } from '../../attestation/card.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { DEMO_MEASUREMENTS } from '../../enclave-worker/evidence/simulator/demo-image.ts';
import { verifyGatewayDocument } from '../../protocol/gateway-document.ts';
import { exchange, openLab, post, type Lab } from '../support/gateway-lab.ts';
import { startSxWorker, type SxWorker, type SxWorkerOptions } from '../support/sx-worker.ts';

let lab: Lab;
before(async () => {
  lab = await openLab();
});
after(() => lab.close());

async function stranger(more: Partial<SxWorkerOptions> = {}): Promise<SxWorker> {
  const worker = await startSxWorker({
    provider: lab.provider,
    aud: lab.gateway.aud,
    gatewayUrl: lab.url,
    ...more,
  });
  after(() => worker.close());
  return worker;
}

async function send(body: object): Promise<{ readonly status: number; readonly text: string }> {
  const pool = createPinnedPool({ origin: lab.url, trust: { kind: 'loopback' } });
  const { status, json } = await fetchJson(pool, {
    method: 'POST',
    path: '/v1/workers',
    json: body,
    maxBytes: 1_000_000,
    timeoutMs: 5000,
  });
  await pool.destroy();
  return { status, text: JSON.stringify(json) };
}

test('an admitted worker is published with evidence, verdict and time', async () => {
  const worker = await lab.worker();
  const answer = await post(lab, '/v1/evidence?model=veilgate-demo', new Uint8Array(), {}, 'GET');
  const text = Buffer.from(answer.body).toString('utf8');
  assert.ok(text.includes(worker.workerId));
  assert.ok(text.includes('"decision":"admitted"'));
  assert.ok(text.includes('"simulated":true'));
});

test('a registration message is good once', async () => {
  const worker = await stranger();
  assert.equal((await worker.register()).status, 200);
  const again = await worker.register();
  assert.equal(again.status, 400);
  assert.match(JSON.stringify(again.json), /registration\.challenge/);
});

test('a worker whose measurement is not listed is refused and never receives a byte', async () => {
  const changed = { ...DEMO_MEASUREMENTS, rtmr2: fixed(new Uint8Array(48).fill(1), 48) };
  const provider = await createSimulator({ pkiDir: `${lab.dataDir}/pki`, measurements: changed });
  const worker = await stranger({ provider });
  const answer = await worker.register();
  assert.equal(answer.status, 403);
  assert.match(JSON.stringify(answer.json), /"outcome":"fail"/);
  const sealedToOther = lab.seal(lab.keysOf(await lab.worker()));
  await exchange(lab, sealedToOther.bytes);
  assert.equal(lab.gateway.registry.byWorkerId(worker.workerId).length, 0);
  assert.equal(worker.seen.count, 0);
});

test('a statement made for another gateway is refused', async () => {
  const worker = await stranger({ aud: 'gw1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' });
  const answer = await worker.register();
  assert.equal(answer.status, 403);
  assert.match(JSON.stringify(answer.json), /statement\.aud/);
});

test('without the signature of the owner nobody comes in', async () => {
  const worker = await stranger();
  const thief = generateEd25519();
  const signature = signEd25519(thief.secretKey, ownerSignatureInput(worker.epoch.statementHash));
  const { status, text } = await send({
    ...worker.registration(),
    ownerSignature: toBase64(signature),
  });
  assert.equal(status, 403);
  assert.match(text, /registration\.owner_signature/);
});

test('an endpoint that holds another key than the statement is refused', async () => {
  const worker = await stranger();
  const elsewhere = await stranger();
  const { status, text } = await send({
    ...worker.registration(),
    endpoint: `https://127.0.0.1:${elsewhere.port}`,
  });
  assert.equal(status, 400);
  assert.match(text, /registration\.unreachable/);
});

test('an unknown member in the registration is refused', async () => {
  const worker = await stranger();
  const { status } = await send({ ...worker.registration(), trust: 'me' });
  assert.equal(status, 400);
});

test('a worker that leaves is gone; the signature of another is refused', async () => {
  const worker = await lab.worker();
  const other = await lab.worker();
  const forged = await post(
    lab,
    `/v1/workers/${worker.workerId}`,
    Buffer.from(
      JSON.stringify({
        statementHash: toHex(worker.epoch.statementHash),
        signature: toBase64(other.epoch.signLeave()),
      }),
    ),
    { 'content-type': 'application/json' },
    'DELETE',
  );
  assert.equal(forged.status, 403);
  assert.equal(lab.gateway.registry.byWorkerId(worker.workerId).length, 1);
  assert.equal((await worker.leave()).status, 200);
  assert.equal(lab.gateway.registry.byWorkerId(worker.workerId).length, 0);
});

test('a short statement leaves the shop window a sixth of its life before it ends', async () => {
  const worker = await lab.worker(undefined, { lifetimeS: 600 });
  const [live] = lab.gateway.registry.byWorkerId(worker.workerId);
  assert.ok(live !== undefined);
  assert.equal(live.key.expiresAtMs - live.publishUntilMs, 100_000);
});

test('the gateway says who it is under its own key', async () => {
  const answer = await post(lab, '/v1/gateway', new Uint8Array(), {}, 'GET');
  const json: unknown = JSON.parse(Buffer.from(answer.body).toString('utf8'));
  const document = verifyGatewayDocument(json, lab.gateway.clock());
  assert.equal(document.aud, lab.gateway.aud);
});

test('an unknown path is a JSON 404, a wrong method a 405', async () => {
  for (const [method, path, status] of [
    ['GET', '/nowhere', 404],
    ['GET', '/v1/workers/challenge', 405],
    ['GET', '/sx/v1/exchange', 405],
    ['POST', '/v1/models', 405],
  ] as const) {
    const answer = await post(lab, path, new Uint8Array(), {}, method);
    assert.equal(answer.status, status, path);
    assert.match(String(answer.headers['content-type']), /application\/json/);
  }
});

test('ready only with a worker, healthy without', async () => {
  const empty = await openLab();
  assert.equal((await post(empty, '/healthz', new Uint8Array(), {}, 'GET')).status, 200);
  assert.equal((await post(empty, '/readyz', new Uint8Array(), {}, 'GET')).status, 503);
  await empty.worker();
  assert.equal((await post(empty, '/readyz', new Uint8Array(), {}, 'GET')).status, 200);
  await empty.close();
});
