/**
 * The list of what is not trusted any more. It can only take away; what gives back needs those who may give.
 * Spec: docs/publication.md §2 "Revocations".
 * @module
 */

import { z } from 'zod';
import { formatInstant } from '../../core/clock.ts';
import type { Json } from '../../core/json.ts';
import { INSTANT, NAME } from '../policy/fields.ts';
import {
  REVOCATION_KINDS,
  type Revocable,
  type RevocationEntry,
  type RevocationKind,
} from '../policy/revocations.ts';
import { BY_MAX_CHARS, ENTRIES_MAX, REASON_MAX_CHARS } from './limits.ts';
import { decodeWith, encodePayload, NUMBER } from './payload.ts';
import type { DocumentFormat } from './verified.ts';

export const REVOCATIONS_FORMAT = 'veilgate.revocations/1';
const VALUE_MAX_CHARS = 128;

const POLICY_NAME = /^[a-z0-9][a-z0-9._-]*$/;
const WORD = /^[\x21-\x7e]+$/;

/** One text per thing: a value in another form would be looked up and not found. */
const VALUE_FORM: Readonly<Record<RevocationKind, RegExp>> = {
  image: POLICY_NAME,
  rule: POLICY_NAME,
  advisory: /^[A-Z0-9][A-Z0-9-]{2,63}$/,
  measurement: /^[0-9a-f]{96}$/,
  cpu: /^(?:[0-9a-f]{32}|[0-9a-f]{128})$/,
  key: /^[0-9a-f]{64}$/,
  kid: /^[0-9a-f]{32}$/,
  policy: /^sha256:[0-9a-f]{64}$/,
  ueid: WORD,
  driver: WORD,
  vbios: WORD,
  rim: WORD,
};

export interface DatedRevocation extends RevocationEntry {
  readonly atMs: number;
}

export interface RevocationList {
  readonly policy: string;
  readonly number: number;
  readonly issuedMs: number;
  /** No kind and value twice. */
  readonly entries: readonly DatedRevocation[];
}

const ENTRY = z
  .strictObject({
    kind: z.enum(REVOCATION_KINDS),
    value: z.string().min(1).max(VALUE_MAX_CHARS),
    reason: z.string().min(1).max(REASON_MAX_CHARS),
    by: z.string().min(1).max(BY_MAX_CHARS),
    at: INSTANT,
  })
  .refine(({ kind, value }) => VALUE_FORM[kind].test(value), {
    path: ['value'],
    error: 'not of the form of its kind',
  });

const SCHEMA = z.strictObject({
  format: z.literal(REVOCATIONS_FORMAT),
  policy: NAME,
  number: NUMBER,
  issued: INSTANT,
  entries: z
    .array(ENTRY)
    .max(ENTRIES_MAX)
    .refine(
      (entries) => new Set(entries.map(nameOfEntry)).size === entries.length,
      'an entry stands twice',
    ),
});

export const REVOCATIONS: DocumentFormat<RevocationList> = {
  kind: 'revocations',
  role: 'revocation',
  decode: decodeRevocations,
  policyOf: ({ policy }) => policy,
};

/** What it revokes; reason, author and date may be put differently in a later list. */
function nameOfEntry({ kind, value }: Revocable): string {
  return `${kind} ${value}`;
}

/** Form only. Throws `publication.malformed`. */
export function decodeRevocations(value: Json): RevocationList {
  const { policy, number, issued, entries } = decodeWith(SCHEMA, value);
  return {
    policy,
    number,
    issuedMs: issued,
    entries: entries.map(({ at, ...entry }) => Object.freeze({ ...entry, atMs: at })),
  };
}

/** Canonical payload. Throws `publication.malformed` for what no reader would take. */
export function encodeRevocations(list: RevocationList): Uint8Array {
  const value: Json = {
    format: REVOCATIONS_FORMAT,
    policy: list.policy,
    number: list.number,
    issued: formatInstant(list.issuedMs),
    entries: list.entries.map(({ atMs, kind, value, reason, by }) => ({
      kind,
      value,
      reason,
      by,
      at: formatInstant(atMs),
    })),
  };
  decodeRevocations(value);
  return encodePayload(value);
}

/** How many entries of the list before the next one leaves out. */
export function countWithdrawn(before: RevocationList, next: RevocationList): number {
  const kept = new Set(next.entries.map(nameOfEntry));
  return before.entries.filter((entry) => !kept.has(nameOfEntry(entry))).length;
}
