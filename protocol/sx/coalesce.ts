/**
 * Worker: gathers tokens that come within a short window into one frame. The first write never waits: time to first
 * token is the client's. Spec: P§10.6.
 * @module
 */

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

export declare class FrameCoalescer {
  constructor(input: CoalescerInput);
  write(bytes: Uint8Array): void;
  /** Sends what is held now; the last call of a stream. */
  flush(): void;
  /** Drops the timer and what is held: the stream is broken. */
  cancel(): void;
}
