/**
 * Payloads: one text per content, read strictly, decoded by a schema; and the fields that several documents share.
 * Reading proves nothing, verified.ts does. Spec: docs/publication.md §1; RFC 8785.
 * @module
 */

import { z } from 'zod';
import { fromUtf8, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import {
  canonicalJson,
  parseStrictJson,
  type Json,
  type StrictJsonOptions,
} from '../../core/json.ts';
import { describeIssues } from '../issues.ts';
import { publicationError } from './errors.ts';

/** Numbers of lists and releases, serials, versions: from one upwards, so that zero means "none yet". */
export const NUMBER = z.int().min(1);

export function digestText(digest: Bytes<32>): string {
  return `sha256:${toHex(digest)}`;
}

/** Throws `publication.malformed`, `publication.not_canonical`. */
export function readPayload(payload: Uint8Array, maxBytes: number): Json {
  const value = readJson(payload, { maxBytes, numbers: 'integers' });
  if (canonicalJson(value) !== fromUtf8(payload))
    throw publicationError('publication.not_canonical');
  return value;
}

export function encodePayload(value: Json): Uint8Array {
  return utf8(canonicalJson(value));
}

/** Strict JSON without a member that the schemas would pass over in silence. Throws `publication.malformed`. */
export function readJson(bytes: Uint8Array, options: StrictJsonOptions): Json {
  const value = strictJson(bytes, options);
  // Records of zod pass over a member of this name: signed, and judged by nobody.
  if (hasProtoMember(value)) throw publicationError('publication.malformed', '__proto__');
  return value;
}

function strictJson(bytes: Uint8Array, options: StrictJsonOptions): Json {
  try {
    return parseStrictJson(bytes, options).value;
  } catch (cause) {
    if (!(cause instanceof VeilError) || cause.code === 'internal.invariant') throw cause;
    throw publicationError('publication.malformed', cause.code, { cause });
  }
}

function hasProtoMember(value: Json): boolean {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(value).some(
    ([name, member]) => name === '__proto__' || hasProtoMember(member),
  );
}

/** Throws `publication.malformed` with paths and rules, never values. */
export function decodeWith<Schema extends z.ZodType>(
  schema: Schema,
  value: Json,
): z.output<Schema> {
  const decoded = schema.safeParse(value);
  if (decoded.success) return decoded.data;
  throw publicationError('publication.malformed', describeIssues(decoded.error));
}
