/** The way out: pins before bytes, limits, time, no redirects. @module */

import assert from 'node:assert/strict';
import { createServer as createHttps } from 'node:https';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { randomBytes } from '#primitives';
import { fromUtf8 } from '../../../core/bytes.ts';
import { systemClock } from '../../../core/clock.ts';
import { hasCode } from '../../../core/errors.ts';
import {
  createPinnedPool,
  fetchBytes,
  fetchJson,
  type HttpPool,
} from '../../../core/node/http-client.ts';
import { selfSign } from '../../../attestation/x509.ts';
import { generateP256 } from '../../../attestation/x509-keys.ts';

async function portOf(server: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not listening');
  return address.port;
}

async function clear(listener: RequestListener): Promise<HttpPool> {
  const port = await portOf(createServer(listener));
  const pool = createPinnedPool({
    origin: `http://127.0.0.1:${port}`,
    trust: { kind: 'loopback' },
  });
  after(() => pool.destroy());
  return pool;
}

const GET = { method: 'GET', path: '/', headers: {}, maxBytes: 100, timeoutMs: 1000 } as const;

test('a server with another key sees no byte of the request', async () => {
  const nowMs = systemClock();
  const own = await selfSign({
    keys: await generateP256(),
    commonName: 'x',
    notBeforeMs: nowMs - 1000,
    notAfterMs: nowMs + 100_000,
  });
  let requests = 0;
  const port = await portOf(
    createHttps({ cert: own.certificatePem, key: own.privateKeyPem }, (_request, response) => {
      requests++;
      response.end('ok');
    }),
  );
  const poolFor = (pin: typeof own.spkiSha256) =>
    createPinnedPool({
      origin: `https://127.0.0.1:${port}`,
      trust: { kind: 'spki', sha256: [pin] },
    });
  const wrong = poolFor(randomBytes(32));
  await assert.rejects(fetchBytes(wrong, GET), (error) => hasCode(error, 'http.pin'));
  assert.equal(requests, 0);
  const right = poolFor(own.spkiSha256);
  assert.equal((await fetchBytes(right, GET)).status, 200);
  const public_ = createPinnedPool({
    origin: `https://127.0.0.1:${port}`,
    trust: { kind: 'webpki' },
  });
  await assert.rejects(fetchBytes(public_, GET), (error) => hasCode(error, 'http.connect'));
  await Promise.all([wrong.destroy(), right.destroy(), public_.destroy()]);
});

test('clear text goes to this machine only', () => {
  for (const origin of [
    'http://8.8.8.8',
    'http://localhost.example',
    'https://127.0.0.1',
    'ftp://127.0.0.1',
  ]) {
    assert.throws(
      () => createPinnedPool({ origin, trust: { kind: 'loopback' } }),
      (error) => hasCode(error, 'http.origin'),
    );
  }
  assert.throws(
    () => createPinnedPool({ origin: 'http://127.0.0.1', trust: { kind: 'webpki' } }),
    (error) => hasCode(error, 'http.origin'),
  );
});

test('a socket file is reached by its path, and only under the local name', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'veilgate-socket-'));
  after(() => rm(folder, { recursive: true, force: true }));
  const socketPath = join(folder, 'agent.sock');
  const server = createServer((request, response) => void response.end(request.headers.host));
  await new Promise<void>((resolve) => {
    server.listen(socketPath, resolve);
  });
  after(() => server.close());
  const origin = 'http://localhost';
  const pool = createPinnedPool({ origin, trust: { kind: 'unix', socketPath } });
  const answer = await fetchBytes(pool, GET);
  assert.equal(fromUtf8(answer.body), 'localhost');
  await pool.destroy();

  const absent = createPinnedPool({
    origin,
    trust: { kind: 'unix', socketPath: join(folder, 'absent.sock') },
  });
  await assert.rejects(fetchBytes(absent, GET), (error) => hasCode(error, 'http.connect'));
  await absent.destroy();
});

test('a socket path that is not one is refused', () => {
  const refused = (origin: string, socketPath: string): void =>
    assert.throws(
      () => createPinnedPool({ origin, trust: { kind: 'unix', socketPath } }),
      (error) => hasCode(error, 'http.origin'),
    );
  refused('http://localhost', 'agent.sock');
  refused('http://localhost', '/run/a\0b');
  refused('http://localhost', `/${'x'.repeat(107)}`);
  refused('http://example.org', '/run/agent.sock');
  refused('https://localhost', '/run/agent.sock');
  refused('http://localhost:81', '/run/agent.sock');
});

test('an answer past its limit is cut', async () => {
  const pool = await clear((_request, response) => void response.end('x'.repeat(101)));
  await assert.rejects(fetchBytes(pool, GET), (error) => hasCode(error, 'http.size'));
});

test('an answer that does not come in time is given up', async () => {
  const pool = await clear(() => {});
  await assert.rejects(fetchBytes(pool, { ...GET, timeoutMs: 50 }), (error) =>
    hasCode(error, 'http.timeout'),
  );
});

test('the caller may leave', async () => {
  const leave = new AbortController();
  const pool = await clear(() => leave.abort());
  await assert.rejects(fetchBytes(pool, { ...GET, signal: leave.signal }), (error) =>
    hasCode(error, 'http.aborted'),
  );
});

test('a redirect is an answer, not a way', async () => {
  let requests = 0;
  const pool = await clear((_request, response) => {
    requests++;
    response.writeHead(302, { location: '/elsewhere' }).end();
  });
  assert.equal((await fetchBytes(pool, GET)).status, 302);
  assert.equal(requests, 1);
});

test('a connection that breaks is not tried again', async () => {
  let requests = 0;
  const pool = await clear((request) => {
    requests++;
    request.socket.destroy();
  });
  await assert.rejects(fetchBytes(pool, GET), (error) => hasCode(error, 'http.broken'));
  assert.equal(requests, 1);
});

test('what is not JSON is not returned as JSON', async () => {
  const pool = await clear((_request, response) => void response.end('<html>'));
  await assert.rejects(
    fetchJson(pool, { method: 'GET', path: '/', maxBytes: 100, timeoutMs: 1000 }),
    (error) => hasCode(error, 'http.content'),
  );
});
