/**
 * Attack: an answer remembered for one key is asked for with another key of the same bytes. An RSA modulus of 96 octets
 * with exponent 0 is written like a point of P-384. Spec: sev-snp.md §2.1.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LazyPublicKey, SignatureMemo, Signed } from '../../attestation/pki/signature.ts';
import { defaultScheme, generateP384, signP384 } from '../../attestation/x509-keys.ts';
import { fromBase64Url, utf8 } from '../../core/bytes.ts';
import { testRsaKeys } from '../support/snp/rsa-keys.ts';

const keys = await generateP384();
const point = new Uint8Array(await crypto.subtle.exportKey('raw', keys.publicKey)).subarray(1);
const MESSAGE = utf8('a report');
const signature = await signP384(keys.privateKey, MESSAGE);

function signed(): Signed {
  return new Signed(MESSAGE, signature, 'ecdsa-p384-sha384');
}

test('what a memory knows of a P-384 key holds for no RSA key of the same bytes', async () => {
  const memo = new SignatureMemo();
  await signed().verifyApart(LazyPublicKey.p384(point), memo);
  assert.ok(signed().isSignedBy(LazyPublicKey.p384(point), memo));
  assert.ok(!signed().isSignedBy(LazyPublicKey.rsa(point, 0), memo));
});

test('a signature that has verified holds for no other key, nearly equal as it may be', async () => {
  const { ask } = await testRsaKeys();
  const { n = '' } = await crypto.subtle.exportKey('jwk', ask.publicKey);
  const modulus = fromBase64Url(n);
  const scheme = defaultScheme(ask.privateKey);
  const certificate = new Signed(
    MESSAGE,
    await scheme.sign(ask.privateKey, MESSAGE),
    'rsa-pss-sha384',
  );
  const key = (exponent: number): LazyPublicKey => LazyPublicKey.rsa(modulus, exponent);
  assert.ok(!certificate.isSignedBy(key(3)));
  assert.ok(certificate.isSignedBy(key(65_537)));
  for (const exponent of [0, 1, 3, 65_539]) assert.ok(!certificate.isSignedBy(key(exponent)));
  assert.ok(!certificate.isSignedBy(LazyPublicKey.rsa(modulus.subarray(1), 65_537)));
  const report = signed();
  assert.ok(report.isSignedBy(LazyPublicKey.p384(point)));
  assert.ok(!report.isSignedBy(LazyPublicKey.rsa(point, 0)));
  assert.ok(certificate.isSignedBy(key(65_537)));
});
