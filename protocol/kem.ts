/**
 * The two key encapsulations of SX/1 behind one interface: DHKEM(X25519, HKDF-SHA256) and X-Wing (ML-KEM-768 + X25519).
 * Spec: RFC 9180 §4.1, §7.1; draft-connolly-cfrg-xwing-kem §5; P§5.1.
 * @module
 */

import { ascii, concat, fixed, fromHex, u16be, type Bytes } from '../core/bytes.ts';
import { assert } from '../core/errors.ts';
import { KEM_IDS, type KemName } from '../attestation/verdict.ts';
import {
  generateX25519,
  hmacSha256,
  mlKem768Decapsulate,
  mlKem768Encapsulate,
  mlKem768KeyPair,
  randomBytes,
  sha3v256,
  shake256,
  x25519PublicKey,
  x25519SharedSecret,
  type KemResult,
  type KeyPair,
  type MlKemKeyPair,
} from '#primitives';

/** A recipient's key pair. The secret half stays in this file. */
export interface HpkeKeyPair {
  readonly kem: KemName;
  /** X-Wing 1216 bytes, X25519 32 bytes. */
  readonly publicKey: Uint8Array;
}

export interface Encapsulation {
  readonly enc: Uint8Array;
  readonly sharedSecret: Bytes<32>;
}

/** What an encapsulation draws from chance. Only the vector generator brings its own. */
export interface KemEntropy {
  readonly x25519: () => KeyPair;
  readonly mlKem768: (publicKey: Bytes<1184>) => KemResult<1088>;
}

export const SYSTEM_KEM_ENTROPY: KemEntropy = {
  x25519: generateX25519,
  mlKem768: mlKem768Encapsulate,
};

interface Kem {
  readonly publicKeyBytes: number;
  readonly encBytes: number;
  readonly keyPair: (secret: Bytes<32>) => HpkeKeyPair;
  readonly encapsulate: (publicKey: Uint8Array, entropy: KemEntropy) => Encapsulation;
  readonly decapsulate: (enc: Uint8Array, pair: HpkeKeyPair) => Bytes<32>;
}

const ONE = Uint8Array.of(1);

// DHKEM(X25519, HKDF-SHA256): RFC 9180 §4.1 with the labels of §4.
const DH_SUITE = concat(ascii('KEM'), u16be(KEM_IDS.X25519));
const DH_EXTRACT = concat(ascii('HPKE-v1'), DH_SUITE, ascii('eae_prk'));
const DH_EXPAND = concat(u16be(32), ascii('HPKE-v1'), DH_SUITE, ascii('shared_secret'));
const NO_SALT = new Uint8Array();

const X25519_SECRETS = new WeakMap<HpkeKeyPair, KeyPair>();

function dhSharedSecret(dh: Bytes<32>, enc: Uint8Array, publicKey: Uint8Array): Bytes<32> {
  const prk = hmacSha256(NO_SALT, DH_EXTRACT, dh);
  return hmacSha256(prk, DH_EXPAND, enc, publicKey, ONE);
}

const X25519_KEM: Kem = {
  publicKeyBytes: 32,
  encBytes: 32,
  keyPair(secret) {
    const publicKey = x25519PublicKey(secret);
    const pair: HpkeKeyPair = { kem: 'X25519', publicKey };
    X25519_SECRETS.set(pair, { publicKey, secretKey: secret });
    return pair;
  },
  encapsulate(publicKey, entropy) {
    const ephemeral = entropy.x25519();
    const dh = x25519SharedSecret(ephemeral.secretKey, fixed(publicKey, 32, 'X25519 key'));
    const enc = ephemeral.publicKey;
    return { enc, sharedSecret: dhSharedSecret(dh, enc, publicKey) };
  },
  decapsulate(enc, pair) {
    const secret = X25519_SECRETS.get(pair);
    assert(secret !== undefined, 'an X25519 pair of this module');
    const dh = x25519SharedSecret(secret.secretKey, fixed(enc, 32, 'enc'));
    return dhSharedSecret(dh, enc, pair.publicKey);
  },
};

const ML_KEM_PUBLIC_BYTES = 1184;
const ML_KEM_CIPHERTEXT_BYTES = 1088;
/** \.//^\ : the domain separator that closes the X-Wing combiner. */
const XWING_LABEL = fromHex('5c2e2f2f5e5c');

interface XWingSecret {
  readonly mlKem: MlKemKeyPair;
  readonly x25519: KeyPair;
}
const XWING_SECRETS = new WeakMap<HpkeKeyPair, XWingSecret>();

const XWING_KEM: Kem = {
  publicKeyBytes: 1216,
  encBytes: 1120,
  keyPair(seed) {
    // Expansion of the 32-byte seed: d ‖ z of ML-KEM, then the X25519 scalar.
    const expanded = shake256(seed, 96);
    const mlKem = mlKem768KeyPair(fixed(expanded.slice(0, 64), 64));
    const secretKey = fixed(expanded.slice(64), 32);
    const x25519 = { secretKey, publicKey: x25519PublicKey(secretKey) };
    const pair: HpkeKeyPair = {
      kem: 'X-Wing',
      publicKey: concat(mlKem.publicKey, x25519.publicKey),
    };
    XWING_SECRETS.set(pair, { mlKem, x25519 });
    return pair;
  },
  encapsulate(publicKey, entropy) {
    const ours = fixed(publicKey, 1216, 'X-Wing key');
    const theirX = fixed(ours.subarray(ML_KEM_PUBLIC_BYTES), 32);
    const kem = entropy.mlKem768(fixed(ours.subarray(0, ML_KEM_PUBLIC_BYTES), 1184));
    const ephemeral = entropy.x25519();
    const dh = x25519SharedSecret(ephemeral.secretKey, theirX);
    return {
      enc: concat(kem.ciphertext, ephemeral.publicKey),
      sharedSecret: sha3v256(kem.sharedSecret, dh, ephemeral.publicKey, theirX, XWING_LABEL),
    };
  },
  decapsulate(enc, pair) {
    const secret = XWING_SECRETS.get(pair);
    assert(secret !== undefined, 'an X-Wing pair of this module');
    const ciphertext = fixed(enc.subarray(0, ML_KEM_CIPHERTEXT_BYTES), 1088, 'enc');
    const theirX = fixed(enc.subarray(ML_KEM_CIPHERTEXT_BYTES), 32, 'enc');
    const kemSecret = mlKem768Decapsulate(secret.mlKem, ciphertext);
    const dh = x25519SharedSecret(secret.x25519.secretKey, theirX);
    return sha3v256(kemSecret, dh, theirX, secret.x25519.publicKey, XWING_LABEL);
  },
};

const KEMS: Readonly<Record<KemName, Kem>> = { 'X-Wing': XWING_KEM, X25519: X25519_KEM };

export function encBytesOf(kem: KemName): number {
  return KEMS[kem].encBytes;
}

/** Throws `bytes.size`, `primitive.kem` (a key that is no ML-KEM key) or `primitive.dh` (a small-order point). */
export function encapsulate(
  kem: KemName,
  publicKey: Uint8Array,
  entropy: KemEntropy,
): Encapsulation {
  return KEMS[kem].encapsulate(publicKey, entropy);
}

export function decapsulate(enc: Uint8Array, pair: HpkeKeyPair): Bytes<32> {
  return KEMS[pair.kem].decapsulate(enc, pair);
}

export function generateHpkeKeyPair(kem: KemName): HpkeKeyPair {
  return KEMS[kem].keyPair(randomBytes(32));
}

/** From the 32 secret bytes: an X25519 scalar, or the X-Wing seed. For vectors; a worker generates. */
export function hpkeKeyPairOf(kem: KemName, secret: Bytes<32>): HpkeKeyPair {
  return KEMS[kem].keyPair(secret);
}
