/**
 * Attack: a signature that starts with a zero octet is sent without it. OpenSSL reads it as the same number, so a
 * certificate or list would have two forms, and one party would admit what another refuses. Spec: RFC 8017 §8.1.2 (1).
 * @module
 */

import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { concat, fromBase64Url, utf8 } from '../../core/bytes.ts';
import * as native from '../../core/node/primitives.ts';
import * as portable from '../../core/primitives.ts';

const MESSAGE = utf8('signed bytes');
/** Of a key made for this test with OpenSSL, and thrown away. */
const MODULUS = fromBase64Url(
  'rfKTvc4ElMKu4RXcEVT5y90jHs3aU2tnNkvUjVWQ72ixcVdNqUSV_a_xVmrVKD1hEMxuYvlDnCjBVlGA_IqUN1QmJGmRjW_7' +
    'dVPF1i3z-APwuNitxlhvgGplyE16tzgY6Eq1iayU1lNIogqKVNzVBVHMnspAW0dJEhU2n4s10PX2Z3aUXNrjOZ4rjyzXGsHK' +
    'fyeQLzmrK1aAqd2S49_DW6B_O8AHz6M5Oh6CxbJF8uO-_u2Pa_qd0HX3-XGhwF7CCxqJVelPMEXzFuwKm-2wcmRQ_B2pGpZF' +
    '6ibYZnwavbFeOK9P0wwPjbnyL5Caym5QqQo_kFGdqhlWPNXLoJ6THw',
);
const SIGNATURE = fromBase64Url(
  'APoy9QBgZqEcnjUS5LD4mCctifwrkWLT-RBYppUpgRgh6tkQMeSidRxOtTZhw1ft-fhbi36E1eaFHyE9DD96BRGYDRVlRvlf' +
    'FSLlVF59fnDB_C2xtU31ixAMtqkfGh51R1ca9bSDhY5py7EPAlj49j_RK404EQz42HHd4552VHriEuRaLXUXSfzput3Glrsf' +
    'v37ZN3IidL8cya5U14WRYg_1K6SrM67oSE-oA4De3csJsH0xFilkQ_VS9xCNQzYLYXke9Yu7SiOn5VYoJUjqj3cN-mLnFDZk' +
    'hICsEXewFVObkCXZBChRomWjyRnt_dEBrsC8IcWjlNxnnWLSFZ93yg',
);

for (const [name, side] of Object.entries({ node: native, noble: portable })) {
  test(`${name}: an RSA signature is as long as its modulus`, () => {
    const key = side.rsaPublicKey(MODULUS, 65_537);
    assert.ok(key !== undefined);
    assert.equal(SIGNATURE[0], 0);
    assert.ok(side.verifyRsaPssSha384(key, SIGNATURE, MESSAGE));
    assert.ok(!side.verifyRsaPssSha384(key, SIGNATURE.subarray(1), MESSAGE));
    assert.ok(!side.verifyRsaPssSha384(key, concat(Uint8Array.of(0), SIGNATURE), MESSAGE));
  });
}

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const { n = '' } = publicKey.export({ format: 'jwk' });

/** One signature in 256 starts with a zero. */
function startingWithZero(): { readonly message: Uint8Array; readonly signature: Uint8Array } {
  for (let at = 0; at < 10_000; at++) {
    const message = utf8(`message ${at}`);
    const signature = new Uint8Array(sign('sha256', message, privateKey));
    if (signature[0] === 0) return { message, signature };
  }
  throw new Error('no signature starts with a zero');
}

test('RSASSA-PKCS1-v1_5 signatures too are as long as their modulus', () => {
  const { message, signature } = startingWithZero();
  for (const side of [native, portable]) {
    const key = side.rsaPublicKey(fromBase64Url(n), 65_537);
    assert.ok(key !== undefined);
    assert.ok(side.verifyRsaPkcs1Sha256(key, signature, message));
    assert.ok(!side.verifyRsaPkcs1Sha256(key, signature.subarray(1), message));
    assert.ok(!side.verifyRsaPkcs1Sha256(key, concat(Uint8Array.of(0), signature), message));
  }
});
