/** Both sides of `#primitives` agree with each other and with published vectors. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fixed, fromHex, toHex, utf8 } from '../../core/bytes.ts';
import * as native from '../../core/node/primitives.ts';
import * as portable from '../../core/primitives.ts';

const SIDES = { node: native, noble: portable };

test('the two sides export the same names', () => {
  assert.deepEqual(Object.keys(native).sort(), Object.keys(portable).sort());
});

for (const [name, side] of Object.entries(SIDES)) {
  test(`${name}: SHA-2 and SHA-3 of "abc" (FIPS 180-4, FIPS 202)`, () => {
    const abc = utf8('abc');
    assert.equal(
      toHex(side.sha256(abc)),
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    );
    assert.match(toHex(side.sha384(abc)), /^cb00753f45a35e8b/);
    assert.match(toHex(side.sha512(abc)), /^ddaf35a193617aba/);
    assert.match(toHex(side.sha3v256(abc)), /^3a985da74fe225b2/);
    assert.match(toHex(side.shake256(abc, 32)), /^483366601360a877/);
    assert.equal(toHex(side.sha256(utf8('a'), utf8('bc'))), toHex(side.sha256(abc)));
  });

  test(`${name}: HMAC-SHA-256 (RFC 4231 case 2)`, () => {
    const mac = side.hmacSha256(utf8('Jefe'), utf8('what do ya want '), utf8('for nothing?'));
    assert.equal(toHex(mac), '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843');
  });

  test(`${name}: Ed25519 (RFC 8032 §7.1 test 1)`, () => {
    const seed = fixed(
      fromHex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60'),
      32,
    );
    assert.equal(
      toHex(side.ed25519PublicKey(seed)),
      'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
    );
    const signature = side.signEd25519(seed, new Uint8Array());
    assert.match(toHex(signature), /^e5564300c360ac72/);
    assert.ok(side.verifyEd25519(side.ed25519PublicKey(seed), signature, new Uint8Array()));
    assert.ok(!side.verifyEd25519(side.ed25519PublicKey(seed), signature, utf8('x')));
  });

  test(`${name}: X25519 (RFC 7748 §6.1) and its small-order refusal`, () => {
    const alice = fixed(
      fromHex('77076d0a7318a57d3c16c17251b26645df4c5b3a3e0c5c6d4f6d2c2a36a3b0a5'),
      32,
    );
    const pair = side.generateX25519();
    const one = side.x25519SharedSecret(alice, pair.publicKey);
    const two = side.x25519SharedSecret(pair.secretKey, side.x25519PublicKey(alice));
    assert.deepEqual(one, two);
    assert.throws(() => side.x25519SharedSecret(alice, fixed(new Uint8Array(32), 32)), {
      code: 'primitive.dh',
    });
  });

  test(`${name}: a point off the curve is not a P-256 key`, () => {
    assert.equal(side.p256PublicKey(fixed(new Uint8Array(64).fill(1), 64)), undefined);
    assert.equal(side.p256PublicKey(fixed(new Uint8Array(64), 64)), undefined);
  });

  test(`${name}: AES-256-GCM opens what it sealed and nothing else`, () => {
    const key = side.aes256GcmKey(fixed(new Uint8Array(32).fill(7), 32));
    const nonce = fixed(new Uint8Array(12), 12);
    const sealed = side.sealAes256Gcm(key, nonce, utf8('aad'), utf8('text'));
    assert.deepEqual(side.openAes256Gcm(key, nonce, utf8('aad'), sealed), utf8('text'));
    assert.equal(side.openAes256Gcm(key, nonce, utf8('add'), sealed), undefined);
    for (let i = 0; i < sealed.length; i++) {
      const changed = sealed.slice();
      changed[i] = (changed[i] ?? 0) ^ 1;
      assert.equal(side.openAes256Gcm(key, nonce, utf8('aad'), changed), undefined);
    }
    assert.equal(side.openAes256Gcm(key, nonce, utf8('aad'), sealed.subarray(0, 15)), undefined);
  });
}

test('what one side makes the other side reads', () => {
  const key = fixed(new Uint8Array(32).fill(9), 32);
  const nonce = fixed(new Uint8Array(12).fill(1), 12);
  const sealed = native.sealAes256Gcm(native.aes256GcmKey(key), nonce, utf8('a'), utf8('hello'));
  assert.deepEqual(
    portable.openAes256Gcm(portable.aes256GcmKey(key), nonce, utf8('a'), sealed),
    utf8('hello'),
  );

  const seed = fixed(concat(new Uint8Array(32).fill(3), new Uint8Array(32).fill(4)), 64);
  const nativePair = native.mlKem768KeyPair(seed);
  const portablePair = portable.mlKem768KeyPair(seed);
  assert.deepEqual(nativePair.publicKey, portablePair.publicKey);
  const one = native.mlKem768Encapsulate(portablePair.publicKey);
  assert.deepEqual(portable.mlKem768Decapsulate(portablePair, one.ciphertext), one.sharedSecret);
  const two = portable.mlKem768Encapsulate(nativePair.publicKey);
  assert.deepEqual(native.mlKem768Decapsulate(nativePair, two.ciphertext), two.sharedSecret);
});
