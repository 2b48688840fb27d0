/**
 * Ways to damage evidence, each reproducible: every truncation, one flipped bit per byte, seeded garbage.
 * Spec: tdx.md §14, sev-snp.md §1 (property tests).
 * @module
 */

import { sha256 } from '#primitives';
import { concat, fromHex, toHex, utf8 } from '../../core/bytes.ts';

/** The same bytes for the same seed, on every machine. */
export function seededBytes(seed: string, size: number): Uint8Array {
  const blocks = Array.from({ length: Math.ceil(size / 32) }, (_, at) =>
    sha256(utf8(`${seed}/${at}`)),
  );
  return concat(...blocks).subarray(0, size);
}

/** Integers below `bound`, one after another. */
export function seededNumbers(seed: string): (bound: number) => number {
  let at = 0;
  return (bound) => {
    const block = sha256(utf8(`${seed}#${at++}`));
    return new DataView(block.buffer, block.byteOffset).getUint32(0) % bound;
  };
}

export function flipBit(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ (1 << bit);
  return copy;
}

/** One of: some bytes overwritten, a piece cut out, a piece doubled, the end cut off, a length octet blown up. */
export function damage(bytes: Uint8Array, seed: string): Uint8Array {
  const next = seededNumbers(seed);
  const at = next(bytes.length);
  const size = 1 + next(Math.min(64, bytes.length - at));
  switch (next(5)) {
    case 0:
      return concat(bytes.subarray(0, at), seededBytes(seed, size), bytes.subarray(at + size));
    case 1:
      return concat(bytes.subarray(0, at), bytes.subarray(at + size));
    case 2:
      return concat(bytes.subarray(0, at + size), bytes.subarray(at));
    case 3:
      return bytes.subarray(0, at);
    default: {
      const copy = Uint8Array.from(bytes);
      copy[at] = 0x84;
      return copy;
    }
  }
}

/** Overwrites bytes at an offset. */
export function patched(at: number, bytes: Uint8Array): (whole: Uint8Array) => Uint8Array {
  return (whole) => concat(whole.subarray(0, at), bytes, whole.subarray(at + bytes.length));
}

export function flipped(at: number): (whole: Uint8Array) => Uint8Array {
  return (whole) => {
    const copy = Uint8Array.from(whole);
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  };
}

/** One occurrence, in hex. Throws when there is none: a test that changes nothing tests nothing. */
export function replaced(from: string, to: string): (bytes: Uint8Array) => Uint8Array {
  return (bytes) => {
    const hex = toHex(bytes);
    if (!hex.includes(from)) throw new Error(`a test replaces ${from}, which is not there`);
    return fromHex(hex.replace(from, to));
  };
}
