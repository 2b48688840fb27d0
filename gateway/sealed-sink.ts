/** Where a sealed answer goes on its way out of the gateway, and how long it may take to get there. @module */

/** Its methods never throw. */
export interface SealedSink {
  /** The answer begins: everything after this is sealed by the key of this kid. */
  head(kid: Uint8Array): void;
  /** False asks for `drain` before the next write; what is written anyway is kept. */
  write(bytes: Uint8Array): boolean;
  /** Resolves too when the reader has gone. */
  drain(): Promise<void>;
  end(): void;
  /** Refused before an answer began; `code` is one of the error tables. */
  fail(code: string): void;
}

export interface DispatchLimits {
  readonly exchangesMax: number;
  readonly firstSealedTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly slowReaderTimeoutMs: number;
}
