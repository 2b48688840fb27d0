/**
 * The signature algorithms and public keys that evidence chains use, and bytes with a signature over them.
 * Spec: RFC 5758 §3.2 (ECDSA), RFC 4055 §3.1 (RSASSA-PSS), RFC 5480 §2 (EC keys), RFC 3279 §2.3.1 (RSA keys).
 * @module
 */

import {
  p256PublicKey,
  p384PublicKey,
  rsaPublicKey,
  sha256,
  verifyP256,
  verifyP384,
  verifyP384Apart,
  verifyRsaPssSha384,
  type P256PublicKey,
  type P384PublicKey,
  type RsaPublicKey,
} from '#primitives';
import { concat, equalPublic, fixed, fromHex, u32be } from '../../core/bytes.ts';
import { ExpiringCache } from '../../core/cache.ts';
import { DerReader, signatureToRaw, TAG } from '../der.ts';
import { pkiError } from './errors.ts';
import { CERTIFICATE_MAX_BYTES } from './limits.ts';

export type SignatureAlgorithm = 'ecdsa-p256-sha256' | 'ecdsa-p384-sha384' | 'rsa-pss-sha384';

/** AlgorithmIdentifier ecdsa-with-SHA256 without parameters. */
const ECDSA_WITH_SHA256 = fromHex('300a06082a8648ce3d040302');
/**
 * RSASSA-PSS with SHA-384, MGF1 with SHA-384 and a salt of 48 bytes; hash parameters NULL or absent, trailerField absent
 * or (as AMD's older certificates have it) written with its default. Content of the AlgorithmIdentifier.
 */
const RSA_PSS_OID = fromHex('06092a864886f70d01010a');
const SHA384_OIDS = [
  fromHex('300d06096086480165030402020500'),
  fromHex('300b0609608648016503040202'),
];
const MGF1_OID = '2a864886f70d010108';
const PSS_SALT_BYTES = 48;
const PSS_TRAILER_DEFAULT = 1;
const TAG_TRAILER = 0xa3;
const TAG_SALT = 0xa2;
const TAG_MGF = 0xa1;
const TAG_HASH = 0xa0;

/** Undefined for an algorithm that this product does not know; the reader stands behind it. Throws `der.*`. */
export function readSignatureAlgorithm(reader: DerReader): {
  readonly algorithm: SignatureAlgorithm | undefined;
  readonly raw: Uint8Array;
} {
  const { raw } = reader.element(TAG.sequence, 'signature algorithm');
  if (equalPublic(raw, ECDSA_WITH_SHA256)) return { algorithm: 'ecdsa-p256-sha256', raw };
  return { algorithm: isPssSha384(raw) ? 'rsa-pss-sha384' : undefined, raw };
}

/** Compares the meaning: two encodings of it are in use. Throws `der.*` for what is not DER. */
function isPssSha384(raw: Uint8Array): boolean {
  const document = DerReader.over(raw, CERTIFICATE_MAX_BYTES);
  const identifier = document.sequence('signature algorithm');
  const oid = identifier.any('signature algorithm id');
  if (!equalPublic(oid.raw, RSA_PSS_OID) || identifier.done) return false;
  const parameters = identifier.sequence('PSS parameters');
  identifier.end('signature algorithm');
  const wanted = [TAG_HASH, TAG_MGF, TAG_SALT];
  if (!wanted.slice(0, 1).every((tag) => parameters.nextIs(tag))) return false;
  const hash = parameters.enter(TAG_HASH, 'PSS hash');
  if (!isSha384(hash.any('PSS hash').raw)) return false;
  hash.end('PSS hash');
  if (!parameters.nextIs(TAG_MGF)) return false;
  const mgf = parameters.enter(TAG_MGF, 'PSS mask');
  const mask = mgf.sequence('PSS mask');
  mgf.end('PSS mask');
  if (mask.oid('PSS mask id') !== MGF1_OID || !isSha384(mask.any('PSS mask hash').raw))
    return false;
  mask.end('PSS mask');
  if (!parameters.nextIs(TAG_SALT)) return false;
  const salt = parameters.enter(TAG_SALT, 'PSS salt');
  if (salt.small(0xffff, 'PSS salt') !== PSS_SALT_BYTES) return false;
  salt.end('PSS salt');
  if (parameters.nextIs(TAG_TRAILER)) {
    const trailer = parameters.enter(TAG_TRAILER, 'PSS trailer');
    if (trailer.small(0xffff, 'PSS trailer') !== PSS_TRAILER_DEFAULT) return false;
    trailer.end('PSS trailer');
  }
  parameters.end('PSS parameters');
  return true;
}

function isSha384(raw: Uint8Array): boolean {
  return SHA384_OIDS.some((known) => equalPublic(known, raw));
}

type VerifyKey = P256PublicKey | P384PublicKey | RsaPublicKey;

/** SubjectPublicKeyInfo of an uncompressed point, up to x. */
const P256_PREFIX = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004');
const P384_PREFIX = fromHex('3076301006072a8648ce3d020106052b8104002203620004');
/** AlgorithmIdentifier rsaEncryption with NULL. */
const RSA_ENCRYPTION = fromHex('300d06092a864886f70d0101010500');
const RSA_EXPONENT_MAX = 0xffff_ffff;

type KeyKind = 'p256' | 'p384' | 'rsa';
const KEY_KIND_NUMBERS = { p256: 1, p384: 2, rsa: 3 } as const satisfies Record<KeyKind, number>;

/**
 * A public key as it stands in a document; made into a usable key when first used, which costs as much as a signature.
 */
export class LazyPublicKey {
  readonly kind: KeyKind;
  /** The point x‖y, or the modulus: what tells two keys of one kind apart, together with the exponent. */
  readonly raw: Uint8Array;
  readonly #exponent: number;
  #key: { readonly value: VerifyKey | undefined } | undefined;

  private constructor(kind: KeyKind, raw: Uint8Array, exponent: number) {
    this.kind = kind;
    this.raw = raw;
    this.#exponent = exponent;
  }

  /** 64 bytes x‖y. */
  static p256(xy: Uint8Array): LazyPublicKey {
    return new LazyPublicKey('p256', fixed(xy, 64), 0);
  }

  /** 96 bytes x‖y. */
  static p384(xy: Uint8Array): LazyPublicKey {
    return new LazyPublicKey('p384', fixed(xy, 96), 0);
  }

  static rsa(modulus: Uint8Array, exponent: number): LazyPublicKey {
    return new LazyPublicKey('rsa', modulus, exponent);
  }

  /** Undefined when the bytes are not a point of the curve, or not a key of an allowed size. */
  get(): VerifyKey | undefined {
    this.#key ??= { value: this.#make() };
    return this.#key.value;
  }

  #make(): VerifyKey | undefined {
    if (this.kind === 'p256') return p256PublicKey(fixed(this.raw, 64));
    if (this.kind === 'p384') return p384PublicKey(fixed(this.raw, 96));
    return rsaPublicKey(this.raw, this.#exponent);
  }

  equals(other: LazyPublicKey): boolean {
    if (this === other) return true;
    return (
      this.kind === other.kind &&
      this.#exponent === other.#exponent &&
      equalPublic(this.raw, other.raw)
    );
  }

  /** Everything that the key is, for hashing. */
  identity(): Uint8Array {
    const kind = Uint8Array.of(KEY_KIND_NUMBERS[this.kind]);
    return concat(kind, u32be(this.raw.length), u32be(this.#exponent), this.raw);
  }
}

/** Undefined for a kind of key that this product does not know. Throws `der.*`, `pki.certificate`. */
export function readPublicKey(reader: DerReader): LazyPublicKey | undefined {
  const { raw } = reader.element(TAG.sequence, 'subjectPublicKeyInfo');
  const p256 = pointOf(raw, P256_PREFIX, 64);
  if (p256 !== undefined) return LazyPublicKey.p256(p256);
  const p384 = pointOf(raw, P384_PREFIX, 96);
  if (p384 !== undefined) return LazyPublicKey.p384(p384);
  const document = DerReader.over(raw, CERTIFICATE_MAX_BYTES).sequence('subjectPublicKeyInfo');
  const algorithm = document.element(TAG.sequence, 'key algorithm');
  if (!equalPublic(algorithm.raw, RSA_ENCRYPTION)) return undefined;
  const bits = document.wholeBits('RSA key');
  document.end('subjectPublicKeyInfo');
  const outer = DerReader.over(bits, CERTIFICATE_MAX_BYTES);
  const key = outer.sequence('RSA key');
  outer.end('RSA key');
  const modulus = key.unsigned('RSA modulus');
  const exponent = key.small(RSA_EXPONENT_MAX, 'RSA exponent');
  key.end('RSA key');
  return LazyPublicKey.rsa(modulus, exponent);
}

function pointOf(spki: Uint8Array, prefix: Uint8Array, size: number): Uint8Array | undefined {
  if (spki.length !== prefix.length + size) return undefined;
  if (!equalPublic(spki.subarray(0, prefix.length), prefix)) return undefined;
  return spki.subarray(prefix.length);
}

const MEMO_ENTRIES_MAX = 16_384;
const FOREVER = Number.POSITIVE_INFINITY;

/**
 * Which signatures were verified, and with what result, by the digest of algorithm, key, signature and bytes. That a
 * signature fits or does not fit never changes, so a remembered answer is the answer; it saves time and decides nothing
 * else.
 */
export class SignatureMemo {
  readonly #answers = new ExpiringCache<boolean>(MEMO_ENTRIES_MAX);

  get(key: string): boolean | undefined {
    return this.#answers.get(key, 0);
  }

  set(key: string, holds: boolean): void {
    this.#answers.set(key, holds, FOREVER);
  }
}

/**
 * Bytes with a signature over them. It remembers the key under which the signature has verified, so that a cached
 * document costs no second verification. That a signature fits bytes and key never changes with time.
 */
export class Signed {
  readonly bytes: Uint8Array;
  readonly signature: Uint8Array;
  readonly algorithm: SignatureAlgorithm;
  #verifiedBy: LazyPublicKey | undefined;

  /** ECDSA signatures are r‖s of 64 or 96 bytes. */
  constructor(bytes: Uint8Array, signature: Uint8Array, algorithm: SignatureAlgorithm) {
    this.bytes = bytes;
    this.signature = signature;
    this.algorithm = algorithm;
  }

  isSignedBy(key: LazyPublicKey | undefined, memo?: SignatureMemo): boolean {
    if (key === undefined) return false;
    if (this.#verifiedBy?.equals(key) === true) return true;
    const known = memo?.get(this.#memoKey(key));
    if (known === false) return false;
    if (known === undefined && !this.#verify(key)) return false;
    this.#verifiedBy = key;
    return true;
  }

  #verify(lazy: LazyPublicKey): boolean {
    const key = lazy.get();
    const { algorithm, signature, bytes } = this;
    if (key?.kind === 'p256' && algorithm === 'ecdsa-p256-sha256') {
      return verifyP256(key, fixed(signature, 64), bytes);
    }
    if (key?.kind === 'p384' && algorithm === 'ecdsa-p384-sha384') {
      return verifyP384(key, fixed(signature, 96), bytes);
    }
    if (key?.kind === 'rsa' && algorithm === 'rsa-pss-sha384') {
      return verifyRsaPssSha384(key, signature, bytes);
    }
    return false;
  }

  /** Verifies away from the calling thread and leaves the answer in `memo`. P-384 only; the others cost little. */
  async verifyApart(lazy: LazyPublicKey, memo: SignatureMemo): Promise<void> {
    const key = lazy.get();
    if (key?.kind !== 'p384' || this.algorithm !== 'ecdsa-p384-sha384') return;
    const memoKey = this.#memoKey(lazy);
    if (memo.get(memoKey) !== undefined) return;
    memo.set(memoKey, await verifyP384Apart(key, fixed(this.signature, 96), this.bytes));
  }

  #memoKey(key: LazyPublicKey): string {
    const { algorithm, signature, bytes } = this;
    const header = concat(
      Uint8Array.of(ALGORITHM_NUMBERS[algorithm]),
      u32be(signature.length),
      u32be(bytes.length),
    );
    return String.fromCharCode(...sha256(header, key.identity(), signature, bytes));
  }
}

const ALGORITHM_NUMBERS = {
  'ecdsa-p256-sha256': 1,
  'ecdsa-p384-sha384': 2,
  'rsa-pss-sha384': 3,
} as const satisfies Readonly<Record<SignatureAlgorithm, number>>;

/** The signature of a certificate or list in the form `Signed` takes. Throws `der.*`, `pki.signature`. */
export function readSignatureValue(reader: DerReader, algorithm: SignatureAlgorithm): Uint8Array {
  const value = reader.wholeBits('signature');
  if (algorithm === 'rsa-pss-sha384') return value;
  if (algorithm === 'ecdsa-p256-sha256') return signatureToRaw(value);
  throw pkiError('pki.signature', `no certificate is signed with ${algorithm}`);
}
