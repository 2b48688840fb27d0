/**
 * Holds back the `data: [DONE]` line of an event stream until FINAL has been read: SDKs stop listening there and would
 * take an answer that was cut right after it for a complete one. Spec: WHATWG HTML "Server-sent events".
 * @module
 */

import { ascii, concat } from '../core/bytes.ts';

const MARK = ascii('data: [DONE]');
const LINE_FEED = 0x0a;
const NOTHING = new Uint8Array(0);

export class DoneGate {
  #held: Uint8Array = NOTHING;
  #closed = false;
  #atLineStart = true;

  /** What may go on now. Once the mark has come, everything waits for `release`. */
  pass(bytes: Uint8Array): Uint8Array {
    const all = this.#held.length === 0 ? bytes : concat(this.#held, bytes);
    if (this.#closed) {
      this.#held = all;
      return NOTHING;
    }
    const at = this.#markStart(all);
    this.#closed = at + MARK.length <= all.length;
    this.#held = all.slice(at);
    // A held piece begins a line by construction, so what follows it is judged from there.
    this.#atLineStart = at < all.length || endsLine(all, this.#atLineStart);
    return all.subarray(0, at);
  }

  release(): Uint8Array {
    const held = this.#held;
    this.#held = NOTHING;
    return held;
  }

  /** Where the mark, or a piece of it that ends the bytes, begins; the length when nowhere. */
  #markStart(bytes: Uint8Array): number {
    for (let at = 0; at < bytes.length; at++) {
      const startsLine = at === 0 ? this.#atLineStart : bytes[at - 1] === LINE_FEED;
      if (startsLine && matchesMark(bytes, at)) return at;
      const next = bytes.indexOf(LINE_FEED, at);
      if (next === -1) return bytes.length;
      at = next;
    }
    return bytes.length;
  }
}

function endsLine(bytes: Uint8Array, before: boolean): boolean {
  return bytes.length === 0 ? before : bytes[bytes.length - 1] === LINE_FEED;
}

function matchesMark(bytes: Uint8Array, at: number): boolean {
  const length = Math.min(MARK.length, bytes.length - at);
  for (let i = 0; i < length; i++) if (bytes[at + i] !== MARK[i]) return false;
  return true;
}
