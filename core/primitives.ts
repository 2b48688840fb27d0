/**
 * Cryptographic primitives for browsers and as a second opinion in tests: the noble libraries behind the same
 * synchronous surface as core/node/primitives.ts. Import as `#primitives`; package.json picks the side.
 * Signatures are raw r‖s, high-s valid (FIPS 186-5; Intel signs so); keys are opaque handles.
 * @module
 */

import { gcm } from '@noble/ciphers/aes.js';
import { ed25519, x25519 } from '@noble/curves/ed25519.js';
import { p256, p384 } from '@noble/curves/nist.js';
import { hmac } from '@noble/hashes/hmac.js';
import {
  sha256 as nobleSha256,
  sha384 as nobleSha384,
  sha512 as nobleSha512,
} from '@noble/hashes/sha2.js';
import { sha3_256 as nobleSha3, shake256 as nobleShake } from '@noble/hashes/sha3.js';
import { randomBytes as nobleRandom } from '@noble/hashes/utils.js';
import { concat, fixed, type Bytes } from './bytes.ts';
import {
  primitiveError,
  type AeadKey,
  type KeyPair,
  type P256PublicKey,
  type P384PublicKey,
  type RsaPublicKey,
} from './primitive-types.ts';
import { isPkcs1Sha256, isPssSha384, isRsaKey } from './rsa.ts';

export type {
  AeadKey,
  KemResult,
  KeyPair,
  MlKemKeyPair,
  P256PublicKey,
  P384PublicKey,
  RsaPublicKey,
} from './primitive-types.ts';

export { mlKem768Decapsulate, mlKem768Encapsulate, mlKem768KeyPair } from './ml-kem.ts';

export const PRIMITIVES = 'noble';

export function sha256(...parts: readonly Uint8Array[]): Bytes<32> {
  const hash = nobleSha256.create();
  for (const part of parts) hash.update(part);
  return fixed(hash.digest(), 32);
}

export function sha384(...parts: readonly Uint8Array[]): Bytes<48> {
  const hash = nobleSha384.create();
  for (const part of parts) hash.update(part);
  return fixed(hash.digest(), 48);
}

export function sha512(...parts: readonly Uint8Array[]): Bytes<64> {
  const hash = nobleSha512.create();
  for (const part of parts) hash.update(part);
  return fixed(hash.digest(), 64);
}

export function sha3v256(...parts: readonly Uint8Array[]): Bytes<32> {
  return fixed(nobleSha3(concat(...parts)), 32);
}

export function shake256(input: Uint8Array, size: number): Uint8Array {
  return nobleShake(input, { dkLen: size });
}

/** Running SHA-256 for streams. */
export interface Sha256Stream {
  update(bytes: Uint8Array): void;
  digest(): Bytes<32>;
}

export function sha256Stream(): Sha256Stream {
  const hash = nobleSha256.create();
  return { update: (bytes) => void hash.update(bytes), digest: () => fixed(hash.digest(), 32) };
}

export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Bytes<32> {
  return fixed(hmac(nobleSha256, key, concat(...parts)), 32);
}

export function randomBytes<N extends number>(size: N): Bytes<N> {
  return fixed(nobleRandom(size), size);
}

export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

const P256_KEYS = new WeakMap<P256PublicKey, Uint8Array>();

/** `xy` is the uncompressed point without its 04 prefix. Undefined when it is not a point of the curve. */
export function p256PublicKey(xy: Bytes<64>): P256PublicKey | undefined {
  const point = concat(Uint8Array.of(4), xy);
  try {
    p256.Point.fromBytes(point).assertValidity();
  } catch {
    // Not on the curve: an answer, not an accident.
    return undefined;
  }
  const key: P256PublicKey = { kind: 'p256', xy };
  P256_KEYS.set(key, point);
  return key;
}

/** ECDSA P-256 / SHA-256 over `data`; `signature` is r‖s. */
export function verifyP256(key: P256PublicKey, signature: Bytes<64>, data: Uint8Array): boolean {
  const point = P256_KEYS.get(key);
  if (point === undefined) throw primitiveError('primitive.key', 'p256');
  try {
    return p256.verify(signature, data, point, { lowS: false, prehash: true });
  } catch {
    // r or s out of range.
    return false;
  }
}

const P384_KEYS = new WeakMap<P384PublicKey, Uint8Array>();

/** As `p256PublicKey`. */
export function p384PublicKey(xy: Bytes<96>): P384PublicKey | undefined {
  const point = concat(Uint8Array.of(4), xy);
  try {
    p384.Point.fromBytes(point).assertValidity();
  } catch {
    // Not on the curve: an answer, not an accident.
    return undefined;
  }
  const key: P384PublicKey = { kind: 'p384', xy };
  P384_KEYS.set(key, point);
  return key;
}

/** ECDSA P-384 / SHA-384 over `data`; `signature` is r‖s. */
export function verifyP384(key: P384PublicKey, signature: Bytes<96>, data: Uint8Array): boolean {
  const point = P384_KEYS.get(key);
  if (point === undefined) throw primitiveError('primitive.key', 'p384');
  try {
    return p384.verify(signature, data, point, { lowS: false, prehash: true });
  } catch {
    // r or s out of range.
    return false;
  }
}

/** As `verifyP384`, away from the calling thread where the platform has such a way. */
export function verifyP384Apart(
  key: P384PublicKey,
  signature: Bytes<96>,
  data: Uint8Array,
): Promise<boolean> {
  return Promise.resolve(verifyP384(key, signature, data));
}

const RSA_EXPONENTS = new WeakMap<RsaPublicKey, number>();

/**
 * Big-endian modulus without leading zeros, 2048 to 8192 bits; odd exponent up to 32 bits. Undefined when it is not a
 * key that these bounds allow.
 */
export function rsaPublicKey(modulus: Uint8Array, exponent: number): RsaPublicKey | undefined {
  if (!isRsaKey(modulus, exponent)) return undefined;
  const key: RsaPublicKey = { kind: 'rsa', modulus: new Uint8Array(modulus) };
  RSA_EXPONENTS.set(key, exponent);
  return key;
}

function exponentOf(key: RsaPublicKey): number {
  const exponent = RSA_EXPONENTS.get(key);
  if (exponent === undefined) throw primitiveError('primitive.key', 'rsa');
  return exponent;
}

/** RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes. RFC 8017 §8.1.2. */
export function verifyRsaPssSha384(
  key: RsaPublicKey,
  signature: Uint8Array,
  data: Uint8Array,
): boolean {
  const signed = { modulus: key.modulus, exponent: exponentOf(key), signature };
  return isPssSha384({ ...signed, digest: sha384(data), sha384 });
}

/** RSASSA-PKCS1-v1_5 with SHA-256. RFC 8017 §8.2.2. */
export function verifyRsaPkcs1Sha256(
  key: RsaPublicKey,
  signature: Uint8Array,
  data: Uint8Array,
): boolean {
  const signed = { modulus: key.modulus, exponent: exponentOf(key), signature };
  return isPkcs1Sha256(signed, sha256(data));
}

const ED25519_POINT_BYTES = 32;

export function generateEd25519(): KeyPair {
  const secretKey = ed25519.utils.randomSecretKey();
  return { publicKey: fixed(ed25519.getPublicKey(secretKey), 32), secretKey: fixed(secretKey, 32) };
}

export function ed25519PublicKey(seed: Bytes<32>): Bytes<32> {
  return fixed(ed25519.getPublicKey(seed), 32);
}

export function signEd25519(seed: Bytes<32>, data: Uint8Array): Bytes<64> {
  return fixed(ed25519.sign(data, seed), 64);
}

export function verifyEd25519(
  publicKey: Bytes<32>,
  signature: Bytes<64>,
  data: Uint8Array,
): boolean {
  try {
    return (
      ed25519.verify(signature, data, publicKey, { zip215: false }) &&
      isTorsionFree(publicKey) &&
      isTorsionFree(signature.subarray(0, ED25519_POINT_BYTES))
    );
  } catch {
    // Not a point, or s out of range.
    return false;
  }
}

/** noble multiplies by the cofactor; OpenSSL and TVM do not, so what holds only after it would be a signature here alone. */
function isTorsionFree(point: Uint8Array): boolean {
  return ed25519.Point.fromBytes(point, false).isTorsionFree();
}

export function generateX25519(): KeyPair {
  const secretKey = x25519.utils.randomSecretKey();
  return { publicKey: fixed(x25519.getPublicKey(secretKey), 32), secretKey: fixed(secretKey, 32) };
}

export function x25519PublicKey(secretKey: Bytes<32>): Bytes<32> {
  return fixed(x25519.getPublicKey(secretKey), 32);
}

/** Throws `primitive.dh` when the result is all zero (small-order peer, RFC 7748 §6.1). */
export function x25519SharedSecret(secretKey: Bytes<32>, publicKey: Bytes<32>): Bytes<32> {
  try {
    return fixed(x25519.getSharedSecret(secretKey, publicKey), 32);
  } catch (cause) {
    throw primitiveError('primitive.dh', '', { cause });
  }
}

const AEAD_KEYS = new WeakMap<AeadKey, Uint8Array>();

export function aes256GcmKey(key: Bytes<32>): AeadKey {
  const handle: AeadKey = { kind: 'aes-256-gcm' };
  AEAD_KEYS.set(handle, new Uint8Array(key));
  return handle;
}

/** Ciphertext ‖ 16-byte tag. */
export function sealAes256Gcm(
  key: AeadKey,
  nonce: Bytes<12>,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  return gcm(rawKey(key), nonce, aad).encrypt(plaintext);
}

/** Undefined when the tag does not match. */
export function openAes256Gcm(
  key: AeadKey,
  nonce: Bytes<12>,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  if (sealed.length < 16) return undefined;
  try {
    return gcm(rawKey(key), nonce, aad).decrypt(sealed);
  } catch {
    // A wrong tag is an answer.
    return undefined;
  }
}

function rawKey(key: AeadKey): Uint8Array {
  const raw = AEAD_KEYS.get(key);
  if (raw === undefined) throw primitiveError('primitive.key', 'aes-256-gcm');
  return raw;
}
