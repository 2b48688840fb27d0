/**
 * The timestamp: which release and which revocations were the newest at an instant. Spec: docs/publication.md §2
 * "Timestamp".
 * @module
 */

import { z } from 'zod';
import type { Bytes } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import type { Json } from '../../core/json.ts';
import { INSTANT, NAME, SHA256 } from '../policy/fields.ts';
import { decodeWith, digestText, encodePayload, NUMBER } from './payload.ts';
import type { DocumentFormat } from './verified.ts';

export const TIMESTAMP_FORMAT = 'veilgate.timestamp/1';

/** A numbered document by its number and the digest of its payload. */
export interface NamedDocument {
  readonly number: number;
  readonly digest: Bytes<32>;
}

export interface Timestamp {
  readonly policy: string;
  readonly timeMs: number;
  readonly release: NamedDocument;
  readonly revocations: NamedDocument;
}

const NAMED = z.strictObject({ number: NUMBER, digest: SHA256 });

const SCHEMA = z.strictObject({
  format: z.literal(TIMESTAMP_FORMAT),
  policy: NAME,
  time: INSTANT,
  release: NAMED,
  revocations: NAMED,
});

export const TIMESTAMP: DocumentFormat<Timestamp> = {
  kind: 'timestamp',
  role: 'timestamp',
  decode: decodeTimestamp,
  policyOf: ({ policy }) => policy,
};

/** Form only. Throws `publication.malformed`. */
export function decodeTimestamp(value: Json): Timestamp {
  const { policy, time, release, revocations } = decodeWith(SCHEMA, value);
  return { policy, timeMs: time, release, revocations };
}

/** Canonical payload. Throws `publication.malformed` for what no reader would take. */
export function encodeTimestamp({ policy, timeMs, release, revocations }: Timestamp): Uint8Array {
  const named = ({ number, digest }: NamedDocument): Json => ({
    number,
    digest: digestText(digest),
  });
  const value: Json = {
    format: TIMESTAMP_FORMAT,
    policy,
    time: formatInstant(timeMs),
    release: named(release),
    revocations: named(revocations),
  };
  decodeTimestamp(value);
  return encodePayload(value);
}
