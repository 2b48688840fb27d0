/**
 * Raw keys of fixed size as the KeyObjects that node:crypto wants: DER around them, and what was parsed is kept.
 * Spec: RFC 8410 §4 and §7 (Ed25519, X25519); RFC 9935 §4 and §6 (ML-KEM, seed form).
 * @module
 */

import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { concat } from '../bytes.ts';
import { ExpiringCache } from '../cache.ts';

/** Hands out plain Uint8Array views: no Buffer leaves core/node. */
export function plain(buffer: Uint8Array): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

const PARSED_KEYS_MAX = 4096;
const FOREVER = Number.POSITIVE_INFINITY;
const PARSED_PUBLIC_KEYS = new ExpiringCache<KeyObject>(PARSED_KEYS_MAX);
/** Keyed by the secret's own byte string, so the parsed key dies with it. */
const PARSED_SECRET_KEYS = new WeakMap<Uint8Array, KeyObject>();

/** Parsing an SPKI costs 30–130 µs, so public keys that were seen are kept, bounded. */
export function publicKeyObject(form: { readonly spki: Uint8Array }, raw: Uint8Array): KeyObject {
  const der = concat(form.spki, raw);
  const id = Buffer.from(der).toString('latin1');
  const known = PARSED_PUBLIC_KEYS.get(id, 0);
  if (known !== undefined) return known;
  const key = createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
  PARSED_PUBLIC_KEYS.set(id, key, FOREVER);
  return key;
}

export function secretKeyObject(form: { readonly pkcs8: Uint8Array }, raw: Uint8Array): KeyObject {
  const known = PARSED_SECRET_KEYS.get(raw);
  if (known !== undefined) return known;
  const der = Buffer.from(concat(form.pkcs8, raw));
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  der.fill(0);
  PARSED_SECRET_KEYS.set(raw, key);
  return key;
}

export function rawPublicKey(key: KeyObject, size: number): Uint8Array {
  const der = plain(key.export({ format: 'der', type: 'spki' }));
  return der.slice(der.length - size);
}

/** For a key that was just made: its bytes need not be parsed. */
export function keepSecretKey(raw: Uint8Array, key: KeyObject): void {
  PARSED_SECRET_KEYS.set(raw, key);
}
