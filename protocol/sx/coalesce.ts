/**
 * Worker: gathers tokens that come within a short window into one frame. The first write never waits: time to first
 * token is the client's. Spec: P§10.6.
 * @module
 */

import { concat } from '../../core/bytes.ts';
import { COALESCING_MAX_BYTES, COALESCING_WINDOW_MS } from './limits.ts';

/** A timer from outside: this folder has none. Returns the way to cancel. */
export interface Scheduler {
  readonly after: (delayMs: number, run: () => void) => () => void;
}

export interface CoalescerInput {
  readonly scheduler: Scheduler;
  /** Receives the bytes of one frame. */
  readonly emit: (bytes: Uint8Array) => void;
  readonly windowMs?: number;
  readonly maxBytes?: number;
}

/**
 * A write after a quiet window leaves at once and opens a window; what comes within it leaves together at its end. So a
 * slow model is not delayed at all, and a fast one sends at most one frame per window (or per full frame).
 */
export class FrameCoalescer {
  readonly #input: CoalescerInput;
  readonly #windowMs: number;
  readonly #maxBytes: number;
  #held: Uint8Array[] = [];
  #heldBytes = 0;
  #cancelTimer: (() => void) | undefined;

  constructor(input: CoalescerInput) {
    this.#input = input;
    this.#windowMs = input.windowMs ?? COALESCING_WINDOW_MS;
    this.#maxBytes = input.maxBytes ?? COALESCING_MAX_BYTES;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#held.push(bytes);
    this.#heldBytes += bytes.length;
    if (this.#cancelTimer === undefined || this.#heldBytes >= this.#maxBytes) {
      this.#send();
      this.#openWindow();
    }
  }

  /** Sends what is held now; the last call of a stream. */
  flush(): void {
    this.#closeWindow();
    this.#send();
  }

  /** Drops the timer and what is held: the stream is broken. */
  cancel(): void {
    this.#closeWindow();
    this.#held = [];
    this.#heldBytes = 0;
  }

  #send(): void {
    if (this.#heldBytes === 0) return;
    const [only] = this.#held;
    const bytes = this.#held.length === 1 && only !== undefined ? only : concat(...this.#held);
    this.#held = [];
    this.#heldBytes = 0;
    this.#input.emit(bytes);
  }

  #openWindow(): void {
    this.#closeWindow();
    this.#cancelTimer = this.#input.scheduler.after(this.#windowMs, () => {
      this.#cancelTimer = undefined;
      if (this.#heldBytes === 0) return;
      this.#send();
      this.#openWindow();
    });
  }

  #closeWindow(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}
