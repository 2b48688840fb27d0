/**
 * WebCrypto keys that sign certificates, lists and evidence of development and test hierarchies, and the forms in which
 * they are kept. Nothing here verifies.
 * Spec: RFC 8410 (Ed25519); RFC 5758 §3.2 (ECDSA); RFC 4055 §3.1 (RSASSA-PSS).
 * @module
 */

import { sha256, type KeyPair } from '#primitives';
import { concat, fixed, fromHex, type Bytes } from '../core/bytes.ts';
import { assert } from '../core/errors.ts';
import { derContext, derInteger, derNull, derOid, derSequence, derUnsigned } from './der-writer.ts';

const P256 = { name: 'ECDSA', namedCurve: 'P-256' } as const;
const P256_SHA256 = { name: 'ECDSA', hash: 'SHA-256' } as const;
const P384 = { name: 'ECDSA', namedCurve: 'P-384' } as const;
const P384_SHA384 = { name: 'ECDSA', hash: 'SHA-384' } as const;
const RSA_PSS = { name: 'RSA-PSS', hash: 'SHA-384' } as const;
const RSA_PUBLIC_EXPONENT = Uint8Array.of(1, 0, 1);
/** RFC 8410 §7: the private key around a 32-byte seed. */
const ED25519_PKCS8 = fromHex('302e020100300506032b657004220420');

export async function generateP256(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(P256, true, ['sign', 'verify']);
}

export async function generateP384(): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(P384, true, ['sign', 'verify']);
}

/** For RSASSA-PSS with SHA-384. 4096 bits take seconds of one core, off the event loop. */
export async function generateRsaPss(modulusLength: number): Promise<CryptoKeyPair> {
  return await crypto.subtle.generateKey(
    { ...RSA_PSS, modulusLength, publicExponent: RSA_PUBLIC_EXPONENT },
    true,
    ['sign', 'verify'],
  );
}

/** The WebCrypto form of an Ed25519 key pair of `#primitives`. */
export async function ed25519CryptoKeys(pair: KeyPair): Promise<CryptoKeyPair> {
  const pkcs8 = ownBuffer(concat(ED25519_PKCS8, pair.secretKey));
  return {
    privateKey: await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign']),
    publicKey: await crypto.subtle.importKey('raw', ownBuffer(pair.publicKey), 'Ed25519', true, [
      'verify',
    ]),
  };
}

/** PKCS#8 DER. */
export async function exportPrivateKey(key: CryptoKey): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.exportKey('pkcs8', key));
}

/** SubjectPublicKeyInfo DER. */
export async function exportPublicKey(key: CryptoKey): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.exportKey('spki', key));
}

/** A P-256 private key from PKCS#8 DER, with its public half. */
export async function importP256(pkcs8: Uint8Array): Promise<CryptoKeyPair> {
  return await importPair(pkcs8, P256);
}

/** A P-384 private key from PKCS#8 DER, with its public half. */
export async function importP384(pkcs8: Uint8Array): Promise<CryptoKeyPair> {
  return await importPair(pkcs8, P384);
}

/** An RSA private key from PKCS#8 DER, for RSASSA-PSS with SHA-384, with its public half. */
export async function importRsaPss(pkcs8: Uint8Array): Promise<CryptoKeyPair> {
  return await importPair(pkcs8, RSA_PSS);
}

async function importPair(
  pkcs8: Uint8Array,
  algorithm: typeof P256 | typeof P384 | typeof RSA_PSS,
): Promise<CryptoKeyPair> {
  const { subtle } = crypto;
  const privateKey = await subtle.importKey('pkcs8', ownBuffer(pkcs8), algorithm, true, ['sign']);
  const { kty, crv, x, y, n, e } = await subtle.exportKey('jwk', privateKey);
  assert(kty !== undefined, 'a key has a type');
  const members = { kty, crv, x, y, n, e };
  // What the other kind of key has is left out: WebCrypto refuses a member that is there and undefined.
  const publicHalf = Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== undefined),
  );
  const publicKey = await subtle.importKey('jwk', publicHalf, algorithm, true, ['verify']);
  return { privateKey, publicKey };
}

/** x ‖ y of a P-256 public key. */
export async function p256Coordinates(publicKey: CryptoKey): Promise<Bytes<64>> {
  const point = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey));
  return fixed(point.subarray(1), 64, 'P-256 point');
}

/** r ‖ s over SHA-256 of `data`. */
export async function signP256(privateKey: CryptoKey, data: Uint8Array): Promise<Bytes<64>> {
  const signature = await crypto.subtle.sign(P256_SHA256, privateKey, ownBuffer(data));
  return fixed(new Uint8Array(signature), 64, 'P-256 signature');
}

/** r ‖ s, big-endian, over SHA-384 of `data`. */
export async function signP384(privateKey: CryptoKey, data: Uint8Array): Promise<Bytes<96>> {
  const signature = await crypto.subtle.sign(P384_SHA384, privateKey, ownBuffer(data));
  return fixed(new Uint8Array(signature), 96, 'P-384 signature');
}

/** SHA-256 of the SubjectPublicKeyInfo: what statements and documents pin. */
export async function spkiSha256(publicKey: CryptoKey): Promise<Bytes<32>> {
  return sha256(await exportPublicKey(publicKey));
}

/** How an authority signs, and how certificates and lists name that. */
export interface SignatureScheme {
  /** AlgorithmIdentifier as DER. */
  readonly identifier: Uint8Array;
  /** What stands in the BIT STRING. */
  readonly sign: (privateKey: CryptoKey, data: Uint8Array) => Promise<Uint8Array>;
}

const ECDSA_P256_SHA256: SignatureScheme = {
  identifier: derSequence(derOid('1.2.840.10045.4.3.2')),
  sign: async (key, data) => derSignature(await signP256(key, data)),
};

const ECDSA_P384_SHA384: SignatureScheme = {
  identifier: derSequence(derOid('1.2.840.10045.4.3.3')),
  sign: async (key, data) => derSignature(await signP384(key, data)),
};

const ED25519: SignatureScheme = {
  identifier: derSequence(derOid('1.3.101.112')),
  sign: async (key, data) =>
    new Uint8Array(await crypto.subtle.sign('Ed25519', key, ownBuffer(data))),
};

const PSS_SALT_BYTES = 48;
const PSS_TRAILER = 1;

export interface PssOptions {
  readonly saltBytes?: number;
  /** Trailer field 1 is the default, which DER leaves out; AMD's older certificates write it. */
  readonly trailer?: 'written' | 'omitted';
}

/** RSASSA-PSS with SHA-384 and MGF1-SHA-384. */
export function pssSha384(options: PssOptions = {}): SignatureScheme {
  const saltLength = options.saltBytes ?? PSS_SALT_BYTES;
  const sha384 = derSequence(derOid('2.16.840.1.101.3.4.2.2'), derNull());
  const parameters = derSequence(
    derContext(0, sha384),
    derContext(1, derSequence(derOid('1.2.840.113549.1.1.8'), sha384)),
    derContext(2, derInteger(saltLength)),
    ...(options.trailer === 'written' ? [derContext(3, derInteger(PSS_TRAILER))] : []),
  );
  return {
    identifier: derSequence(derOid('1.2.840.113549.1.1.10'), parameters),
    sign: async (key, data) =>
      new Uint8Array(
        await crypto.subtle.sign({ name: 'RSA-PSS', saltLength }, key, ownBuffer(data)),
      ),
  };
}

/** What the key signs with unless it is told otherwise. */
export function defaultScheme(key: CryptoKey): SignatureScheme {
  const { algorithm } = key;
  if (algorithm.name === 'Ed25519') return ED25519;
  if (algorithm.name === 'RSA-PSS') return pssSha384();
  const curve = 'namedCurve' in algorithm ? algorithm.namedCurve : undefined;
  if (curve === 'P-256') return ECDSA_P256_SHA256;
  assert(curve === 'P-384', 'a key that can sign certificates');
  return ECDSA_P384_SHA384;
}

/** ECDSA-Sig-Value, RFC 3279 §2.2.3. */
function derSignature(raw: Uint8Array): Uint8Array {
  const half = raw.length / 2;
  return derSequence(derUnsigned(raw.subarray(0, half)), derUnsigned(raw.subarray(half)));
}

/** WebCrypto's types refuse views of shared memory; a copy never is one. */
function ownBuffer(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return new Uint8Array(bytes);
}
