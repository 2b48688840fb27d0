/** A whole worker with a price: it counts, keeps, is told, and refuses, over its real link and its real directory. @module */

import assert from 'node:assert/strict';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fixed, toHex, utf8, fromUtf8 } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import { decodeConfig } from '../../../core/node/config.ts';
import { fetchBytes, type HttpPool } from '../../../core/node/http-client.ts';
import { createLog } from '../../../core/node/log.ts';
import { encodeCard, parseCard } from '../../../attestation/card.ts';
import { WORKER_CONFIG } from '../../../enclave-worker/config.ts';
import { readEarnings } from '../../../enclave-worker/earnings/sqlite.ts';
import {
  createSimulator,
  type Simulator,
} from '../../../enclave-worker/evidence/simulator/simulator.ts';
import { WORKER_EVENTS } from '../../../enclave-worker/events.ts';
import { localOwnerSigner } from '../../../enclave-worker/owner.ts';
import { createWorker, type RunningWorker } from '../../../enclave-worker/worker.ts';
import { encodeSettled, SETTLED_TYPE } from '../../../protocol/settled.ts';
import { parseReceiptUnverified } from '../../../protocol/receipt.ts';
import { sealRequest, type SealedRequest } from '../../../protocol/sx/seal.ts';
import { startTestGateway, type Registration, type TestGateway } from '../gateway-fixture.ts';
import { channelWith, PAID_PRICES, PAYOUT, TOKEN } from '../paid-worker.ts';
import { workerSetup, type WorkerSetup } from '../worker-fixture.ts';

const CANARY = 'canary-7f3a';
let setup: WorkerSetup;
let simulator: Simulator;
let gateway: TestGateway;
let cardBytes: Uint8Array;
const logLines: string[] = [];

before(async () => {
  setup = await workerSetup();
  simulator = await createSimulator({ pkiDir: setup.pkiDir, now: systemClock });
  gateway = await startTestGateway(simulator.rootSha256(), systemClock);
  const card = parseCard(setup.cardBytes);
  cardBytes = encodeCard({ ...card, prices: PAID_PRICES, payout: PAYOUT });
});

after(async () => {
  await gateway.close();
  await rm(setup.dir, { recursive: true, force: true });
});

const earningsDir = () => join(setup.dir, 'earnings');

function start(settlement: object = {}): Promise<RunningWorker> {
  const config = decodeConfig(WORKER_CONFIG, {
    ...setup.config(gateway),
    card: fromUtf8(cardBytes),
    settlement: { network: 'devnet', ...settlement },
    earnings: { dir: earningsDir() },
  });
  return createWorker(config, {
    provider: simulator,
    owner: localOwnerSigner(setup.owner.secretKey, cardBytes),
    clock: systemClock,
    log: createLog({
      events: WORKER_EVENTS,
      part: 'worker',
      destination: { write: (line) => void logLines.push(line) },
    }),
  });
}

function seal({ key }: Registration, maxOutput: number): SealedRequest {
  const messages = [{ role: 'user', content: `${CANARY}: what is remote attestation?` }];
  return sealRequest({
    keys: [key],
    request: {
      path: '/v1/chat/completions',
      headers: [['content-type', 'application/json']],
      body: utf8(JSON.stringify({ model: 'veilgate-demo', messages, temperature: 0 })),
    },
    bounds: { maxAmount: 10n ** 12n, maxPrompt: 150, maxOutput, asset: 0 },
    payer: fixed(new Uint8Array(32), 32),
    stream: false,
    ttlS: 60,
    deadlineMs: 60_000,
    nowMs: systemClock(),
  });
}

async function call(
  pool: HttpPool,
  request: {
    readonly method: 'GET' | 'POST';
    readonly path: string;
    readonly type?: string;
    readonly body?: Uint8Array;
  },
) {
  const { method, path, type, body } = request;
  return await fetchBytes(pool, {
    method,
    path,
    headers: type === undefined ? {} : { 'content-type': type },
    ...(body === undefined ? {} : { body }),
    maxBytes: 1_000_000,
    timeoutMs: 20_000,
  });
}

const exchange = (pool: HttpPool, { bytes }: SealedRequest) =>
  call(pool, {
    method: 'POST',
    path: '/sx/v1/exchange',
    type: 'application/vnd.sx1.req',
    body: bytes,
  });

function last(): Registration {
  const registration = gateway.registrations.at(-1);
  assert.ok(registration !== undefined);
  return registration;
}

test('it works on credit, is acknowledged, works on, and knows all of it after a restart', async () => {
  gateway.feeBps = 1000;
  const creditMax = '0.00003';
  const first = await start({ creditMax });
  const registration = last();
  const pool = gateway.link(registration);
  assert.equal((await exchange(pool, seal(registration, 20))).status, 200);
  const refused = await exchange(pool, seal(registration, 20));
  assert.deepEqual([refused.status, refused.body.length], [503, 0]);
  assert.ok(
    logLines.some((line) => line.includes('exchange.refused') && line.includes('worker.credit')),
  );

  const statement = toHex(registration.key.statementHash);
  const missed = await call(pool, {
    method: 'GET',
    path: `/sx/v1/receipts?after=0&statement=${statement}`,
  });
  const { receipt } = parseReceiptUnverified(missed.body);
  const part = (receipt.amount * 9n) / 10n;
  const notice = encodeSettled({
    statementHash: registration.key.statementHash,
    workerSeq: receipt.workerSeq,
    asset: 'TON',
    earned: part,
    paid: 0n,
    channel: channelWith(part - TOKEN),
    atMs: systemClock(),
  });
  const settled = {
    method: 'POST',
    path: '/sx/v1/settled',
    type: SETTLED_TYPE,
    body: notice,
  } as const;
  assert.equal((await call(pool, settled)).status, 204);
  assert.equal((await exchange(pool, seal(registration, 20))).status, 200);
  await pool.destroy();
  await first.close();

  const [report] = readEarnings(earningsDir());
  assert.ok(report !== undefined);
  assert.equal(report.sums.acknowledged?.earned, part);
  assert.equal(report.vouchers[0]?.ceiling, part - TOKEN);
  assert.equal(
    report.days.reduce((sum, { requests }) => sum + requests, 0n),
    2n,
  );
  for (const name of await readdir(earningsDir())) {
    const bytes = await readFile(join(earningsDir(), name));
    assert.ok(!bytes.includes(CANARY) && !bytes.includes('ttestation is'), name);
    assert.ok(!bytes.includes(Buffer.from(receipt.payerRef)), name);
  }
  assert.ok(!logLines.join('').includes(CANARY));

  const second = await start({ creditMax });
  const again = gateway.link(last());
  assert.equal((await exchange(again, seal(last(), 20))).status, 503);
  await again.destroy();
  await second.close();
});

test('a gateway that keeps more than the owner agreed to is not worked for', async () => {
  gateway.feeBps = 3001;
  const count = gateway.registrations.length;
  await assert.rejects(start(), { code: 'worker.gateway_fee' });
  assert.equal(gateway.registrations.length, count);
  gateway.feeBps = 3000;
  await (await start()).close();
});

test('an amount that the asset cannot have is refused at the start', async () => {
  gateway.feeBps = 0;
  await assert.rejects(start({ creditMax: '0.0000000001' }), { code: 'worker.config' });
});
