/**
 * The release: which policy is in force, and which one is judged beside it, for how many workers in earnest.
 * Spec: docs/publication.md §2 "Release".
 * @module
 */

import { sha256 } from '#primitives';
import { z } from 'zod';
import { ascii, concat, type Bytes } from '../../core/bytes.ts';
import { formatInstant } from '../../core/clock.ts';
import { assert } from '../../core/errors.ts';
import type { Json } from '../../core/json.ts';
import { INSTANT, NAME, SHA256 } from '../policy/fields.ts';
import { decodeWith, digestText, encodePayload, NUMBER } from './payload.ts';
import type { DocumentFormat } from './verified.ts';

export const RELEASE_FORMAT = 'veilgate.release/1';
const SHARE_MAX_PERCENT = 99;
const CANARY_TAG = concat(ascii('veilgate.canary/1'), Uint8Array.of(0));

/** A policy by its serial and the digest of its canonical form. */
export interface ReleasedPolicy {
  readonly serial: number;
  readonly digest: Bytes<32>;
}

export interface Release {
  readonly policy: string;
  readonly number: number;
  readonly issuedMs: number;
  readonly current: ReleasedPolicy;
  /** `share`: percentage of workers for which it is in force already; 0 is shadow. */
  readonly candidate: (ReleasedPolicy & { readonly share: number }) | null;
}

const SCHEMA = z
  .strictObject({
    format: z.literal(RELEASE_FORMAT),
    policy: NAME,
    number: NUMBER,
    issued: INSTANT,
    current: z.strictObject({ serial: NUMBER, digest: SHA256 }),
    candidate: z
      .strictObject({
        serial: NUMBER,
        digest: SHA256,
        share: z.int().min(0).max(SHARE_MAX_PERCENT),
      })
      .nullable(),
  })
  .refine(({ current, candidate }) => candidate === null || candidate.serial > current.serial, {
    path: ['candidate', 'serial'],
    error: 'want one above current.serial',
  });

export const RELEASE: DocumentFormat<Release> = {
  kind: 'release',
  role: 'release',
  decode: decodeRelease,
  policyOf: ({ policy }) => policy,
};

/** Form only. Throws `publication.malformed`. */
export function decodeRelease(value: Json): Release {
  const { policy, number, issued, current, candidate } = decodeWith(SCHEMA, value);
  return { policy, number, issuedMs: issued, current, candidate };
}

/** Canonical payload. Throws `publication.malformed` for what no reader would take. */
export function encodeRelease(release: Release): Uint8Array {
  const { policy, number, issuedMs, current, candidate } = release;
  const value: Json = {
    format: RELEASE_FORMAT,
    policy,
    number,
    issued: formatInstant(issuedMs),
    current: { serial: current.serial, digest: digestText(current.digest) },
    candidate:
      candidate === null
        ? null
        : {
            serial: candidate.serial,
            digest: digestText(candidate.digest),
            share: candidate.share,
          },
  };
  decodeRelease(value);
  return encodePayload(value);
}

/** Whether the candidate is in force for this worker: the same answer everywhere, and another draw for each candidate. */
export function inCanary(candidateDigest: Bytes<32>, workerId: Bytes<32>, share: number): boolean {
  assert(Number.isInteger(share) && share >= 0 && share <= SHARE_MAX_PERCENT, 'canary share');
  const hash = sha256(CANARY_TAG, candidateDigest, workerId);
  return new DataView(hash.buffer, hash.byteOffset).getUint32(0) % 100 < share;
}
