/**
 * The publication that a gateway shows beside evidence. Taken apart here, judged nowhere near: each part becomes the bytes
 * of an envelope again. Spec: docs/publication.md §5.
 * @module
 */

import { z } from 'zod';
import { utf8 } from '../core/bytes.ts';

export interface Staple {
  /** The newest root the gateway claims to have. */
  readonly root: number;
  readonly release?: Uint8Array;
  readonly revocations?: Uint8Array;
  readonly timestamp?: Uint8Array;
}

const ENVELOPE = z.looseObject({}).nullish();

const SCHEMA = z.looseObject({
  root: z.int().min(1),
  release: ENVELOPE,
  revocations: ENVELOPE,
  timestamp: ENVELOPE,
});

/** Undefined when there is none that could be read. */
export function decodeStaple(json: unknown): Staple | undefined {
  const decoded = SCHEMA.safeParse(json);
  if (!decoded.success) return undefined;
  const { root, release, revocations, timestamp } = decoded.data;
  return {
    root,
    ...(release && { release: envelopeBytes(release) }),
    ...(revocations && { revocations: envelopeBytes(revocations) }),
    ...(timestamp && { timestamp: envelopeBytes(timestamp) }),
  };
}

/** Signed is the payload inside, which is a string here: how the envelope around it is written changes nothing. */
function envelopeBytes(envelope: object): Uint8Array {
  return utf8(JSON.stringify(envelope));
}
