/** The worker's listener serves one gateway and nobody else. @module */

import assert from 'node:assert/strict';
import { connect } from 'node:tls';
import { after, before, test } from 'node:test';
import { generateEd25519, type KeyPair } from '#primitives';
import { systemClock } from '../../core/clock.ts';
import {
  createPinnedPool,
  fetchBytes,
  type ClientCertificate,
  type FetchedBytes,
} from '../../core/node/http-client.ts';
import { selfSign, type SelfSigned } from '../../attestation/x509.ts';
import { generateP256 } from '../../attestation/x509-keys.ts';
import { audOf } from '../../protocol/gateway-document.ts';
import { SETTLED_MAX_BYTES, SETTLED_TYPE } from '../../protocol/settled.ts';
import { makeLinkKey } from '../../enclave-worker/keys.ts';
import { openLink, type Link } from '../../enclave-worker/link.ts';
import { REQUEST_WIRE_MAX_BYTES } from '../../protocol/sx/limits.ts';
import { untilAborted } from './exchange-fixture.ts';
import { linkCertificate } from './gateway-fixture.ts';

const gateway: KeyPair = generateEd25519();
const RECEIPT_ID = 'ab'.repeat(16);
const STATEMENT = 'ef'.repeat(32);
const received: Uint8Array[] = [];
const notices: Uint8Array[] = [];
const metersAsked: (number | undefined)[] = [];
let key: SelfSigned;
let link: Link;
let certificate: ClientCertificate;
let onGone: () => void = () => undefined;

before(async () => {
  key = await makeLinkKey(systemClock());
  certificate = await linkCertificate(gateway);
  link = await openLink({
    host: '127.0.0.1',
    port: 0,
    gatewayAud: audOf(gateway.publicKey),
    identity: key,
    onExchange: async (bytes, sink, { gone, meterEvery }) => {
      metersAsked.push(meterEvery);
      received.push(bytes);
      if (bytes[0] === 1) return sink.refuse(421);
      sink.accept(new Uint8Array(16));
      sink.write(bytes);
      if (bytes[0] === 2) {
        await untilAborted(gone);
        onGone();
        // Writing after the peer has gone is harmless.
        sink.write(bytes);
        await sink.drained();
      }
      if (bytes[0] === 3) {
        sink.cutAfter(200);
        while (!gone.aborted) if (!sink.write(new Uint8Array(65_536))) await sink.drained();
        onGone();
      }
      sink.end();
    },
    receiptOf: (id) => (id === RECEIPT_ID ? new Uint8Array(445) : undefined),
    receiptsAfter: (statement, after) =>
      statement === STATEMENT ? new Uint8Array(445 * Number(3n - after)) : new Uint8Array(),
    onSettled: (bytes) => {
      notices.push(bytes);
      return 204;
    },
    stop: (id) => id === RECEIPT_ID,
    healthy: () => true,
  });
});

after(() => link.close());

interface Call {
  readonly as?: ClientCertificate;
  readonly method?: 'GET' | 'POST';
  readonly path?: string;
  readonly type?: string;
  readonly meter?: string;
  readonly body?: Uint8Array;
}

async function call(options: Call): Promise<FetchedBytes> {
  const pool = createPinnedPool({
    origin: `https://127.0.0.1:${link.port}`,
    trust: { kind: 'spki', sha256: [key.spkiSha256] },
    ...(options.as === undefined ? {} : { clientCertificate: options.as }),
  });
  try {
    return await fetchBytes(pool, {
      method: options.method ?? 'POST',
      path: options.path ?? '/sx/v1/exchange',
      headers: {
        'content-type': options.type ?? 'application/vnd.sx1.req',
        ...(options.meter === undefined ? {} : { 'sx-meter': options.meter }),
      },
      ...(options.body === undefined ? {} : { body: options.body }),
      maxBytes: 100_000,
      timeoutMs: 5000,
    });
  } finally {
    await pool.destroy();
  }
}

const BODY = Uint8Array.of(0, 7, 7);

test('the gateway is served', async () => {
  const answer = await call({ as: certificate, body: BODY });
  assert.equal(answer.status, 200);
  assert.equal(answer.headers['content-type'], 'application/vnd.sx1.res');
  assert.deepEqual(Buffer.from(answer.body), Buffer.from(BODY));
});

test('a client without a certificate is refused before its bytes are looked at', async () => {
  const before = received.length;
  assert.equal((await call({ body: BODY })).status, 403);
  assert.equal(received.length, before);
});

test('a client with another identity is refused', async () => {
  const before = received.length;
  const stranger = await linkCertificate(generateEd25519());
  assert.equal((await call({ as: stranger, body: BODY })).status, 403);
  const receipt = { as: stranger, method: 'GET', path: `/sx/v1/receipts/${RECEIPT_ID}` } as const;
  assert.equal((await call(receipt)).status, 403);
  assert.equal(received.length, before);
});

test('a certificate of another kind of key is refused', async () => {
  const p256 = await selfSign({
    keys: await generateP256(),
    commonName: 'gateway',
    notBeforeMs: systemClock() - 1000,
    notAfterMs: systemClock() + 100_000,
  });
  assert.equal((await call({ as: p256, body: BODY })).status, 403);
});

test('anybody may ask whether the worker is well', async () => {
  const answer = await call({ method: 'GET', path: '/healthz' });
  assert.equal(answer.status, 200);
  assert.equal(answer.body.length, 0);
});

test(
  'a gateway that does not read is cut off when its time is over',
  { timeout: 60_000 },
  async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    onGone = resolve;
    const { certificatePem: cert, privateKeyPem } = certificate;
    const socket = connect({
      host: '127.0.0.1',
      port: link.port,
      cert,
      key: privateKeyPem,
      rejectUnauthorized: false,
    });
    try {
      socket.on('error', () => undefined);
      socket.write(
        'POST /sx/v1/exchange HTTP/1.1\r\nHost: w\r\nContent-Type: application/vnd.sx1.req\r\nContent-Length: 1\r\n\r\n\x03',
      );
      await promise;
    } finally {
      socket.destroy();
    }
  },
);

test('receipts are found by the lower-case hex of their msg_id', async () => {
  const get = (id: string) =>
    call({ as: certificate, method: 'GET', path: `/sx/v1/receipts/${id}` });
  assert.equal((await get(RECEIPT_ID)).body.length, 445);
  assert.equal((await get('cd'.repeat(16))).status, 404);
  assert.equal((await get(RECEIPT_ID.toUpperCase())).status, 404);
});

test('receipts behind one of a statement come in one piece, and the form of the question is strict', async () => {
  const get = (query: string) =>
    call({ as: certificate, method: 'GET', path: `/sx/v1/receipts?${query}` });
  assert.equal((await get(`after=1&statement=${STATEMENT}`)).body.length, 890);
  const none = await get(`after=0&statement=${'00'.repeat(32)}`);
  assert.deepEqual([none.status, none.body.length], [200, 0]);
  for (const query of [
    `after=01&statement=${STATEMENT}`,
    `after=-1&statement=${STATEMENT}`,
    `after=1&statement=${STATEMENT.toUpperCase()}`,
    `statement=${STATEMENT}&after=1`,
    `after=1`,
  ]) {
    assert.equal((await get(query)).status, 404, query);
  }
});

const SETTLED = { path: '/sx/v1/settled', type: SETTLED_TYPE, body: BODY } as const;

test('a notice of settlement is taken from the gateway alone, in its type and size', async () => {
  assert.equal((await call({ as: certificate, ...SETTLED })).status, 204);
  assert.deepEqual(notices, [BODY]);
  const stranger = await linkCertificate(generateEd25519());
  assert.equal((await call({ as: stranger, ...SETTLED })).status, 403);
  assert.equal((await call(SETTLED)).status, 403);
  assert.equal((await call({ as: certificate, ...SETTLED, type: 'application/json' })).status, 415);
  const large = new Uint8Array(SETTLED_MAX_BYTES + 1);
  assert.equal((await call({ as: certificate, ...SETTLED, body: large })).status, 413);
  assert.equal(notices.length, 1);
});

test('an exchange that runs is stopped by its msg_id, by the gateway alone', async () => {
  const path = `/sx/v1/exchanges/${RECEIPT_ID}/stop`;
  assert.equal((await call({ as: certificate, path })).status, 204);
  assert.equal((await call({ path })).status, 403);
  const other = `/sx/v1/exchanges/${'cd'.repeat(16)}/stop`;
  assert.equal((await call({ as: certificate, path: other })).status, 404);
  assert.equal((await call({ as: certificate, path, method: 'GET' })).status, 404);
});

test('the gateway may ask for meters, in whole tokens', async () => {
  metersAsked.length = 0;
  await call({ as: certificate, body: BODY, meter: '16' });
  assert.deepEqual(metersAsked, [16]);
  for (const meter of ['0', '-1', '1.5', '1000001', 'all']) {
    const { status } = await call({ as: certificate, body: BODY, meter });
    assert.equal(status, 400, meter);
  }
});

test('other paths, methods and types are refused', async () => {
  assert.equal((await call({ as: certificate, path: '/v1/models', body: BODY })).status, 404);
  assert.equal((await call({ as: certificate, method: 'GET' })).status, 404);
  const typed = await call({ as: certificate, type: 'application/json', body: BODY });
  assert.equal(typed.status, 415);
});

test('a body beyond the largest request is refused unread', async () => {
  const before = received.length;
  // The link closes without reading: the sender sees the status or a broken connection, never an answer.
  const outcome = await call({
    as: certificate,
    body: new Uint8Array(REQUEST_WIRE_MAX_BYTES + 1),
  }).then(
    (answer) => answer.status,
    () => 413,
  );
  assert.equal(outcome, 413);
  assert.equal(received.length, before);
});

test('a bare refusal is a status and nothing else', async () => {
  const answer = await call({ as: certificate, body: Uint8Array.of(1) });
  assert.equal(answer.status, 421);
  assert.equal(answer.body.length, 0);
  assert.equal(answer.headers['content-type'], undefined);
});

test('a gateway that goes away is noticed at once', async () => {
  const gone = new Promise<void>((resolve) => {
    onGone = resolve;
  });
  const pool = createPinnedPool({
    origin: `https://127.0.0.1:${link.port}`,
    trust: { kind: 'spki', sha256: [key.spkiSha256] },
    clientCertificate: certificate,
  });
  const control = pool.stream(
    {
      method: 'POST',
      path: '/sx/v1/exchange',
      headers: { 'content-type': 'application/vnd.sx1.req' },
      body: Uint8Array.of(2),
    },
    {
      onHead: () => undefined,
      onData: () => control.abort(),
      onEnd: () => undefined,
      onError: () => undefined,
    },
  );
  await gone;
  await pool.destroy();
});

test('TLS 1.2 is not spoken', async () => {
  await assert.rejects(
    new Promise((resolve, reject) => {
      const socket = connect({
        host: '127.0.0.1',
        port: link.port,
        maxVersion: 'TLSv1.2',
        rejectUnauthorized: false,
      });
      socket.once('secureConnect', () => resolve(socket.destroy()));
      socket.once('error', reject);
    }),
    { code: 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION' },
  );
});
