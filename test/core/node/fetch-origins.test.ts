/** A closed set of origins: nothing else is asked, redirects lead nowhere, limits and time hold. @module */

import assert from 'node:assert/strict';
import { createServer as createHttps } from 'node:https';
import { createServer, type RequestListener, type Server } from 'node:http';
import { after, test } from 'node:test';
import { systemClock } from '../../../core/clock.ts';
import { hasCode } from '../../../core/errors.ts';
import { createOriginFetcher, type OriginFetcher } from '../../../core/node/fetch-origins.ts';
import type { Trust } from '../../../core/node/http-client.ts';
import { selfSign, type SelfSigned } from '../../../attestation/x509.ts';
import { generateP256 } from '../../../attestation/x509-keys.ts';

const LIMITS = { connectTimeoutMs: 1000, connectionsMax: 2 };

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

function fetcherFor(origin: string, trust: Trust): OriginFetcher {
  const fetcher = createOriginFetcher([{ origin, trust }], LIMITS);
  after(() => fetcher.destroy());
  return fetcher;
}

async function clear(listener: RequestListener) {
  const origin = `http://127.0.0.1:${await portOf(createServer(listener))}`;
  return { origin, fetcher: fetcherFor(origin, { kind: 'loopback' }) };
}

const request = { path: '/', maxBytes: 100, timeoutMs: 1000 };

test('an origin outside the set is not asked', async () => {
  let asked = 0;
  const { origin } = await clear((_request, response) => {
    asked++;
    response.end();
  });
  const { fetcher } = await clear((_request, response) => void response.end());
  const { signal } = new AbortController();
  for (const other of [origin, `${origin}/`, 'http://127.0.0.1:1', 'https://example.com']) {
    await assert.rejects(fetcher.fetch({ ...request, origin: other, signal }), (error) =>
      hasCode(error, 'http.origin'),
    );
  }
  assert.equal(asked, 0);
});

test('what is no path is not sent', async () => {
  const { signal } = new AbortController();
  const fetcher = fetcherFor('https://vendor.test', { kind: 'webpki' });
  for (const path of ['', '@evil.test/', 'https://evil.test/']) {
    await assert.rejects(
      fetcher.fetch({ ...request, origin: 'https://vendor.test', path, signal }),
      (error) => hasCode(error, 'http.origin'),
    );
  }
});

test('a redirect is an answer', async () => {
  let asked = 0;
  const { origin, fetcher } = await clear((_request, response) => {
    asked++;
    response.writeHead(302, { location: '/elsewhere' }).end();
  });
  const { signal } = new AbortController();
  assert.equal((await fetcher.fetch({ ...request, origin, signal })).status, 302);
  assert.equal(asked, 1);
});

test('an answer beyond its size is cut off', async () => {
  const { origin, fetcher } = await clear((_request, response) => {
    response.end('x'.repeat(101));
  });
  const { signal } = new AbortController();
  await assert.rejects(fetcher.fetch({ ...request, origin, signal }), (error) =>
    hasCode(error, 'http.size'),
  );
});

test('a request ends when its caller ends it', async () => {
  const leaving = new AbortController();
  const { origin, fetcher } = await clear(() => leaving.abort());
  await assert.rejects(
    fetcher.fetch({ ...request, origin, timeoutMs: 60_000, signal: leaving.signal }),
    (error) => hasCode(error, 'http.aborted'),
  );
});

test('an origin that stands twice is refused, and so is clear text to elsewhere', () => {
  const origin = 'http://127.0.0.1:9';
  const set = [
    { origin, trust: { kind: 'loopback' } },
    { origin, trust: { kind: 'loopback' } },
  ] as const;
  assert.throws(() => createOriginFetcher(set, LIMITS));
  assert.throws(() =>
    createOriginFetcher([{ origin: 'http://192.0.2.1', trust: { kind: 'loopback' } }], LIMITS),
  );
});

async function ownCertificate(ipAddresses: readonly string[]): Promise<SelfSigned> {
  const nowMs = systemClock();
  return await selfSign({
    keys: await generateP256(),
    commonName: 'cache of this site',
    ipAddresses,
    notBeforeMs: nowMs - 1000,
    notAfterMs: nowMs + 100_000,
  });
}

async function secure(own: SelfSigned) {
  let asked = 0;
  const port = await portOf(
    createHttps({ cert: own.certificatePem, key: own.privateKeyPem }, (_request, response) => {
      asked++;
      response.end('ok');
    }),
  );
  return { origin: `https://127.0.0.1:${port}`, asked: () => asked };
}

test('a self-signed server is believed by the file of its certificate, and only by that', async () => {
  const own = await ownCertificate(['127.0.0.1']);
  const { origin, asked } = await secure(own);
  const { signal } = new AbortController();
  const ca = (certificatesPem: string): Trust => ({ kind: 'ca', certificatesPem });
  const other = ca((await ownCertificate(['127.0.0.1'])).certificatePem);
  for (const trust of [other, { kind: 'webpki' }] as const) {
    await assert.rejects(fetcherFor(origin, trust).fetch({ ...request, origin, signal }), (error) =>
      hasCode(error, 'http.connect'),
    );
  }
  assert.equal(asked(), 0);
  const right = fetcherFor(origin, ca(own.certificatePem));
  assert.equal((await right.fetch({ ...request, origin, signal })).status, 200);
});

test('a file without a certificate is no authority, and does not stand for the public ones', () => {
  // TLS of this platform takes an empty list of authorities for none given, and believes the public ones.
  for (const certificatesPem of ['', ' \n', 'not a certificate']) {
    assert.throws(
      () => fetcherFor('https://vendor.test', { kind: 'ca', certificatesPem }),
      (error) => hasCode(error, 'http.origin'),
    );
  }
});

test('a certificate of the right issuer for another name is refused', async () => {
  const own = await ownCertificate(['127.0.0.2']);
  const { origin, asked } = await secure(own);
  const { signal } = new AbortController();
  const fetcher = fetcherFor(origin, { kind: 'ca', certificatesPem: own.certificatePem });
  await assert.rejects(fetcher.fetch({ ...request, origin, signal }), (error) =>
    hasCode(error, 'http.connect'),
  );
  assert.equal(asked(), 0);
});
