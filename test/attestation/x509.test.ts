/** Certificates and lists that attestation/x509.ts makes, read back by OpenSSL through node:crypto and node:tls. @module */

import assert from 'node:assert/strict';
import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { generateEd25519, verifyEd25519 } from '#primitives';
import {
  crlNumber,
  ed25519CryptoKeys,
  encodePem,
  exportPrivateKey,
  freshSerial,
  generateP256,
  importP256,
  p256Coordinates,
  selfSign,
  signP256,
  spkiSha256,
} from '../../attestation/x509.ts';
import { parseCertificate } from '../../attestation/pki/certificate.ts';
import { fixed, toHex, utf8 } from '../../core/bytes.ts';
import { p256PublicKey, verifyP256 } from '../../core/node/primitives.ts';

const VALIDITY = { notBeforeMs: Date.UTC(2026, 0, 1), notAfterMs: Date.UTC(2046, 0, 1) };

describe('a self-signed certificate', () => {
  test('for P-256 holds its names, its key and a signature by itself', async () => {
    const keys = await generateP256();
    const made = await selfSign({
      keys,
      commonName: 'worker',
      dnsNames: ['worker.example'],
      ipAddresses: ['127.0.0.1'],
      ...VALIDITY,
    });
    const read = new X509Certificate(made.certificatePem);
    assert.equal(read.subject, 'CN=worker');
    assert.equal(read.subjectAltName, 'DNS:worker.example, IP Address:127.0.0.1');
    assert.equal(read.ca, false);
    assert.equal(read.verify(read.publicKey), true);
    assert.equal(read.checkPrivateKey(createPrivateKey(made.privateKeyPem)), true);
    const spki = read.publicKey.export({ format: 'der', type: 'spki' });
    assert.equal(toHex(made.spkiSha256), createHash('sha256').update(spki).digest('hex'));
    assert.equal(toHex(await spkiSha256(keys.publicKey)), toHex(made.spkiSha256));
  });

  test('for Ed25519 carries the very key of the pair', async () => {
    const pair = generateEd25519();
    const made = await selfSign({
      keys: await ed25519CryptoKeys(pair),
      commonName: 'gateway',
      ...VALIDITY,
    });
    const read = new X509Certificate(made.certificatePem);
    assert.equal(read.verify(read.publicKey), true);
    const spki = read.publicKey.export({ format: 'der', type: 'spki' });
    assert.equal(toHex(spki.subarray(-32)), toHex(pair.publicKey));
  });

  test('serves TLS 1.3 and authenticates a client', async () => {
    const server = await selfSign({
      keys: await generateP256(),
      commonName: 'worker',
      dnsNames: ['localhost'],
      ...VALIDITY,
    });
    const client = await selfSign({
      keys: await ed25519CryptoKeys(generateEd25519()),
      commonName: 'gateway',
      ...VALIDITY,
    });
    const listener = createServer({
      cert: server.certificatePem,
      key: server.privateKeyPem,
      requestCert: true,
      rejectUnauthorized: false,
      minVersion: 'TLSv1.3',
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    const address = listener.address();
    assert.ok(address !== null && typeof address === 'object');
    const accepted = once(listener, 'secureConnection');
    const socket = connect({
      port: address.port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: server.certificatePem,
      cert: client.certificatePem,
      key: client.privateKeyPem,
    });
    const [peer] = await accepted;
    assert.equal(toHex(peer.getPeerX509Certificate().raw), toHex(client.certificate));
    socket.destroy();
    peer.destroy();
    listener.close();
  });

  test('is accepted by our own strict reader', async () => {
    const { certificate } = await selfSign({
      keys: await generateP256(),
      commonName: 'Intel SGX PCK Certificate',
      ...VALIDITY,
    });
    const read = parseCertificate(certificate);
    assert.equal(read.commonName, 'Intel SGX PCK Certificate');
    assert.equal(read.notBeforeMs, VALIDITY.notBeforeMs);
    assert.equal(read.notAfterMs, VALIDITY.notAfterMs);
    assert.equal(read.signed?.isSignedBy(read.publicKey), true);
  });
});

describe('keys', () => {
  test('survive PKCS#8', async () => {
    const keys = await generateP256();
    const back = await importP256(await exportPrivateKey(keys.privateKey));
    assert.deepEqual(await p256Coordinates(back.publicKey), await p256Coordinates(keys.publicKey));
    const data = utf8('signed');
    const key = p256PublicKey(await p256Coordinates(keys.publicKey));
    assert.ok(key !== undefined);
    assert.equal(verifyP256(key, await signP256(back.privateKey, data), data), true);
  });

  test('of Ed25519 sign as their pair', async () => {
    const pair = generateEd25519();
    const { privateKey } = await ed25519CryptoKeys(pair);
    const signature = await crypto.subtle.sign('Ed25519', privateKey, Uint8Array.of(1, 2, 3));
    assert.equal(
      verifyEd25519(pair.publicKey, fixed(new Uint8Array(signature), 64), Uint8Array.of(1, 2, 3)),
      true,
    );
  });

  test('that are damaged are refused', async () => {
    await assert.rejects(importP256(new Uint8Array(138)));
  });
});

test('CRL numbers are minimal positive INTEGERs', () => {
  const der = (number: number): string => toHex(crlNumber(number).value);
  assert.equal(der(0), '020100');
  assert.equal(der(127), '02017f');
  assert.equal(der(128), '02020080');
  assert.equal(der(255), '020200ff');
  assert.equal(der(256), '02020100');
  assert.equal(der(1_795_526_256), '02046b058e70');
  assert.throws(() => crlNumber(-1));
  assert.throws(() => crlNumber(1.5));
});

test('fresh serials are positive, of full length and differ', () => {
  const serials = Array.from({ length: 64 }, freshSerial);
  for (const serial of serials) {
    assert.equal(serial.length, 16);
    assert.ok((serial[0] ?? 0) >= 0x40 && (serial[0] ?? 0) < 0x80);
  }
  assert.equal(new Set(serials.map(toHex)).size, serials.length);
});

test('PEM has lines of 64 characters and ends with a line feed', () => {
  const pem = encodePem('CERTIFICATE', new Uint8Array(100));
  const lines = pem.split('\n');
  assert.equal(lines[0], '-----BEGIN CERTIFICATE-----');
  assert.equal(lines[1]?.length, 64);
  assert.equal(lines.at(-2), '-----END CERTIFICATE-----');
  assert.equal(lines.at(-1), '');
});
