/**
 * P-384 and RSASSA-PSS on both sides of `#primitives`, with keys and signatures that OpenSSL makes.
 * @module
 */

import assert from 'node:assert/strict';
import { constants, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { concat, fixed, fromBase64Url, utf8, type Bytes } from '../../core/bytes.ts';
import * as native from '../../core/node/primitives.ts';
import * as portable from '../../core/primitives.ts';

const SIDES = { node: native, noble: portable };
const MESSAGE = utf8('signed bytes');

function signP384(key: KeyObject): Bytes<96> {
  return fixed(new Uint8Array(sign('sha384', MESSAGE, { key, dsaEncoding: 'ieee-p1363' })), 96);
}

const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' });
const { x = '', y = '' } = p384.publicKey.export({ format: 'jwk' });
const XY = fixed(concat(fromBase64Url(x), fromBase64Url(y)), 96);
const N384 = BigInt(
  '0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973',
);

/** (r, n − s) is as good as (r, s). */
function negated(signature: Bytes<96>): Bytes<96> {
  const s = BigInt(`0x${Buffer.from(signature.subarray(48)).toString('hex')}`);
  const other = Buffer.from((N384 - s).toString(16).padStart(96, '0'), 'hex');
  return fixed(concat(signature.subarray(0, 48), other), 96);
}

const RSA_BITS = [2048, 2049, 3071, 4096];

function signPss(key: KeyObject, saltLength: number, hash = 'sha384'): Uint8Array {
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  return new Uint8Array(sign(hash, MESSAGE, { key, padding, saltLength }));
}

const rsaKeys = RSA_BITS.map((modulusLength) => ({
  modulusLength,
  ...generateKeyPairSync('rsa', { modulusLength, publicExponent: 65_537 }),
}));

function modulusOf(key: KeyObject): Uint8Array {
  return fromBase64Url(key.export({ format: 'jwk' }).n ?? '');
}

for (const [name, side] of Object.entries(SIDES)) {
  test(`${name}: P-384 takes a signature and its negation, and nothing else`, async () => {
    const key = side.p384PublicKey(XY);
    assert.ok(key !== undefined);
    const signature = signP384(p384.privateKey);
    assert.ok(side.verifyP384(key, signature, MESSAGE));
    assert.ok(side.verifyP384(key, negated(signature), MESSAGE));
    assert.ok(await side.verifyP384Apart(key, signature, MESSAGE));
    assert.ok(!side.verifyP384(key, signature, utf8('other bytes')));
    assert.ok(!(await side.verifyP384Apart(key, signature, utf8('other bytes'))));
    const n = fixed(concat(Buffer.from(N384.toString(16), 'hex'), signature.subarray(48)), 96);
    for (const bad of [fixed(new Uint8Array(96), 96), n]) {
      assert.ok(!side.verifyP384(key, bad, MESSAGE));
      assert.ok(!(await side.verifyP384Apart(key, bad, MESSAGE)));
    }
  });

  test(`${name}: a point off the curve is not a P-384 key`, () => {
    assert.equal(side.p384PublicKey(fixed(new Uint8Array(96).fill(1), 96)), undefined);
    assert.equal(side.p384PublicKey(fixed(new Uint8Array(96), 96)), undefined);
  });

  for (const { modulusLength, publicKey, privateKey } of rsaKeys) {
    test(`${name}: RSASSA-PSS of ${modulusLength} bits with a salt of 48 bytes and nothing else`, () => {
      const key = side.rsaPublicKey(modulusOf(publicKey), 65_537);
      assert.ok(key !== undefined);
      const signature = signPss(privateKey, 48);
      assert.ok(side.verifyRsaPssSha384(key, signature, MESSAGE));
      assert.ok(!side.verifyRsaPssSha384(key, signature, utf8('other bytes')));
      for (const other of [
        signPss(privateKey, 32),
        signPss(privateKey, 0),
        signPss(privateKey, 48, 'sha256'),
        new Uint8Array(sign('sha384', MESSAGE, privateKey)),
        signature.subarray(1),
        concat(Uint8Array.of(0), signature),
        new Uint8Array(signature.length),
        modulusOf(publicKey),
        new Uint8Array(0),
      ]) {
        assert.ok(!side.verifyRsaPssSha384(key, other, MESSAGE));
      }
      for (const at of [0, 1, signature.length - 1]) {
        const changed = signature.slice();
        changed[at] = (changed[at] ?? 0) ^ 1;
        assert.ok(!side.verifyRsaPssSha384(key, changed, MESSAGE));
      }
    });
  }

  test(`${name}: RSA keys outside the bounds are not keys`, () => {
    const modulus = modulusOf(rsaKeys[0]?.publicKey ?? p384.publicKey);
    assert.ok(side.rsaPublicKey(modulus, 3) !== undefined);
    for (const exponent of [0, 1, 2, 65_536]) {
      assert.equal(side.rsaPublicKey(modulus, exponent), undefined, `exponent ${exponent}`);
    }
    assert.equal(side.rsaPublicKey(modulus.subarray(0, 255), 65_537), undefined);
    assert.equal(side.rsaPublicKey(concat(Uint8Array.of(0), modulus), 65_537), undefined);
    assert.equal(side.rsaPublicKey(new Uint8Array(1025).fill(0xff), 65_537), undefined);
  });
}
