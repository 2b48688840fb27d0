/**
 * How the convenience mode reaches a worker: the composition root hands in a `Sealer` made of the client's own code, so
 * that there is one way to a worker, and it is sealed. Spec: overview "Roles in one request".
 * @module
 */

/** An OpenAI request that this gateway can read, with what sealing needs to know of it. */
export interface PlainRequest {
  /** Inner path, such as `/v1/chat/completions`. */
  readonly path: string;
  readonly model: string;
  readonly body: Uint8Array;
  readonly mode: 'stream' | 'unary';
  /** All choices together, when the request bounds its output. */
  readonly maxOutputTokens: number | undefined;
  /** Channel id or SHA-256 of the API key. */
  readonly payer: Uint8Array;
}

/** Status and headers that the worker sealed, and who it was. */
export interface SealedHead {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly workerId: Uint8Array;
  readonly kid: Uint8Array;
  readonly simulated: boolean;
  /** Derived from msg_id: what the app quotes when it asks about the exchange. */
  readonly requestId: string;
}

/** Where opened bytes go. `data` answers false when the reader is slow; then `drain` says when to go on. */
export interface PlainSink {
  head(head: SealedHead): void;
  data(bytes: Uint8Array): boolean;
  drain(): Promise<void>;
}

/** Where the dispatcher writes the sealed answer; the sealer opens it from there. */
export interface SealedSink {
  head(kid: Uint8Array): void;
  write(bytes: Uint8Array): boolean;
  drain(): Promise<void>;
  end(): void;
  /** The dispatcher gave up; `code` is one of the protocol's clear error codes. */
  fail(code: string): void;
}

/** Dispatch in process, with account and limits already bound to it. Ends by `end` or `fail` of the sink. */
export type SealedSend = (
  sealed: Uint8Array,
  sink: SealedSink,
  signal: AbortSignal,
) => Promise<void>;

export interface Sealer {
  /**
   * Seals, sends, opens. Resolves only after FINAL and a receipt that verified; rejects with a `VeilError` otherwise,
   * also when part of the answer has already reached the sink.
   */
  exchange(
    request: PlainRequest,
    send: SealedSend,
    sink: PlainSink,
    signal: AbortSignal,
  ): Promise<void>;
}
