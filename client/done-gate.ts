/**
 * Holds back the `data: [DONE]` line of an event stream, or its last named event, until FINAL has been read: SDKs and apps
 * stop listening there and would take an answer that was cut right after it for a complete one. Every spelling that they read as that line counts. Spec: WHATWG HTML "Server-sent events".
 * @module
 */

import { ascii, concat, Gatherer, utf8 } from '../core/bytes.ts';

/** The last events of a Responses and of a Messages stream, in the one spelling that workers have. */
const LAST_EVENTS = [
  ascii('event: response.completed'),
  ascii('event: response.incomplete'),
  ascii('event: message_stop'),
] as const;

/**
 * The space is optional, a line ends with LF, CR or both, and openai's reader drops a byte order mark before any line.
 * Spec: "Server-sent events", Parsing.
 */
const MARKS: readonly Uint8Array[] = [
  ascii('data: [DONE]'),
  ascii('data:[DONE]'),
  utf8('\uFEFFdata: [DONE]'),
  utf8('\uFEFFdata:[DONE]'),
  ...LAST_EVENTS,
];
const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const NOTHING = new Uint8Array(0);

/** Of bytes that the gate let go: true only behind FINAL, because what begins so is held until then. */
export function beginsLastEvent(released: Uint8Array): boolean {
  return LAST_EVENTS.some(
    (mark) => mark.length <= released.length && matchesPiece(mark, released, 0),
  );
}

export class DoneGate {
  #held: Uint8Array = NOTHING;
  /** What came behind the mark. */
  readonly #behind = new Gatherer();
  #closed = false;
  #atLineStart = true;

  /** The mark has come. */
  get isClosed(): boolean {
    return this.#closed;
  }

  /** What may go on now. Once the mark has come, everything waits for `release`. */
  pass(bytes: Uint8Array): Uint8Array {
    if (this.#closed) {
      this.#behind.push(bytes);
      return NOTHING;
    }
    const all = this.#held.length === 0 ? bytes : concat(this.#held, bytes);
    const at = this.#markStart(all);
    this.#closed = MARKS.some(
      (mark) => at + mark.length <= all.length && matchesPiece(mark, all, at),
    );
    this.#held = all.slice(at);
    // A held piece begins a line by construction, so what follows it is judged from there.
    this.#atLineStart = at < all.length || endsLine(all, this.#atLineStart);
    return all.subarray(0, at);
  }

  /** Once, at FINAL. */
  release(): Uint8Array {
    return concat(this.#held, this.#behind.bytes());
  }

  /** Where the mark, or a piece of it that ends the bytes, begins; the length when nowhere. */
  #markStart(bytes: Uint8Array): number {
    for (let at = 0; at < bytes.length; at++) {
      const startsLine = at === 0 ? this.#atLineStart : isLineEnd(bytes[at - 1]);
      if (startsLine && MARKS.some((mark) => matchesPiece(mark, bytes, at))) return at;
      while (at < bytes.length && !isLineEnd(bytes[at])) at++;
    }
    return bytes.length;
  }
}

function isLineEnd(byte: number | undefined): boolean {
  return byte === LINE_FEED || byte === CARRIAGE_RETURN;
}

function endsLine(bytes: Uint8Array, before: boolean): boolean {
  return bytes.length === 0 ? before : isLineEnd(bytes[bytes.length - 1]);
}

/** The whole mark, or as much of it as there are bytes. */
function matchesPiece(mark: Uint8Array, bytes: Uint8Array, at: number): boolean {
  const length = Math.min(mark.length, bytes.length - at);
  for (let i = 0; i < length; i++) if (bytes[at + i] !== mark[i]) return false;
  return true;
}
