/**
 * RSA verification where the platform offers none that is synchronous: the browser side of `#primitives`.
 * Public values only, so nothing here has to hide how long it takes. A test runs it beside OpenSSL.
 * Spec: RFC 8017 §5.2.2 (RSAVP1), §8.2.2 and §9.2 (RSASSA-PKCS1-v1_5), §9.1.2 (EMSA-PSS-VERIFY), B.2.1 (MGF1).
 * @module
 */

import { concat, equalPublic, fromHex, toHex, u32be, type Bytes } from './bytes.ts';

const MODULUS_MIN_BYTES = 256;
const MODULUS_MAX_BYTES = 1024;
const EXPONENT_MIN = 3;
const EXPONENT_MAX = 0xffff_ffff;

/**
 * The keys that both sides of `#primitives` take: a big-endian modulus of 2048 to 8192 bits without leading zeros, and an
 * exponent of at least 3 and at most 32 bits, both odd. More would let whoever chose the key choose how long a
 * verification takes.
 */
export function isRsaKey(modulus: Uint8Array, exponent: number): boolean {
  const { length } = modulus;
  const [first = 0, last = 0] = [modulus[0], modulus.at(-1)];
  const isSized = length >= MODULUS_MIN_BYTES && length <= MODULUS_MAX_BYTES;
  const isWhole = length === MODULUS_MIN_BYTES ? first >= 0x80 : first > 0;
  const isModulus = isSized && isWhole && (last & 1) === 1;
  return isModulus && exponent >= EXPONENT_MIN && exponent <= EXPONENT_MAX && exponent % 2 === 1;
}

export interface RsaSignature {
  /** Big-endian, without leading zeros. */
  readonly modulus: Uint8Array;
  readonly exponent: number;
  readonly signature: Uint8Array;
}

/** The integer under the signature; undefined when the signature has another length or is no residue. */
function openedBy({ modulus, exponent, signature }: RsaSignature): bigint | undefined {
  if (signature.length !== modulus.length) return undefined;
  const n = toBigInt(modulus);
  const s = toBigInt(signature);
  return s >= n ? undefined : power(s, exponent, n);
}

/** DER of DigestInfo for SHA-256, up to the digest. RFC 8017 §9.2, note 1. */
const SHA256_DIGEST_INFO = fromHex('3031300d060960864801650304020105000420');
const PKCS1_OPENING = Uint8Array.of(0x00, 0x01);
const PKCS1_SEPARATOR = Uint8Array.of(0x00);

/**
 * Makes the one block that the digest allows and compares all of it. Taking a signed block apart instead is how forged
 * ones came to be accepted: with a small exponent, whatever a reader skips can be chosen so that a root exists.
 */
export function isPkcs1Sha256(signed: RsaSignature, digest: Bytes<32>): boolean {
  const opened = openedBy(signed);
  if (opened === undefined) return false;
  const info = concat(SHA256_DIGEST_INFO, digest);
  const size = signed.modulus.length;
  const filled = size - PKCS1_OPENING.length - PKCS1_SEPARATOR.length - info.length;
  const wanted = concat(PKCS1_OPENING, new Uint8Array(filled).fill(0xff), PKCS1_SEPARATOR, info);
  const encoded = fromBigInt(opened, size);
  return encoded !== undefined && equalPublic(encoded, wanted);
}

const HASH_BYTES = 48;
const SALT_BYTES = 48;
const TRAILER = 0xbc;

export interface PssInput extends RsaSignature {
  /** SHA-384 of the message. */
  readonly digest: Bytes<48>;
  readonly sha384: (...parts: readonly Uint8Array[]) => Bytes<48>;
}

/** SHA-384 throughout, salt of 48 bytes, trailer 0xbc. */
export function isPssSha384({ digest, sha384, ...signed }: PssInput): boolean {
  const { modulus } = signed;
  const opened = openedBy(signed);
  if (opened === undefined) return false;
  const modulusBits = modulus.length * 8 - Math.clz32(modulus[0] ?? 0) + 24;
  const encodedBits = modulusBits - 1;
  const encoded = fromBigInt(opened, Math.ceil(encodedBits / 8));
  if (encoded === undefined) return false;
  return isEncoded({ encoded, encodedBits, digest, sha384 });
}

function isEncoded({
  encoded,
  encodedBits,
  digest,
  sha384,
}: Pick<PssInput, 'digest' | 'sha384'> & {
  readonly encoded: Uint8Array;
  readonly encodedBits: number;
}): boolean {
  const maskedBytes = encoded.length - HASH_BYTES - 1;
  if (maskedBytes < SALT_BYTES + 1 || encoded.at(-1) !== TRAILER) return false;
  const masked = encoded.subarray(0, maskedBytes);
  const hash = encoded.subarray(maskedBytes, maskedBytes + HASH_BYTES);
  const unusedBits = 8 * encoded.length - encodedBits;
  const used = 0xff >> unusedBits;
  if (((masked[0] ?? 0) & ~used & 0xff) !== 0) return false;
  const mask = mgf1(hash, maskedBytes, sha384);
  const block = masked.map((byte, at) => byte ^ (mask[at] ?? 0));
  block[0] = (block[0] ?? 0) & used;
  const separatorAt = maskedBytes - SALT_BYTES - 1;
  if (block[separatorAt] !== 1) return false;
  if (block.subarray(0, separatorAt).some((byte) => byte !== 0)) return false;
  const salt = block.subarray(separatorAt + 1);
  return equalPublic(hash, sha384(new Uint8Array(8), digest, salt));
}

function mgf1(seed: Uint8Array, size: number, sha384: PssInput['sha384']): Uint8Array {
  const blocks = Math.ceil(size / HASH_BYTES);
  const out = concat(...Array.from({ length: blocks }, (_, i) => sha384(seed, u32be(i))));
  return out.subarray(0, size);
}

function power(base: bigint, exponent: number, modulus: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

function toBigInt(bytes: Uint8Array): bigint {
  return BigInt(`0x${toHex(bytes) || '0'}`);
}

/** Undefined when it does not fit. */
function fromBigInt(value: bigint, size: number): Uint8Array | undefined {
  const hex = value.toString(16).padStart(2 * size, '0');
  if (hex.length > 2 * size) return undefined;
  return Uint8Array.from({ length: size }, (_, i) =>
    Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16),
  );
}
