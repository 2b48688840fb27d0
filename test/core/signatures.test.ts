/**
 * P-384, RSASSA-PSS and RSASSA-PKCS1-v1_5 on both sides of `#primitives`, with keys and signatures that OpenSSL makes.
 * @module
 */

import assert from 'node:assert/strict';
import {
  constants,
  generateKeyPairSync,
  privateEncrypt,
  publicDecrypt,
  sign,
  type KeyObject,
} from 'node:crypto';
import { test } from 'node:test';
import { concat, fixed, fromBase64Url, fromHex, utf8, type Bytes } from '../../core/bytes.ts';
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

const strangerKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;

function toNumber(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`);
}

function modulusOf(key: KeyObject): Uint8Array {
  return fromBase64Url(key.export({ format: 'jwk' }).n ?? '');
}

const DIGEST = native.sha256(MESSAGE);
const DIGEST_INFO = concat(fromHex('3031300d060960864801650304020105000420'), DIGEST);

/** Exponentiates a whole block with the private key: what a signer would have to be talked into. */
function signBlock(key: KeyObject, block: Uint8Array): Uint8Array {
  return new Uint8Array(privateEncrypt({ key, padding: constants.RSA_NO_PADDING }, block));
}

/** `00 01 FF … FF 00`, then the tail; `filled` bytes of padding, or as many as fit. */
function blockOf(size: number, tail: Uint8Array, filled = size - 3 - tail.length): Uint8Array {
  const padding = new Uint8Array(filled).fill(0xff);
  return concat(Uint8Array.of(0, 1), padding, Uint8Array.of(0), tail);
}

/** Blocks that a reader could take for the right one when it looks at less than all of it. */
function almostBlocks(size: number): Readonly<Record<string, Uint8Array>> {
  const exact = blockOf(size, DIGEST_INFO);
  const changed = (at: number, value: number): Uint8Array => {
    const block = exact.slice();
    block[at] = value;
    return block;
  };
  const garbage = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(0x5a);
  const info = (hex: string): Uint8Array => concat(fromHex(hex), DIGEST);
  const short = size - 3 - 8 - DIGEST_INFO.length;
  return {
    'eight bytes of padding, garbage after the digest': blockOf(
      size,
      concat(DIGEST_INFO, garbage(short)),
      8,
    ),
    'no padding, garbage after the digest': blockOf(
      size,
      concat(DIGEST_INFO, garbage(short + 8)),
      0,
    ),
    'one byte after the digest': blockOf(size, concat(DIGEST_INFO, garbage(1))),
    'garbage before DigestInfo': blockOf(size, concat(garbage(4), DIGEST_INFO)),
    'garbage as hash parameters': blockOf(
      size,
      concat(fromHex('3039301506096086480165030402010408'), garbage(8), fromHex('0420'), DIGEST),
    ),
    'hash parameters absent': blockOf(size, info('302f300b06096086480165030402010420')),
    'a length in two octets': blockOf(size, info('308131300d060960864801650304020105000420')),
    'another hash in DigestInfo': blockOf(size, info('3031300d060960864801650304020305000420')),
    'the digest alone': blockOf(size, DIGEST),
    'another digest': blockOf(size, concat(DIGEST_INFO.subarray(0, -1), garbage(1))),
    'block type 0': changed(1, 0),
    'block type 2': changed(1, 2),
    'a first byte that is not zero': changed(0, 1),
    'a hole in the padding': changed(100, 0),
    'another byte in the padding': changed(100, 0xfe),
    'padding up to DigestInfo': changed(size - DIGEST_INFO.length - 1, 0xff),
    'nothing but DigestInfo': concat(new Uint8Array(size - DIGEST_INFO.length), DIGEST_INFO),
  };
}

/** A sound PSS block with the highest bit set that the modulus has. RFC 8017 §9.1.2 (6). */
function overfullPss(publicKey: KeyObject, privateKey: KeyObject): Uint8Array {
  const modulus = modulusOf(publicKey);
  const topBit = 0x80 >> Math.clz32((modulus[0] ?? 0) << 24);
  for (let attempt = 0; attempt < 1000; attempt++) {
    const padding = constants.RSA_NO_PADDING;
    const block = new Uint8Array(
      publicDecrypt({ key: publicKey, padding }, signPss(privateKey, 48)),
    );
    block[0] = (block[0] ?? 0) | topBit;
    if (toNumber(block) < toNumber(modulus)) return signBlock(privateKey, block);
  }
  throw new Error('no such block is below the modulus');
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
    test(`${name}: no bit above the encoded message of ${modulusLength} bits may be set`, () => {
      const key = side.rsaPublicKey(modulusOf(publicKey), 65_537);
      assert.ok(key !== undefined);
      assert.ok(!side.verifyRsaPssSha384(key, overfullPss(publicKey, privateKey), MESSAGE));
    });

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

  for (const { modulusLength, publicKey, privateKey } of rsaKeys) {
    test(`${name}: RSASSA-PKCS1-v1_5 of ${modulusLength} bits with SHA-256 and nothing else`, () => {
      const modulus = modulusOf(publicKey);
      const key = side.rsaPublicKey(modulus, 65_537);
      assert.ok(key !== undefined);
      const signature = new Uint8Array(sign('sha256', MESSAGE, privateKey));
      assert.deepEqual(signBlock(privateKey, blockOf(modulus.length, DIGEST_INFO)), signature);
      assert.ok(side.verifyRsaPkcs1Sha256(key, signature, MESSAGE));
      assert.ok(!side.verifyRsaPkcs1Sha256(key, signature, utf8('other bytes')));
      const others = {
        'another hash': new Uint8Array(sign('sha384', MESSAGE, privateKey)),
        'an old hash': new Uint8Array(sign('sha1', MESSAGE, privateKey)),
        'another padding': signPss(privateKey, 32, 'sha256'),
        'another key': new Uint8Array(sign('sha256', MESSAGE, strangerKey)),
        'the first byte missing': signature.subarray(1),
        'the last byte missing': signature.subarray(0, -1),
        'a zero in front': concat(Uint8Array.of(0), signature),
        'a zero behind': concat(signature, Uint8Array.of(0)),
        twice: concat(signature, signature),
        zero: new Uint8Array(modulus.length),
        'the modulus': modulus,
        nothing: new Uint8Array(0),
      };
      for (const [what, other] of Object.entries(others)) {
        assert.ok(!side.verifyRsaPkcs1Sha256(key, other, MESSAGE), what);
      }
      for (let at = 0; at < signature.length; at += 17) {
        const changed = signature.slice();
        changed[at] = (changed[at] ?? 0) ^ 1;
        assert.ok(!side.verifyRsaPkcs1Sha256(key, changed, MESSAGE), `byte ${at}`);
      }
    });

    test(`${name}: a block of ${modulusLength} bits is compared as a whole`, () => {
      const modulus = modulusOf(publicKey);
      const key = side.rsaPublicKey(modulus, 65_537);
      assert.ok(key !== undefined);
      for (const [what, block] of Object.entries(almostBlocks(modulus.length))) {
        assert.equal(block.length, modulus.length, what);
        if (toNumber(block) >= toNumber(modulus)) continue; // no signature opens to it
        const signature = signBlock(privateKey, block);
        assert.ok(!side.verifyRsaPkcs1Sha256(key, signature, MESSAGE), what);
      }
    });
  }

  test(`${name}: a signature plus the modulus is no second signature`, () => {
    const [rsa] = rsaKeys;
    assert.ok(rsa !== undefined);
    const modulus = modulusOf(rsa.publicKey);
    const key = side.rsaPublicKey(modulus, 65_537);
    assert.ok(key !== undefined);
    const most = 1n << BigInt(8 * modulus.length);
    for (let round = 0; round < 64; round++) {
      const message = utf8(`message ${round}`);
      const sum = toNumber(sign('sha256', message, rsa.privateKey)) + toNumber(modulus);
      if (sum >= most) continue;
      const hex = sum.toString(16).padStart(2 * modulus.length, '0');
      assert.ok(!side.verifyRsaPkcs1Sha256(key, fromHex(hex), message));
      return;
    }
    assert.fail('no signature leaves room for the modulus');
  });

  test(`${name}: a key that this side did not make is refused`, () => {
    const foreign = {
      kind: 'rsa',
      modulus: modulusOf(rsaKeys[0]?.publicKey ?? strangerKey),
    } as const;
    assert.throws(() => side.verifyRsaPkcs1Sha256(foreign, new Uint8Array(256), MESSAGE), {
      code: 'primitive.key',
    });
  });

  test(`${name}: RSA keys outside the bounds are not keys`, () => {
    const modulus = modulusOf(rsaKeys[0]?.publicKey ?? p384.publicKey);
    assert.ok(side.rsaPublicKey(modulus, 3) !== undefined);
    for (const exponent of [0, 1, 2, 65_536]) {
      assert.equal(side.rsaPublicKey(modulus, exponent), undefined, `exponent ${exponent}`);
    }
    for (const exponent of [
      2 ** 32 + 1,
      2 ** 33 + 1,
      2.5,
      -3,
      Number.NaN,
      Number.POSITIVE_INFINITY,
    ]) {
      assert.equal(side.rsaPublicKey(modulus, exponent), undefined, `exponent ${exponent}`);
    }
    assert.ok(side.rsaPublicKey(modulus, 0xffff_ffff) !== undefined);
    const bits2047 = concat(Uint8Array.of(0x7f), new Uint8Array(255).fill(0xff));
    assert.equal(side.rsaPublicKey(bits2047, 65_537), undefined);
    const even = concat(modulus.subarray(0, -1), Uint8Array.of(0xfe));
    assert.equal(side.rsaPublicKey(even, 65_537), undefined);
    assert.equal(side.rsaPublicKey(new Uint8Array(0), 65_537), undefined);
    assert.equal(side.rsaPublicKey(modulus.subarray(0, 255), 65_537), undefined);
    assert.equal(side.rsaPublicKey(concat(Uint8Array.of(0), modulus), 65_537), undefined);
    assert.equal(side.rsaPublicKey(new Uint8Array(1025).fill(0xff), 65_537), undefined);
  });
}
