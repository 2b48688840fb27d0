/**
 * The sealing client for a gateway's own convenience mode: same verification, same sealing, in process. The gateway
 * receives it from the composition root. Spec: overview "Roles in one request".
 * @module
 */

import { fixed, type Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { VeilError } from '../core/errors.ts';
import type { EvidenceBundle } from '../attestation/evidence.ts';
import type { KemName } from '../attestation/verdict.ts';
import { endpointAt } from '../protocol/openai/endpoints.ts';
import { decodeEnvelope } from '../protocol/openai/envelope.ts';
import type { AnswerHead, OpenedAnswer } from './answer-opener.ts';
import type { SealedSend } from './carrier.ts';
import type { Directory } from './directory.ts';
import { clientError } from './errors.ts';
import { exchange } from './exchange.ts';
import { REQUEST_BODY_MAX_BYTES } from './limits.ts';
import { requestIdOf } from './open-session.ts';
import { unpaidBillOf } from './proof/keep-proof.ts';
import { Session } from './session.ts';
import { heldTrust, type Trust } from './trust.ts';

export interface PlainSealerOptions {
  readonly directory: Directory;
  /** What is in force now; asked for every request. */
  readonly trust: () => Trust;
  /** The gateway's own `aud`. */
  readonly gateway: string;
  readonly clock: Clock;
  readonly recipients?: number;
  readonly allowedKems?: readonly KemName[];
  readonly deadlineMs?: number;
}

/** The members that sealing needs; the gateway's `PlainRequest` has them. */
export interface PlainCall {
  readonly path: string;
  readonly body: Uint8Array;
  readonly payer: Uint8Array;
  readonly nextMsgId?: () => Promise<Bytes<16>>;
}

export interface OpenedHead {
  readonly status: number;
  readonly headers: AnswerHead['headers'];
  readonly workerId: Uint8Array;
  readonly kid: Uint8Array;
  readonly simulated: boolean;
  readonly statementHash: Uint8Array;
  readonly policyDigest: Uint8Array;
  readonly requestId: string;
}

export interface OpenedSink {
  head(head: OpenedHead): void;
  data(bytes: Uint8Array): boolean;
  drain(): Promise<void>;
  /** Present: each whole answer is to be proved. */
  readonly proven?: ((proof: OpenedProof) => void) | undefined;
}

export interface OpenedProof {
  readonly requestId: string;
  readonly evidence: EvidenceBundle;
  readonly bill: Uint8Array;
}

export interface PlainSealer {
  exchange(call: PlainCall, send: SealedSend, sink: OpenedSink, signal: AbortSignal): Promise<void>;
}

export function plainSealer(options: PlainSealerOptions): PlainSealer {
  const session = new Session({ ...options, trust: heldTrust(options.trust) });
  return {
    exchange: async (call, send, sink, signal) => {
      const endpoint = endpointAt(call.path);
      if (endpoint === undefined) throw clientError('client.path');
      const envelope = decodeEnvelope(endpoint.path, call.body, REQUEST_BODY_MAX_BYTES);
      const request = {
        ...envelope,
        path: endpoint.path,
        headers: [['content-type', 'application/json']] as const,
        body: call.body,
        payer: fixed(call.payer, 32, 'payer'),
        ...(call.nextMsgId === undefined ? {} : { nextMsgId: call.nextMsgId }),
      };
      const answer = await exchange({ ...options, session }, request, {
        send,
        sink: opened(sink),
        signal,
      });
      if (sink.proven === undefined) return;
      const proof = await proofOf(answer, session, options);
      if (proof !== undefined) sink.proven(proof);
    },
  };
}

async function proofOf(
  answer: OpenedAnswer,
  session: Session,
  { clock }: PlainSealerOptions,
): Promise<OpenedProof | undefined> {
  try {
    const bill = await unpaidBillOf(answer, { session, clock });
    const { evidence } = session.admissionOf(answer.head.key);
    return { requestId: requestIdOf(answer.head), evidence, bill };
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return undefined; // the answer is whole all the same, and whoever asks for its proof hears that there is none
  }
}

function opened(sink: OpenedSink): Parameters<typeof exchange>[2]['sink'] {
  return {
    head: (head) =>
      sink.head({
        status: head.status,
        headers: head.headers,
        workerId: head.key.workerId,
        kid: head.key.kid,
        simulated: head.key.simulated,
        statementHash: head.key.statementHash,
        policyDigest: head.key.policyDigest,
        requestId: requestIdOf(head),
      }),
    data: (bytes) => sink.data(bytes),
    drain: () => sink.drain(),
  };
}
