/**
 * Intel's signed JSON documents: an object and, beside it, a signature over its bytes as they stand in the body. The
 * object is cut out by its span, so what was verified and what is used are the same bytes.
 * Spec: Intel SGX and TDX PCS API v4, "Get TCB Info", "Get TD QE Identity".
 * @module
 */

import { fixed, fromHex, type Bytes } from '../../core/bytes.ts';
import { parseInstant } from '../../core/clock.ts';
import { parseStrictJson, type Json, type JsonObject } from '../../core/json.ts';
import { Signed } from '../pki/signature.ts';
import { tdxError } from './errors.ts';
import { ADVISORIES_MAX, ADVISORY_ID_MAX_CHARS, COLLATERAL_BODY_MAX_BYTES } from './limits.ts';

const JSON_DEPTH_MAX = 16;

export interface SignedBody {
  readonly inner: JsonObject;
  /** Undefined when the body's `signature` is not 64 bytes of hex. */
  readonly signed: Signed | undefined;
}

/**
 * Finds the object and its signature. Unknown members are ignored, repeated ones refused, at every level. Works on a
 * copy. Throws `json.*`, `bytes.utf8`, `tdx.collateral`.
 */
export function parseSignedBody(body: Uint8Array, member: string): SignedBody {
  const copy = new Uint8Array(body.subarray(0, COLLATERAL_BODY_MAX_BYTES + 1));
  const { value, spans } = parseStrictJson(copy, {
    maxBytes: COLLATERAL_BODY_MAX_BYTES,
    maxDepth: JSON_DEPTH_MAX,
    numbers: 'any',
  });
  const outer = asObject(value, 'body');
  const inner = asObject(outer[member], member);
  const span = spans.get(member);
  if (span === undefined) throw tdxError('tdx.collateral', `${member} has no span`);
  const signature = signatureOf(outer['signature']);
  if (signature === undefined) return { inner, signed: undefined };
  // Cut out, not viewed: what a cache keeps must not hold the unsigned rest of the body.
  return {
    inner,
    signed: new Signed(copy.slice(span[0], span[1]), signature, 'ecdsa-p256-sha256'),
  };
}

/** r‖s as 128 hex digits. */
function signatureOf(value: Json | undefined): Bytes<64> | undefined {
  if (typeof value !== 'string' || !/^[0-9a-fA-F]{128}$/.test(value)) return undefined;
  return fixed(fromHex(value), 64);
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

export function asObject(value: Json | undefined, what: string): JsonObject {
  if (value === undefined || value === null || typeof value !== 'object' || isList(value)) {
    throw tdxError('tdx.collateral', `${what} is not an object`);
  }
  return value;
}

export function readText(object: JsonObject, name: string, pattern: RegExp): string {
  const value = object[name];
  if (typeof value !== 'string' || !pattern.test(value)) {
    throw tdxError('tdx.collateral', `${name} is missing or not of its form`);
  }
  return value;
}

export function readInteger(object: JsonObject, name: string, max: number): number {
  const value = object[name];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
    throw tdxError('tdx.collateral', `${name} is missing or out of range`);
  }
  return value;
}

export function readHex<N extends number>(object: JsonObject, name: string, size: N): Bytes<N> {
  const text = readText(object, name, /^(?:[0-9a-fA-F]{2})+$/);
  if (text.length !== 2 * size) throw tdxError('tdx.collateral', `${name} has a wrong length`);
  return fixed(fromHex(text), size);
}

/** Unix ms. */
export function readInstant(object: JsonObject, name: string): number {
  const value = parseInstant(readText(object, name, /^[0-9TZ:.-]{20,30}$/));
  if (value === undefined) throw tdxError('tdx.collateral', `${name} is not an instant`);
  return value;
}

/** The day of an instant: 2025-11-12. */
export function readDay(object: JsonObject, name: string): string {
  readInstant(object, name);
  return readText(object, name, /^/).slice(0, 10);
}

export function readList(object: JsonObject, name: string, max: number): readonly Json[] {
  const value = object[name];
  if (value === undefined || !isList(value)) {
    throw tdxError('tdx.collateral', `${name} is missing or not a list`);
  }
  if (value.length > max) throw tdxError('tdx.collateral', `${name} is too long`);
  return value;
}

/** `advisoryIDs`, absent where a level has none. */
export function readAdvisories(level: JsonObject): readonly string[] {
  if (level['advisoryIDs'] === undefined) return [];
  return readList(level, 'advisoryIDs', ADVISORIES_MAX).map((id) => {
    if (typeof id !== 'string' || id === '' || id.length > ADVISORY_ID_MAX_CHARS) {
      throw tdxError('tdx.collateral', 'advisory id');
    }
    return id;
  });
}
