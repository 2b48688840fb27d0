/**
 * Attack: a signature made without the private key, for keys with exponent 3 and verifiers that do not look at the whole
 * block. The cube root of a block with short padding is a signature as long as nobody minds what follows the digest.
 * Spec: RFC 8017 §8.2.2, §9.2; D. Bleichenbacher, rump session of CRYPTO 2006.
 * @module
 */

import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { concat, fromBase64Url, fromHex, toHex, utf8 } from '../../core/bytes.ts';
import * as native from '../../core/node/primitives.ts';
import * as portable from '../../core/primitives.ts';

const BITS = 2048;
const SIZE = BITS / 8;
const MESSAGE = utf8('a quote that no TPM has made');

const { publicKey, privateKey } = generateKeyPairSync('rsa', {
  modulusLength: BITS,
  publicExponent: 3,
});
const modulus = fromBase64Url(publicKey.export({ format: 'jwk' }).n ?? '');

/** The least integer whose cube is not below `value`. */
function cubeRoot(value: bigint): bigint {
  let [low, high] = [0n, 1n << BigInt(Math.ceil(BITS / 3))];
  while (low < high) {
    const middle = (low + high) / 2n;
    if (middle ** 3n < value) low = middle + 1n;
    else high = middle;
  }
  return low;
}

function toBytes(value: bigint): Uint8Array {
  return fromHex(value.toString(16).padStart(2 * SIZE, '0'));
}

/** As much of the right block as a careless verifier looks at, then whatever the cube has there. */
function forge(opening: Uint8Array): Uint8Array {
  const head = BigInt(`0x${toHex(opening)}`) << BigInt(8 * (SIZE - opening.length));
  const root = cubeRoot(head);
  const block = toBytes(root ** 3n);
  assert.deepEqual(block.subarray(0, opening.length), opening, 'the cube does not open that way');
  return toBytes(root);
}

const INFO = concat(fromHex('3031300d060960864801650304020105000420'), native.sha256(MESSAGE));
const OPENINGS = [0, 1, 8].map((padding) =>
  concat(Uint8Array.of(0, 1), new Uint8Array(padding).fill(0xff), Uint8Array.of(0), INFO),
);

for (const [name, side] of Object.entries({ node: native, noble: portable })) {
  test(`${name}: a cube root is not taken for a signature`, () => {
    const key = side.rsaPublicKey(modulus, 3);
    assert.ok(key !== undefined);
    const honest = new Uint8Array(sign('sha256', MESSAGE, privateKey));
    assert.ok(side.verifyRsaPkcs1Sha256(key, honest, MESSAGE));
    for (const opening of OPENINGS) {
      assert.ok(!side.verifyRsaPkcs1Sha256(key, forge(opening), MESSAGE));
    }
  });
}
