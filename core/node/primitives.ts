/**
 * Cryptographic primitives on node:crypto (OpenSSL 3.5): the service side of `#primitives`. Same surface and
 * meaning as core/primitives.ts; a test runs the vectors through both.
 * @module
 */

import {
  type KeyObject,
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  randomFillSync,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';
import { fixed, fromHex, toBase64Url, type Bytes } from '../bytes.ts';
import {
  primitiveError,
  type AeadKey,
  type KeyPair,
  type P256PublicKey,
  type P384PublicKey,
  type RsaPublicKey,
} from '../primitive-types.ts';
import { isRsaKey } from '../rsa.ts';
import type { Sha256Stream } from '../primitives.ts';
import {
  keepSecretKey,
  plain,
  publicKeyObject,
  rawPublicKey,
  secretKeyObject,
} from './raw-keys.ts';

export type {
  AeadKey,
  KemResult,
  KeyPair,
  MlKemKeyPair,
  P256PublicKey,
  P384PublicKey,
  RsaPublicKey,
} from '../primitive-types.ts';
export type { Sha256Stream } from '../primitives.ts';
export { mlKem768Decapsulate, mlKem768Encapsulate, mlKem768KeyPair } from './ml-kem.ts';

export const PRIMITIVES = 'node';

function digest(algorithm: string, parts: readonly Uint8Array[]): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return plain(hash(algorithm, only, 'buffer'));
  const running = createHash(algorithm);
  for (const part of parts) running.update(part);
  return plain(running.digest());
}

export function sha256(...parts: readonly Uint8Array[]): Bytes<32> {
  return fixed(digest('sha256', parts), 32);
}

export function sha384(...parts: readonly Uint8Array[]): Bytes<48> {
  return fixed(digest('sha384', parts), 48);
}

export function sha512(...parts: readonly Uint8Array[]): Bytes<64> {
  return fixed(digest('sha512', parts), 64);
}

export function sha3v256(...parts: readonly Uint8Array[]): Bytes<32> {
  return fixed(digest('sha3-256', parts), 32);
}

export function shake256(input: Uint8Array, size: number): Uint8Array {
  return plain(createHash('shake256', { outputLength: size }).update(input).digest());
}

export function sha256Stream(): Sha256Stream {
  const running = createHash('sha256');
  return {
    update: (bytes) => void running.update(bytes),
    digest: () => fixed(plain(running.digest()), 32),
  };
}

export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Bytes<32> {
  // Bytes handed over as they are would be tried as a KeyObject and as a CryptoKey first, which costs two exceptions.
  const running = createHmac('sha256', createSecretKey(key));
  for (const part of parts) running.update(part);
  return fixed(plain(running.digest()), 32);
}

export function randomBytes<N extends number>(size: N): Bytes<N> {
  return fixed(randomFillSync(new Uint8Array(size)), size);
}

export function constantTimeEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

const P256_KEYS = new WeakMap<P256PublicKey, KeyObject>();

export function p256PublicKey(xy: Bytes<64>): P256PublicKey | undefined {
  try {
    const key = createPublicKey({
      format: 'jwk',
      key: {
        kty: 'EC',
        crv: 'P-256',
        x: toBase64Url(xy.subarray(0, 32)),
        y: toBase64Url(xy.subarray(32)),
      },
    });
    const handle: P256PublicKey = { kind: 'p256', xy };
    P256_KEYS.set(handle, key);
    return handle;
  } catch {
    // Not on the curve: an answer, not an accident.
    return undefined;
  }
}

export function verifyP256(key: P256PublicKey, signature: Bytes<64>, data: Uint8Array): boolean {
  const handle = P256_KEYS.get(key);
  if (handle === undefined) throw primitiveError('primitive.key', 'p256');
  return verify('sha256', data, { key: handle, dsaEncoding: 'ieee-p1363' }, signature);
}

const P384_KEYS = new WeakMap<P384PublicKey, KeyObject>();

export function p384PublicKey(xy: Bytes<96>): P384PublicKey | undefined {
  try {
    const key = createPublicKey({
      format: 'jwk',
      key: {
        kty: 'EC',
        crv: 'P-384',
        x: toBase64Url(xy.subarray(0, 48)),
        y: toBase64Url(xy.subarray(48)),
      },
    });
    const handle: P384PublicKey = { kind: 'p384', xy };
    P384_KEYS.set(handle, key);
    return handle;
  } catch {
    // Not on the curve: an answer, not an accident.
    return undefined;
  }
}

function p384Handle(key: P384PublicKey): KeyObject {
  const handle = P384_KEYS.get(key);
  if (handle === undefined) throw primitiveError('primitive.key', 'p384');
  return handle;
}

export function verifyP384(key: P384PublicKey, signature: Bytes<96>, data: Uint8Array): boolean {
  return verify('sha384', data, { key: p384Handle(key), dsaEncoding: 'ieee-p1363' }, signature);
}

/** In the thread pool of libuv: the caller's event loop goes on. */
export function verifyP384Apart(
  key: P384PublicKey,
  signature: Bytes<96>,
  data: Uint8Array,
): Promise<boolean> {
  const keyed = { key: p384Handle(key), dsaEncoding: 'ieee-p1363' } as const;
  return new Promise((resolve, reject) => {
    verify('sha384', data, keyed, signature, (error, holds) => {
      if (error === null) resolve(holds);
      else reject(error);
    });
  });
}

const RSA_KEYS = new WeakMap<RsaPublicKey, KeyObject>();

export function rsaPublicKey(modulus: Uint8Array, exponent: number): RsaPublicKey | undefined {
  if (!isRsaKey(modulus, exponent)) return undefined;
  const e = Buffer.alloc(4);
  e.writeUInt32BE(exponent);
  try {
    const key = createPublicKey({
      format: 'jwk',
      key: {
        kty: 'RSA',
        n: toBase64Url(modulus),
        e: toBase64Url(e.subarray(e.findIndex(Boolean))),
      },
    });
    const handle: RsaPublicKey = { kind: 'rsa', modulus: new Uint8Array(modulus) };
    RSA_KEYS.set(handle, key);
    return handle;
  } catch {
    // Not a key to OpenSSL: an answer, not an accident.
    return undefined;
  }
}

function rsaHandle(key: RsaPublicKey): KeyObject {
  const handle = RSA_KEYS.get(key);
  if (handle === undefined) throw primitiveError('primitive.key', 'rsa');
  return handle;
}

const PSS_SALT_BYTES = 48;

export function verifyRsaPssSha384(
  key: RsaPublicKey,
  signature: Uint8Array,
  data: Uint8Array,
): boolean {
  // OpenSSL takes a shorter one for the same number; RFC 8017 §8.1.2 (1) does not.
  if (signature.length !== key.modulus.length) return false;
  const padding = constants.RSA_PKCS1_PSS_PADDING;
  const keyed = { key: rsaHandle(key), padding, saltLength: PSS_SALT_BYTES };
  return verify('sha384', data, keyed, signature);
}

/** OpenSSL makes the block that the digest allows and compares all of it; a test holds it to that. */
export function verifyRsaPkcs1Sha256(
  key: RsaPublicKey,
  signature: Uint8Array,
  data: Uint8Array,
): boolean {
  if (signature.length !== key.modulus.length) return false;
  const keyed = { key: rsaHandle(key), padding: constants.RSA_PKCS1_PADDING };
  return verify('sha256', data, keyed, signature);
}

// DER around fixed-size keys. Spec: RFC 8410 §4 and §7.
const ED25519 = {
  pkcs8: fromHex('302e020100300506032b657004220420'),
  spki: fromHex('302a300506032b6570032100'),
};
const X25519 = {
  pkcs8: fromHex('302e020100300506032b656e04220420'),
  spki: fromHex('302a300506032b656e032100'),
};

function rawPair(pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }): KeyPair {
  // Spec: RFC 8037 §2. Both halves in one export of a tenth of the time that the two DER forms take.
  const { d = '', x = '' } = pair.privateKey.export({ format: 'jwk' });
  const secretKey = fixed(new Uint8Array(Buffer.from(d, 'base64url')), 32);
  keepSecretKey(secretKey, pair.privateKey);
  return { publicKey: fixed(new Uint8Array(Buffer.from(x, 'base64url')), 32), secretKey };
}

export function generateEd25519(): KeyPair {
  return rawPair(generateKeyPairSync('ed25519'));
}

export function ed25519PublicKey(seed: Bytes<32>): Bytes<32> {
  return fixed(rawPublicKey(createPublicKey(secretKeyObject(ED25519, seed)), 32), 32);
}

export function signEd25519(seed: Bytes<32>, data: Uint8Array): Bytes<64> {
  return fixed(plain(sign(null, data, secretKeyObject(ED25519, seed))), 64);
}

export function verifyEd25519(
  publicKey: Bytes<32>,
  signature: Bytes<64>,
  data: Uint8Array,
): boolean {
  return verify(null, data, publicKeyObject(ED25519, publicKey), signature);
}

export function generateX25519(): KeyPair {
  return rawPair(generateKeyPairSync('x25519'));
}

export function x25519PublicKey(secretKey: Bytes<32>): Bytes<32> {
  return fixed(rawPublicKey(createPublicKey(secretKeyObject(X25519, secretKey)), 32), 32);
}

export function x25519SharedSecret(secretKey: Bytes<32>, publicKey: Bytes<32>): Bytes<32> {
  try {
    const shared = diffieHellman({
      privateKey: secretKeyObject(X25519, secretKey),
      publicKey: publicKeyObject(X25519, publicKey),
    });
    return fixed(plain(shared), 32);
  } catch (cause) {
    throw primitiveError('primitive.dh', '', { cause });
  }
}

const AEAD_KEYS = new WeakMap<AeadKey, KeyObject>();

/** A raw key costs 16–20 µs per call, a KeyObject is made once per direction. */
export function aes256GcmKey(key: Bytes<32>): AeadKey {
  const handle: AeadKey = { kind: 'aes-256-gcm' };
  AEAD_KEYS.set(handle, createSecretKey(key));
  return handle;
}

const GCM_TAG_BYTES = 16;

export function sealAes256Gcm(
  key: AeadKey,
  nonce: Bytes<12>,
  aad: Uint8Array,
  plaintext: Uint8Array,
): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', aeadKeyObject(key), nonce);
  cipher.setAAD(aad);
  const out = new Uint8Array(plaintext.length + GCM_TAG_BYTES);
  out.set(cipher.update(plaintext), 0);
  cipher.final();
  out.set(cipher.getAuthTag(), plaintext.length);
  return out;
}

export function openAes256Gcm(
  key: AeadKey,
  nonce: Bytes<12>,
  aad: Uint8Array,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const size = sealed.length - GCM_TAG_BYTES;
  if (size < 0) return undefined;
  const decipher = createDecipheriv('aes-256-gcm', aeadKeyObject(key), nonce, {
    authTagLength: GCM_TAG_BYTES,
  });
  decipher.setAAD(aad);
  decipher.setAuthTag(sealed.subarray(size));
  const plaintext = plain(decipher.update(sealed.subarray(0, size)));
  try {
    decipher.final();
    return plaintext;
  } catch {
    // A wrong tag is an answer; the unauthenticated bytes are dropped here.
    plaintext.fill(0);
    return undefined;
  }
}

function aeadKeyObject(key: AeadKey): KeyObject {
  const handle = AEAD_KEYS.get(key);
  if (handle === undefined) throw primitiveError('primitive.key', 'aes-256-gcm');
  return handle;
}
