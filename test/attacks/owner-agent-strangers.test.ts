/**
 * Attack: strangers without the token at the owner's signing service. They hold every connection it has by saying nothing,
 * break off in the middle of bodies, and lead a name of this machine elsewhere, so that the token travels in clear text.
 * @module
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import { after, before, test } from 'node:test';
import { ed25519PublicKey, randomBytes } from '#primitives';
import { cardDigestOf, encodeCard } from '../../attestation/card.ts';
import { encodeStatement } from '../../attestation/statement.ts';
import { generateP256 } from '../../attestation/x509-keys.ts';
import { selfSign, type SelfSigned } from '../../attestation/x509.ts';
import { hasCode } from '../../core/errors.ts';
import { createPinnedPool, fetchBytes } from '../../core/node/http-client.ts';
import { OWNER_AGENT_CONNECTIONS_MAX } from '../../enclave-worker/limits.ts';
import { localOwnerSigner } from '../../enclave-worker/owner.ts';
import {
  agentOwnerSigner,
  openOwnerAgent,
  type OwnerAgent,
} from '../../enclave-worker/owner-agent.ts';
import { NOW_MS } from '../support/tdx/pki.ts';
import { testCard, testStatement } from '../support/worker-evidence.ts';

const SECRET = randomBytes(32);
const TOKEN = 'a-token-of-this-test';
const CARD = encodeCard(testCard({ owner: ed25519PublicKey(SECRET) }));
const STATEMENT = encodeStatement(testStatement({ card: cardDigestOf(CARD) }));

let tls: SelfSigned;
let agent: OwnerAgent;
let plain: OwnerAgent;

before(async () => {
  const times = { notBeforeMs: NOW_MS, notAfterMs: NOW_MS + 1e12 };
  tls = await selfSign({ keys: await generateP256(), commonName: 'owner', ...times });
  const common = {
    signer: localOwnerSigner(SECRET, CARD),
    token: TOKEN,
    host: '127.0.0.1',
    port: 0,
    // A log that cannot be written is no reason to stop signing.
    onRequest: () => {
      throw new Error('the terminal is gone');
    },
  };
  agent = await openOwnerAgent({ ...common, tls });
  plain = await openOwnerAgent(common);
});

after(async () => {
  await agent.close();
  await plain.close();
});

async function signs(): Promise<void> {
  const signer = agentOwnerSigner({ url: `http://127.0.0.1:${plain.port}`, token: TOKEN });
  await signer.sign(STATEMENT, CARD);
}

async function silent(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

test('the service goes on when the terminal that it reports to is gone', signs);

test('connections that say nothing are let go soon enough for the worker to renew', async () => {
  const url = `https://127.0.0.1:${agent.port}`;
  const signer = agentOwnerSigner({ url, token: TOKEN, tlsSpkiSha256: tls.spkiSha256 });
  const sockets: Socket[] = [];
  for (let at = 0; at < OWNER_AGENT_CONNECTIONS_MAX; at++) sockets.push(await silent(agent.port));
  await assert.rejects(signer.sign(STATEMENT, CARD), (error) =>
    hasCode(error, 'worker.owner_silent'),
  );
  await Promise.all(sockets.map(async (socket) => await once(socket, 'close')));
  await signer.sign(STATEMENT, CARD);
});

test('in clear text a request that never comes is let go as well', async () => {
  const socket = await silent(plain.port);
  socket.resume();
  await once(socket, 'close');
  await signs();
});

test('bodies that break off leave the service as it was', async () => {
  const head = `POST /v1/owner/sign HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n`;
  for (const raw of [
    `${head}content-length: 1000\r\n\r\n{"st`,
    `${head}transfer-encoding: chunked\r\n\r\n4\r\n{"st\r\n`,
    `${head}transfer-encoding: chunked\r\n\r\nZZ\r\n`,
    `${head}content-length: 60000\r\n\r\n${' '.repeat(59_000)}`,
    '\u0000\u0001\r\n\r\n',
    'CONNECT x:1 HTTP/1.1\r\nhost: x\r\n\r\n',
  ]) {
    const socket = await silent(plain.port);
    socket.write(raw);
    socket.resume();
    socket.end();
    await once(socket, 'close');
    await signs();
  }
});

test('a stranger is not listened to after the refusal', async () => {
  const socket = await silent(plain.port);
  socket.write('POST /v1/owner/sign HTTP/1.1\r\nhost: x\r\ncontent-length: 90000000\r\n\r\n{');
  socket.resume();
  await once(socket, 'end');
  socket.destroy();
});

const OUTSIDE = Object.values(networkInterfaces())
  .flatMap((addresses) => addresses ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;

test(
  'a name that stands for this machine and leads elsewhere gets nothing in clear text',
  {
    skip: OUTSIDE === undefined && 'no address but loopback',
  },
  async () => {
    const heard: Uint8Array[] = [];
    const elsewhere = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => void heard.push(chunk));
    });
    elsewhere.listen(0, OUTSIDE);
    await once(elsewhere, 'listening');
    const address = elsewhere.address();
    assert.ok(typeof address === 'object' && address !== null && OUTSIDE !== undefined);
    // `address` is what a resolver that lies about the name leads to.
    const pool = createPinnedPool({
      origin: `http://localhost:${address.port}`,
      trust: { kind: 'loopback' },
      address: OUTSIDE,
    });
    const asked = fetchBytes(pool, {
      method: 'POST',
      path: '/v1/owner/sign',
      headers: { authorization: `Bearer ${TOKEN}` },
      maxBytes: 100,
      timeoutMs: 2000,
    });
    await assert.rejects(asked, (error) => hasCode(error, 'http.origin'));
    assert.deepEqual(heard, []);
    await pool.destroy();
    elsewhere.close();
  },
);
