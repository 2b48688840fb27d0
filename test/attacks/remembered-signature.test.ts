/**
 * Attack: an answer remembered for one key is asked for with another key of the same bytes. An RSA modulus of 96 octets
 * with exponent 0 is written like a point of P-384. Spec: sev-snp.md §2.1.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LazyPublicKey, SignatureMemo, Signed } from '../../attestation/pki/signature.ts';
import { generateP384, signP384 } from '../../attestation/x509-keys.ts';
import { utf8 } from '../../core/bytes.ts';

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
