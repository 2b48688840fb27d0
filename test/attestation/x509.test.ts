/** Certificates and lists that attestation/x509.ts makes, read back by OpenSSL through node:crypto and node:tls. @module */

import assert from 'node:assert/strict';
import {
  constants,
  createHash,
  createPrivateKey,
  KeyObject,
  verify,
  X509Certificate,
} from 'node:crypto';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { connect, createServer } from 'node:tls';
import { generateEd25519, verifyEd25519 } from '#primitives';
import {
  crlNumber,
  derName,
  encodePem,
  freshSerial,
  issueCertificate,
  issueCrl,
  selfSign,
  type CertificateProfile,
  type DistinguishedName,
} from '../../attestation/x509.ts';
import { DerReader } from '../../attestation/der.ts';
import {
  ed25519CryptoKeys,
  exportPrivateKey,
  exportPublicKey,
  generateP256,
  generateP384,
  generateRsaPss,
  importP256,
  importP384,
  importRsaPss,
  p256Coordinates,
  pssSha384,
  signP256,
  signP384,
  spkiSha256,
  type SignatureScheme,
} from '../../attestation/x509-keys.ts';
import { parseCertificate } from '../../attestation/pki/certificate.ts';
import { fixed, fromHex, toHex, utf8 } from '../../core/bytes.ts';
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

describe('a hierarchy of RSA with P-384 leaves', () => {
  const name = (commonName: string): DistinguishedName => ({
    organizationalUnit: 'Engineering',
    country: 'US',
    locality: 'Santa Clara',
    state: 'CA',
    organization: 'Veilgate test',
    commonName,
    order: ['organizationalUnit', 'country', 'locality', 'state', 'organization', 'commonName'],
  });

  async function leafUnderRsa(scheme?: SignatureScheme): Promise<{
    readonly issuer: CryptoKeyPair;
    readonly leaf: CryptoKeyPair;
    readonly der: Uint8Array;
  }> {
    // As short as RSA may be, because nothing here depends on the size.
    const [issuer, leaf] = await Promise.all([generateRsaPss(2048), generateP384()]);
    const profile: CertificateProfile = {
      subject: name('leaf'),
      issuer: name('issuer'),
      serial: Uint8Array.of(0),
      notBeforeMs: VALIDITY.notBeforeMs,
      notAfterMs: VALIDITY.notAfterMs,
      publicKey: leaf.publicKey,
      extensions: [{ oid: '1.3.6.1.4.1.3704.1.4', critical: false, value: new Uint8Array(64) }],
    };
    return { issuer, leaf, der: await issueCertificate(profile, issuer.privateKey, scheme) };
  }

  /** The TBS and the signature of a certificate or list. */
  function partsOf(der: Uint8Array): { readonly tbs: Uint8Array; readonly signature: Uint8Array } {
    const outer = DerReader.over(der, 16 * 1024).sequence('envelope');
    const tbs = outer.any('tbs').raw;
    outer.any('algorithm');
    return { tbs, signature: outer.wholeBits('signature') };
  }

  async function isSigned(der: Uint8Array, key: CryptoKey, saltLength: number): Promise<boolean> {
    const { tbs, signature } = partsOf(der);
    const padding = constants.RSA_PKCS1_PSS_PADDING;
    return verify('sha384', tbs, { key: KeyObject.from(key), padding, saltLength }, signature);
  }

  test('has PSS signatures with a salt of 48 bytes, names in the order asked for and serial 0', async () => {
    const { issuer, leaf, der } = await leafUnderRsa();
    const read = new X509Certificate(der);
    assert.equal(read.serialNumber, '0');
    assert.equal(
      read.subject,
      'OU=Engineering\nC=US\nL=Santa Clara\nST=CA\nO=Veilgate test\nCN=leaf',
    );
    assert.equal(read.publicKey.asymmetricKeyDetails?.namedCurve, 'secp384r1');
    assert.equal(read.publicKey.equals(KeyObject.from(leaf.publicKey)), true);
    assert.equal(read.verify(KeyObject.from(issuer.publicKey)), true);
    assert.equal(await isSigned(der, issuer.publicKey, 48), true);
    assert.equal(await isSigned(der, issuer.publicKey, 32), false);
  });

  test('writes the two forms of the algorithm that AMD uses', async () => {
    assert.equal(pssSha384().identifier.length, 2 + 0x41);
    assert.equal(pssSha384({ trailer: 'written' }).identifier.length, 2 + 0x46);
    const { issuer, der } = await leafUnderRsa(pssSha384({ trailer: 'written' }));
    assert.equal(new X509Certificate(der).verify(KeyObject.from(issuer.publicKey)), true);
    assert.equal(toHex(der).split(toHex(pssSha384({ trailer: 'written' }).identifier)).length, 3);
  });

  test('can be signed with another salt, for tests', async () => {
    const { issuer, der } = await leafUnderRsa(pssSha384({ saltBytes: 32 }));
    assert.equal(await isSigned(der, issuer.publicKey, 32), true);
    assert.equal(await isSigned(der, issuer.publicKey, 48), false);
  });

  test('has lists of the same kind', async () => {
    const issuer = await generateRsaPss(2048);
    const list = await issueCrl(
      {
        issuer: name('issuer'),
        thisUpdateMs: VALIDITY.notBeforeMs,
        revoked: [{ serial: fromHex('020001'), revokedMs: VALIDITY.notBeforeMs, reason: 'unsaid' }],
        extensions: [crlNumber(4)],
      },
      issuer.privateKey,
    );
    assert.equal(await isSigned(list, issuer.publicKey, 48), true);
    const tbs = DerReader.over(partsOf(list).tbs, 16 * 1024).sequence('tbsCertList');
    assert.equal(tbs.small(1, 'version'), 1);
    assert.equal(toHex(tbs.any('algorithm').raw), toHex(pssSha384().identifier));
    assert.equal(toHex(tbs.any('issuer').raw), toHex(derName(name('issuer'))));
    assert.equal(tbs.time('thisUpdate'), VALIDITY.notBeforeMs);
    const entry = tbs.sequence('revoked certificates').sequence('entry');
    assert.equal(toHex(entry.unsigned('serial')), '020001');
    entry.time('revocationDate');
    assert.equal(entry.done, true);
  });

  test('keeps its keys in PKCS#8', async () => {
    const [rsa, p384] = await Promise.all([generateRsaPss(2048), generateP384()]);
    const rsaBack = await importRsaPss(await exportPrivateKey(rsa.privateKey));
    const p384Back = await importP384(await exportPrivateKey(p384.privateKey));
    assert.deepEqual(
      await exportPublicKey(rsaBack.publicKey),
      await exportPublicKey(rsa.publicKey),
    );
    assert.deepEqual(
      await exportPublicKey(p384Back.publicKey),
      await exportPublicKey(p384.publicKey),
    );
    const data = utf8('signed');
    const raw = await signP384(p384Back.privateKey, data);
    const key = { key: KeyObject.from(p384.publicKey), dsaEncoding: 'ieee-p1363' } as const;
    assert.equal(verify('sha384', data, key, raw), true);
    await assert.rejects(importRsaPss(await exportPrivateKey(p384.privateKey)));
    await assert.rejects(importP384(await exportPrivateKey(rsa.privateKey)));
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
