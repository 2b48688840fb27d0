/**
 * How the convenience mode reaches a worker: the composition root hands in a `Sealer` made of the client's own code, so
 * that there is one way to a worker, and it is sealed. Spec: overview "Roles in one request".
 * @module
 */

import type { EvidenceBundle } from '../../attestation/evidence.ts';
import type { NextMsgId } from '../idempotency.ts';
import type { SealedSink } from '../sealed-sink.ts';

/** An OpenAI request that this gateway can read. */
export interface PlainRequest {
  /** Inner path, such as `/v1/chat/completions`. */
  readonly path: string;
  readonly body: Uint8Array;
  /** Channel id or SHA-256 of the API key; 32 bytes. */
  readonly payer: Uint8Array;
  /** Message ids in place of drawn ones. Absent: this request may be asked again. */
  readonly nextMsgId?: NextMsgId;
}

/** Status and headers that the worker sealed, and who it was. */
export interface PlainHead {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly workerId: Uint8Array;
  readonly kid: Uint8Array;
  readonly simulated: boolean;
  /** SHA-256 of the statement under which the worker answers. */
  readonly statementHash: Uint8Array;
  /** Of the policy by which it was admitted. */
  readonly policyDigest: Uint8Array;
  /** Derived from msg_id: what the app quotes when it asks about the exchange. */
  readonly requestId: string;
}

/** By what one whole answer can be proved: no content. */
export interface AnswerProof {
  readonly requestId: string;
  /** As the worker registered it. */
  readonly evidence: EvidenceBundle;
  /** `veilgate.bill/1`. */
  readonly bill: Uint8Array;
}

/** Where opened bytes go. `data` answers false when the reader is slow; then `drain` says when to go on. */
export interface PlainSink {
  head(head: PlainHead): void;
  data(bytes: Uint8Array): boolean;
  drain(): Promise<void>;
  /** Absent: nobody keeps any. Called once per whole answer, before `exchange` resolves. */
  readonly proven?: ((proof: AnswerProof) => void) | undefined;
}

/** Dispatch in process, with account and limits bound to it. Resolves after `end` or `fail`, or rejects. */
export type SealedSend = (
  sealed: Uint8Array,
  sink: SealedSink,
  signal: AbortSignal,
) => Promise<void>;

export interface Sealer {
  /**
   * Seals, sends, opens. Resolves only after FINAL and a receipt that verified; rejects with a `VeilError` otherwise,
   * also when part of an event stream has already reached the sink. Anything but an event stream reaches the sink whole.
   */
  exchange(
    request: PlainRequest,
    send: SealedSend,
    sink: PlainSink,
    signal: AbortSignal,
  ): Promise<void>;
}
