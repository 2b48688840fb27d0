/**
 * The shape of a sealed request: prelude ‖ kids ‖ blocks ‖ commit ‖ frames. Gateway and worker cut it with the same function,
 * so they cannot disagree about where anything stands. All bytes are the sender's. Spec: P§4, P§6, P§8.1.
 * @module
 */

import { fixed, Reader, toHex, type Bytes } from '../../core/bytes.ts';
import { encBytesOf } from '../kem.ts';
import { refused } from './errors.ts';
import { FRAME, FrameSplitter, SEALED_MAX_BYTES, SEALED_MIN_BYTES } from './frames.ts';
import { transcript, transcript0 } from './key-schedule.ts';
import { REQUEST_FRAMES_MAX, REQUEST_PAD_FRAMES_MAX, REQUEST_WIRE_MAX_BYTES } from './limits.ts';
import { parsePrelude, PRELUDE_BYTES, type Prelude } from './prelude.ts';

export const KID_BYTES = 16;
export const CONTENT_KEY_BYTES = 32;
export const WRAPPED_BYTES = 48;
export const COMMIT_BYTES = 32;

export interface Envelope {
  readonly prelude: Prelude;
  readonly kids: readonly Bytes<16>[];
  /** enc ‖ wrapped, in the order of the kids. */
  readonly blocks: readonly Uint8Array[];
  readonly th0: Bytes<32>;
  readonly th: Bytes<32>;
  readonly commit: Bytes<32>;
  /** Whole frames, headers included; the last is FINAL and no other is. */
  readonly frames: readonly Uint8Array[];
}

/** Throws `sx.refused` or `sx.unsupported`. */
export function parseEnvelope(bytes: Uint8Array): Envelope {
  if (bytes.length > REQUEST_WIRE_MAX_BYTES) throw refused('size');
  const prelude = parsePrelude(bytes);
  const reader = new Reader(bytes, () => refused('size'));
  const preludeBytes = reader.bytes(PRELUDE_BYTES, 'prelude');
  const kidTable = reader.bytes(prelude.recipientCount * KID_BYTES, 'kids');
  const kids = splitKids(kidTable);
  const blockBytes = encBytesOf(prelude.kem) + WRAPPED_BYTES;
  const blockTable = reader.bytes(prelude.recipientCount * blockBytes, 'blocks');
  const commit = reader.bytes(COMMIT_BYTES, 'commit');
  const frames = splitRequestFrames(reader.rest());
  const th0 = transcript0(preludeBytes, kidTable);
  return {
    prelude,
    kids,
    blocks: kids.map((_, i) => blockTable.subarray(i * blockBytes, (i + 1) * blockBytes)),
    th0,
    th: transcript(th0, blockTable),
    commit,
    frames,
  };
}

function splitKids(table: Uint8Array): readonly Bytes<16>[] {
  const kids: Bytes<16>[] = [];
  const seen = new Set<string>();
  for (let at = 0; at < table.length; at += KID_BYTES) {
    const kid = fixed(table.slice(at, at + KID_BYTES), KID_BYTES);
    seen.add(toHex(kid));
    kids.push(kid);
  }
  if (seen.size !== kids.length) throw refused('kids');
  return kids;
}

function splitRequestFrames(bytes: Uint8Array): readonly Uint8Array[] {
  const frames: Uint8Array[] = [];
  let padFrames = 0;
  let hasFinal = false;
  const splitter = new FrameSplitter({
    onHeader: (type, length) => {
      if (hasFinal || frames.length === REQUEST_FRAMES_MAX) throw refused('order');
      checkRequestFrame(type, length);
      if (type === FRAME.pad && ++padFrames > REQUEST_PAD_FRAMES_MAX) throw refused('order');
      hasFinal = type === FRAME.final;
    },
    onFrame: (_, wire) => {
      frames.push(wire);
    },
  });
  splitter.push(bytes);
  if (!splitter.isBetweenFrames) throw refused('frame');
  if (!hasFinal) throw refused('order');
  return frames;
}

function checkRequestFrame(type: number, length: number): void {
  if (type !== FRAME.data && type !== FRAME.final && type !== FRAME.pad) throw refused('frame');
  // FINAL is empty and unpadded: its place is its meaning.
  const max = type === FRAME.final ? SEALED_MIN_BYTES : SEALED_MAX_BYTES;
  if (length < SEALED_MIN_BYTES || length > max) throw refused('frame');
}
