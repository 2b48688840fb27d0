/** Every border of the exchange path refuses by its own code, before a worker hears of it. @module */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { fromUtf8 } from '../../core/bytes.ts';
import { createApiKey } from '../../gateway/accounts.ts';
import { REQUEST_WIRE_MAX_BYTES } from '../../protocol/sx/limits.ts';
import { BodyBudget } from '../../gateway/body-budget.ts';
import { listen } from '../../gateway/listeners.ts';
import {
  exchange,
  openLab,
  post,
  sealFor,
  type Lab,
  type RawAnswer,
} from '../support/gateway-lab.ts';
import type { SxWorker } from '../support/sx-worker.ts';

let lab: Lab;
let worker: SxWorker;
before(async () => {
  lab = await openLab({
    config: { accounts: { requestsPerMinute: 40, concurrencyMax: 2 } },
    deps: { listenerLimits: { headersTimeoutMs: 300, requestTimeoutMs: 600 } },
  });
  worker = await lab.worker();
});
after(() => lab.close());

function assertRefused(answer: RawAnswer, status: number, code: string): void {
  assert.equal(answer.status, status);
  assert.ok(fromUtf8(answer.body).includes(`"code":"${code}"`), fromUtf8(answer.body));
}

test('no key, a malformed key and an unknown key are 401, and nobody is asked', async () => {
  const { bytes } = lab.seal(lab.keysOf(worker));
  for (const authorization of ['', 'Bearer nonsense', `Bearer vg_${'A'.repeat(43)}`, lab.apiKey]) {
    assertRefused(await exchange(lab, bytes, { authorization }), 401, 'invalid_api_key');
  }
  assert.equal(worker.seen.count, 0);
});

test('a revoked key is refused once it is no longer remembered', async () => {
  const { keyId, apiKey } = createApiKey(lab.gateway.store, 'short', lab.gateway.clock());
  lab.gateway.store.revokeApiKey(keyId, lab.gateway.clock());
  const { bytes } = sealFor(apiKey, lab.keysOf(worker));
  assertRefused(await exchange({ port: lab.port, apiKey }, bytes), 401, 'invalid_api_key');
});

test('another content type is 415', async () => {
  const { bytes } = lab.seal(lab.keysOf(worker));
  const answer = await exchange(lab, bytes, { 'content-type': 'application/json' });
  assertRefused(answer, 415, 'gateway.media_type');
});

test('a compressed body is 415', async () => {
  const { bytes } = lab.seal(lab.keysOf(worker));
  const answer = await exchange(lab, bytes, { 'content-encoding': 'gzip' });
  assertRefused(answer, 415, 'gateway.media_type');
});

/** Writes raw bytes and reads until the other side ends. */
function raw(text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(lab.port, '127.0.0.1', () => socket.write(text));
    let seen = '';
    socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString('latin1');
    });
    socket.on('error', () => {});
    socket.on('close', () => resolve(seen));
  });
}

const HEAD = () =>
  `POST /sx/v1/exchange HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${lab.apiKey}\r\ncontent-type: application/vnd.sx1.req\r\n`;

test('a body larger than the protocol is refused by its length alone', async () => {
  assert.match(
    await raw(`${HEAD()}content-length: ${REQUEST_WIRE_MAX_BYTES + 1}\r\n\r\n`),
    /413.*gateway\.too_large/s,
  );
});

test('a body without a length is 411', async () => {
  const answer = await raw(`${HEAD()}transfer-encoding: chunked\r\n\r\n`);
  assert.match(answer, /411.*gateway\.length_required/s);
});

test('a slow body ends its connection, also when the sender never closes its side', async () => {
  const socket = connect({ port: lab.port, host: '127.0.0.1', allowHalfOpen: true });
  const { promise: gone, resolve } = Promise.withResolvers<void>();
  socket.on('error', () => resolve());
  socket.write(`${HEAD()}content-length: 1000\r\n\r\nabc`);
  socket.resume();
  // Writing to a socket that is still half open would succeed for ever.
  socket.once('end', () => {
    const writing = setInterval(() => socket.write('z'), 50);
    socket.once('close', () => clearInterval(writing));
  });
  await gone;
  socket.destroy();
});

test('content-length next to transfer-encoding is no request', async () => {
  const answer = await raw(
    `${HEAD()}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  );
  assert.match(answer, /^HTTP\/1\.1 400/);
});

test('headers that trickle end the connection', async () => {
  assert.match(await raw('POST /sx/v1/exchange HTTP/1.1\r\nhost:'), /^HTTP\/1\.1 400/);
});

test('a body that trickles ends the connection', async () => {
  await raw(`${HEAD()}content-length: 5000\r\n\r\nabc`);
  assert.equal(worker.seen.count, 0);
});

test('headers beyond their size are refused', async () => {
  const answer = await raw(`${HEAD()}x-pad: ${'a'.repeat(20_000)}\r\n\r\n`);
  assert.match(answer, /^HTTP\/1\.1 400/);
});

test('bytes that are no sealed request are 400', async () => {
  assertRefused(await exchange(lab, new Uint8Array(4000)), 400, 'sx.refused');
});

test('a registration larger than its limit is 413', async () => {
  const answer = await post(lab, '/v1/workers', new Uint8Array(2_097_153), {});
  assertRefused(answer, 413, 'gateway.too_large');
});

test('bodies in memory have one budget over all requests, and an account has its share of it', () => {
  const budget = new BodyBudget(800);
  const giveBack = budget.take('greedy', 100);
  assert.throws(() => budget.take('greedy', 1), { code: 'gateway.busy' });
  for (let account = 0; account < 7; account++) budget.take(`other ${account}`, 100);
  assert.throws(() => budget.take('late', 1), { code: 'gateway.busy' });
  giveBack();
  giveBack();
  budget.take('late', 100);
  assert.throws(() => budget.take('last', 1), { code: 'gateway.busy' });
});

test('one account that announces bodies and sends none does not shut the others out', async () => {
  const [greedy, honest] = ['greedy', 'honest'].map((label) =>
    createApiKey(lab.gateway.store, label, lab.gateway.clock()),
  );
  assert.ok(greedy !== undefined && honest !== undefined);
  const sockets = Array.from({ length: 40 }, () => connect(lab.port, '127.0.0.1'));
  for (const socket of sockets) {
    socket.on('error', () => undefined);
    socket.write(
      `POST /sx/v1/exchange HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${greedy.apiKey}\r\n` +
        `content-type: application/vnd.sx1.req\r\ncontent-length: ${REQUEST_WIRE_MAX_BYTES}\r\n\r\nx`,
    );
  }
  const { bytes } = sealFor(honest.apiKey, lab.keysOf(worker));
  const answer = await exchange({ port: lab.port, apiKey: honest.apiKey }, bytes);
  for (const socket of sockets) socket.destroy();
  assert.equal(answer.status, 200);
});

test('more at once than the key may is 429 with a time to come back', async () => {
  worker.script = { kind: 'hang' };
  const leave = new AbortController();
  const hanging = [1, 2].map(() =>
    fetch(`${lab.url}/sx/v1/exchange`, {
      method: 'POST',
      headers: {
        'content-type': 'application/vnd.sx1.req',
        authorization: `Bearer ${lab.apiKey}`,
      },
      body: Uint8Array.from(lab.seal(lab.keysOf(worker)).bytes),
      signal: leave.signal,
    }).catch(() => {}),
  );
  while (worker.seen.count < 2) await new Promise((resolve) => setTimeout(resolve, 5));
  const answer = await exchange(lab, lab.seal(lab.keysOf(worker)).bytes);
  assertRefused(answer, 429, 'gateway.concurrency');
  assert.equal(answer.headers['retry-after'], '1');
  leave.abort();
  await Promise.all(hanging);
});

test('more in a minute than the key may is 429', async () => {
  worker.script = { kind: 'status', status: 400 };
  const { apiKey } = createApiKey(lab.gateway.store, 'eager', lab.gateway.clock());
  const caller = { port: lab.port, apiKey };
  let last: RawAnswer | undefined;
  for (let i = 0; i < 45 && last?.status !== 429; i++) {
    last = await exchange(caller, sealFor(apiKey, lab.keysOf(worker)).bytes);
  }
  assert.ok(last !== undefined);
  assertRefused(last, 429, 'gateway.rate');
});

test('metrics are on the admin port only, and name no key', async () => {
  assert.equal((await post(lab, '/metrics', new Uint8Array(), {}, 'GET')).status, 404);
  const metrics = await post({ port: lab.adminPort }, '/metrics', new Uint8Array(), {}, 'GET');
  const text = fromUtf8(metrics.body);
  assert.match(text, /veilgate_requests_total\{outcome="refused",code="sx\.refused"\}/);
  assert.ok(!text.includes(lab.apiKey));
  assert.ok(!lab.logLines.join('').includes(lab.apiKey));
});

test('a peer that asks and never reads is cut when nothing moves any more', async () => {
  const big = 'x'.repeat(65_536);
  const listener = await listen({
    host: '127.0.0.1',
    port: 0,
    handler: (_request, response) => response.end(big),
    silenceTimeoutMs: 200,
  });
  const socket = connect(listener.port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.pause();
  const closed = new Promise((resolve) => {
    socket.once('close', resolve);
  });
  const ask = setInterval(() => {
    if (socket.bytesWritten > 100_000) clearInterval(ask);
    else socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n'.repeat(500));
  }, 5);
  await new Promise((resolve) => {
    setTimeout(resolve, 1500);
  });
  // What was asked for is 65 kB a line; a peer that was not cut would get all of it now.
  const askedBytes = (socket.bytesWritten / 27) * big.length;
  socket.resume();
  await closed;
  assert.ok(socket.bytesRead < askedBytes / 4);
  await listener.close(AbortSignal.timeout(100));
});
