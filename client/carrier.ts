/**
 * How sealed bytes travel to the gateway and back: over `fetch`, or in process for the gateway's convenience mode.
 * @module
 */

/** The carrier writes the answer's bytes here as they come. Nothing of it is trusted. */
export interface SealedSink {
  /** A hint only: the authenticated key comes with the answer. */
  head(kid: Uint8Array): void;
  /** False asks the carrier to wait for `drain`. */
  write(bytes: Uint8Array): boolean;
  drain(): Promise<void>;
  end(): void;
  /** The exchange was refused before an answer began; `code` is a clear error code of the protocol. */
  fail(code: string): void;
}

/** Resolves after `end` or `fail`; may reject with a `VeilError`. `signal` stops it. `payment` is headers beside the request. */
export type SealedSend = (
  sealed: Uint8Array,
  sink: SealedSink,
  signal: AbortSignal,
  payment?: Readonly<Record<string, string>>,
) => Promise<void>;
