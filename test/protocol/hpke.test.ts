/** HPKE and its KEMs against published vectors and an independent implementation. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Aes256Gcm, CipherSuite, HkdfSha256 } from '@hpke/core';
import { DhkemX25519HkdfSha256 } from '@hpke/dhkem-x25519';
import { XWing } from '@hpke/hybridkem-x-wing';
import { ml_kem768 } from '@noble/post-quantum/ml-kem.js';
import { fixed, fromHex, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import type { KemName } from '../../attestation/verdict.ts';
import { sha256, x25519PublicKey } from '#primitives';
import { setupRecipient, setupSender } from '../../protocol/hpke.ts';
import {
  decapsulate,
  encapsulate,
  encBytesOf,
  generateHpkeKeyPair,
  hpkeKeyPairOf,
  SYSTEM_KEM_ENTROPY,
} from '../../protocol/kem.ts';

const hex32 = (text: string): Bytes<32> => fixed(fromHex(text), 32);

test('DHKEM(X25519, HKDF-SHA256): RFC 9180 A.1.1', () => {
  const secretKey = hex32('52c4a758a802cd8b936eceea314432798d5baf2d7e9235dc084ab1b9cfa2f736');
  const pair = hpkeKeyPairOf(
    'X25519',
    hex32('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'),
  );
  assert.equal(
    toHex(pair.publicKey),
    '3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d',
  );
  const { enc, sharedSecret } = encapsulate('X25519', pair.publicKey, {
    ...SYSTEM_KEM_ENTROPY,
    x25519: () => ({ secretKey, publicKey: x25519PublicKey(secretKey) }),
  });
  assert.equal(toHex(enc), '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431');
  const want = 'fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc';
  assert.equal(toHex(sharedSecret), want);
  assert.equal(toHex(decapsulate(enc, pair)), want);
});

/** draft-connolly-cfrg-xwing-kem, appendix C: seed, eseed, ss. */
const XWING_VECTORS = [
  [
    '7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26',
    '3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2',
    '35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2',
    'd2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384',
  ],
] as const;

for (const [seed, message, scalar, want] of XWING_VECTORS) {
  test(`X-Wing: vector of the draft with seed ${seed.slice(0, 8)}`, () => {
    const pair = hpkeKeyPairOf('X-Wing', hex32(seed));
    assert.match(toHex(pair.publicKey), /^e2236b35a8c24b39b10aa1323a96a919/);
    assert.match(toHex(sha256(pair.publicKey)), /^2e816deebcd76c5c80d0cd2d/);
    const secretKey = hex32(scalar);
    const { enc, sharedSecret } = encapsulate('X-Wing', pair.publicKey, {
      x25519: () => ({ secretKey, publicKey: x25519PublicKey(secretKey) }),
      mlKem768: (publicKey) => {
        const made = ml_kem768.encapsulate(publicKey, hex32(message));
        return {
          ciphertext: fixed(made.cipherText, 1088),
          sharedSecret: fixed(made.sharedSecret, 32),
        };
      },
    });
    assert.match(toHex(enc), /^b83aa828d4d62b9a83ceffe1d3d3bb1e/);
    assert.equal(toHex(sharedSecret), want);
    assert.equal(toHex(decapsulate(enc, pair)), want);
  });
}

const THEIRS = {
  X25519: () =>
    new CipherSuite({
      kem: new DhkemX25519HkdfSha256(),
      kdf: new HkdfSha256(),
      aead: new Aes256Gcm(),
    }),
  'X-Wing': () =>
    new CipherSuite({ kem: new XWing(), kdf: new HkdfSha256(), aead: new Aes256Gcm() }),
} satisfies Record<KemName, () => CipherSuite>;

/** Their types want a view of a plain ArrayBuffer. */
const theirs = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => new Uint8Array(bytes);

for (const kem of ['X25519', 'X-Wing'] as const) {
  const info = utf8('sx1 req and more');
  const aad = utf8('aad');
  const text = utf8('a content key');
  const label = utf8('sx1 res');

  test(`${kem}: what we seal, @hpke opens, and both export the same`, async () => {
    const suite = THEIRS[kem]();
    const rkp = await suite.kem.generateKeyPair();
    const publicKey = new Uint8Array(await suite.kem.serializePublicKey(rkp.publicKey));
    const { enc, context } = setupSender({ kem, publicKey }, info);
    const recipient = await suite.createRecipientContext({
      recipientKey: rkp.privateKey,
      enc: theirs(enc),
      info: theirs(info),
    });
    const sealed = context.seal(aad, text);
    assert.deepEqual(
      new Uint8Array(await recipient.open(theirs(sealed), theirs(aad))),
      new Uint8Array(text),
    );
    assert.deepEqual(
      new Uint8Array(await recipient.export(theirs(label), 32)),
      new Uint8Array(context.export(label)),
    );
  });

  test(`${kem}: what @hpke seals, we open, and both export the same`, async () => {
    const suite = THEIRS[kem]();
    const pair = generateHpkeKeyPair(kem);
    const sender = await suite.createSenderContext({
      recipientPublicKey: await suite.kem.deserializePublicKey(theirs(pair.publicKey)),
      info: theirs(info),
    });
    const sealed = new Uint8Array(await sender.seal(theirs(text), theirs(aad)));
    const context = setupRecipient(new Uint8Array(sender.enc), pair, info);
    assert.equal(toHex(context.open(aad, sealed) ?? new Uint8Array()), toHex(text));
    assert.deepEqual(
      new Uint8Array(await sender.export(theirs(label), 32)),
      new Uint8Array(context.export(label)),
    );
  });

  test(`${kem}: another info, another enc or another key opens nothing`, () => {
    const pair = generateHpkeKeyPair(kem);
    const { enc, context } = setupSender(pair, info);
    const sealed = context.seal(aad, text);
    const openWith = (bytes: Uint8Array, key: typeof pair, other: Uint8Array) =>
      setupRecipient(bytes, key, other).open(aad, sealed);
    assert.ok(openWith(enc, pair, info) !== undefined);
    assert.equal(openWith(enc, pair, utf8('other')), undefined);
    assert.equal(openWith(enc, generateHpkeKeyPair(kem), info), undefined);
    const changed = enc.slice();
    changed[0] = (changed[0] ?? 0) ^ 1;
    assert.equal(openWith(changed, pair, info), undefined);
    assert.equal(enc.length, encBytesOf(kem));
  });

  test(`${kem}: a context carries one message, keys have one size`, () => {
    const pair = generateHpkeKeyPair(kem);
    const { enc, context } = setupSender(pair, info);
    context.seal(aad, text);
    assert.throws(() => context.seal(aad, text), { code: 'internal.invariant' });
    const short = pair.publicKey.subarray(1);
    assert.throws(() => setupSender({ kem, publicKey: short }, info), { code: 'bytes.size' });
    assert.throws(() => setupRecipient(enc.subarray(1), pair, info), { code: 'bytes.size' });
  });
}

test('X-Wing: a public key that fails the modulus check is refused', () => {
  const publicKey = new Uint8Array(1216).fill(0xff);
  assert.throws(() => setupSender({ kem: 'X-Wing', publicKey }, utf8('x')), {
    code: 'primitive.kem',
  });
});
