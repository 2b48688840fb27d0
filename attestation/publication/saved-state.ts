/**
 * A reader's state as one file: the envelopes that were accepted, and what is remembered besides. Reading it proves
 * nothing; open.ts verifies it all again. Spec: docs/publication.md §3.
 * @module
 */

import { z } from 'zod';
import { toBase64, utf8 } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { base64Field } from '../byte-fields.ts';
import {
  BUNDLE_MAX_BYTES,
  REVOCATIONS_MAX_BYTES,
  ROOTS_MAX,
  SMALL_DOCUMENT_MAX_BYTES,
  STATE_MAX_BYTES,
} from './limits.ts';
import type { PublicationState } from './memory.ts';
import { decodeWith, NUMBER, readJson } from './payload.ts';

const STATE_FORMAT = 'veilgate.publication-state/1';
const STATE_DEPTH_MAX = 3;
const STATE_VALUES_MAX = ROOTS_MAX + 32;

const SMALL = base64Field(SMALL_DOCUMENT_MAX_BYTES);
const BUNDLE_BYTES = base64Field(BUNDLE_MAX_BYTES);

const SCHEMA = z.strictObject({
  format: z.literal(STATE_FORMAT),
  /** From the one pinned when it was written. */
  roots: z.array(SMALL).min(1).max(ROOTS_MAX),
  release: z
    .strictObject({
      envelope: SMALL,
      current: BUNDLE_BYTES,
      candidate: BUNDLE_BYTES.nullable(),
    })
    .nullable(),
  revocations: z
    .strictObject({
      root: NUMBER,
      envelope: base64Field(REVOCATIONS_MAX_BYTES),
      confirmed: z.boolean(),
    })
    .nullable(),
  timestamp: z.strictObject({ root: NUMBER, envelope: SMALL }).nullable(),
  highestSerial: z.int().min(0),
  newestIssuedMs: z.int().min(0),
});

export type SavedState = z.output<typeof SCHEMA>;

/** To be written to one file at once, so that no crash leaves half of it. */
export function encodeState(state: PublicationState): Uint8Array {
  const { roots, release, revocations, timestamp, highestSerial, newestIssuedMs } = state;
  const file: z.input<typeof SCHEMA> = {
    format: STATE_FORMAT,
    roots: roots.map(({ bytes }) => toBase64(bytes)),
    release: release
      ? {
          envelope: toBase64(release.bytes),
          current: toBase64(release.current.bytes),
          candidate: release.candidate ? toBase64(release.candidate.bytes) : null,
        }
      : null,
    revocations: revocations
      ? {
          root: revocations.rootVersion,
          envelope: toBase64(revocations.bytes),
          confirmed: revocations.confirmed,
        }
      : null,
    timestamp: timestamp
      ? { root: timestamp.rootVersion, envelope: toBase64(timestamp.bytes) }
      : null,
    highestSerial,
    newestIssuedMs,
  };
  const bytes = utf8(`${JSON.stringify(file)}\n`);
  assert(bytes.length <= STATE_MAX_BYTES, 'a state above its bound');
  return bytes;
}

/** Form only. Throws `publication.malformed`. */
export function decodeState(bytes: Uint8Array): SavedState {
  const json = readJson(bytes, {
    maxBytes: STATE_MAX_BYTES,
    maxDepth: STATE_DEPTH_MAX,
    maxValues: STATE_VALUES_MAX,
    numbers: 'integers',
  });
  return decodeWith(SCHEMA, json);
}
