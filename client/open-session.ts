/**
 * The sealed client without OpenAI's SDK around it: a session with one gateway, and whole exchanges through it.
 * Spec: docs/protocol.md "Client".
 * @module
 */

import { Gatherer, toHex, utf8, type Bytes } from '../core/bytes.ts';
import { systemClock, type Clock } from '../core/clock.ts';
import type { AttestedKey, KemName } from '../attestation/verdict.ts';
import { decodeChatEnvelope } from '../protocol/openai/envelope.ts';
import type { VerifiedReceipt } from '../protocol/sx/read-response.ts';
import { sha256 } from '#primitives';
import type { AnswerHead, AnswerSink, OpenedAnswer } from './answer-opener.ts';
import type { SealedSend } from './carrier.ts';
import { fetchDirectory, type Directory } from './directory.ts';
import { plainUrlOf } from './documents.ts';
import { exchange } from './exchange.ts';
import { fetchCarrier } from './fetch-carrier.ts';
import type { Fetch } from './fetch-bounded.ts';
import { REQUEST_BODY_MAX_BYTES } from './limits.ts';
import { openTrust } from './open-trust.ts';
import type { PolicySource } from './policy-source.ts';
import type { PolicyNews } from './signed-trust.ts';
import { Session, type WorkerVerdict } from './session.ts';
import type { TrustSource } from './trust.ts';

export interface ClientOptions {
  /** Who may read the prompt: signed under a root, `{ root }`; or the app's own, as a path, as text, or compiled. */
  readonly policy: PolicySource;
  /** The gateway's `aud` ("gw1.…"), from a channel other than the gateway; else taken on first use. */
  readonly gateway?: string;
  /** Sealed to so many workers, 1 to 8. */
  readonly recipients?: number;
  /** Default: X-Wing alone. */
  readonly allowedKems?: readonly KemName[];
  /** The most one exchange may cost, in the asset's atomic unit. */
  readonly maxAmount?: bigint;
  readonly deadlineMs?: number;
  readonly onVerdict?: (verdict: WorkerVerdict) => void;
  /** Signed documents that were taken or refused. */
  readonly onPolicy?: (news: PolicyNews) => void;
  readonly onReceipt?: (receipt: VerifiedReceipt) => void;
  /** The transport; sees sealed bytes only. */
  readonly fetch?: Fetch;
  readonly clock?: Clock;
}

export interface OpenSessionOptions extends ClientOptions {
  /** As for OpenAI's SDK, with or without `/v1`. */
  readonly baseUrl: string;
  readonly apiKey: string;
}

export interface SealedCall {
  readonly path: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

/** A whole answer, verified to its end. */
export interface CompleteAnswer {
  readonly status: number;
  readonly headers: AnswerHead['headers'];
  readonly body: Uint8Array;
  readonly key: AttestedKey;
  readonly requestId: string;
  readonly receipt: VerifiedReceipt | undefined;
}

export interface SealedSession {
  /** Resolves only with an answer that is complete and whose receipt verified. */
  complete(call: SealedCall, signal?: AbortSignal): Promise<CompleteAnswer>;
  /** As the answer arrives; rejects when it turns out incomplete. */
  stream(call: SealedCall, sink: AnswerSink, signal: AbortSignal): Promise<OpenedAnswer>;
  /** Verified keys for a model. */
  keys(model: string, signal: AbortSignal): Promise<readonly AttestedKey[]>;
  /** Names the gateway lists, unproven. */
  modelNames(signal: AbortSignal): Promise<readonly string[]>;
  verdicts(): readonly WorkerVerdict[];
}

export async function openSession(options: OpenSessionOptions): Promise<SealedSession> {
  gatewayUrlOf(options.baseUrl); // said before anything is read
  return sessionUnder(await trustOf(options), options);
}

/** One for all sessions of an app: what one gateway shows is known at the others. */
export function trustOf({ policy, clock, fetch, onPolicy }: ClientOptions): Promise<TrustSource> {
  return openTrust({
    policy,
    clock: clock ?? systemClock,
    fetch: fetch ?? globalThis.fetch,
    ...(onPolicy && { onPolicy }),
  });
}

export function sessionUnder(trust: TrustSource, options: OpenSessionOptions): SealedSession {
  const gatewayUrl = gatewayUrlOf(options.baseUrl);
  const fetch = options.fetch ?? globalThis.fetch;
  const clock = options.clock ?? systemClock;
  const authorization = options.apiKey === '' ? undefined : `Bearer ${options.apiKey}`;
  return sessionOver(
    {
      trust,
      directory: fetchDirectory({ fetch, gatewayUrl, authorization, clock }),
      send: fetchCarrier({ fetch, gatewayUrl, authorization }),
      payer: sha256(utf8(options.apiKey)),
    },
    options,
  );
}

interface Reach {
  readonly trust: TrustSource;
  readonly directory: Directory;
  readonly send: SealedSend;
  readonly payer: Bytes<32>;
}

function sessionOver(reach: Reach, options: ClientOptions): SealedSession {
  const clock = options.clock ?? systemClock;
  const session = new Session({
    directory: reach.directory,
    trust: reach.trust,
    clock,
    ...(options.gateway === undefined ? {} : { gateway: options.gateway }),
    ...(options.onVerdict === undefined ? {} : { onVerdict: options.onVerdict }),
  });
  const stream: SealedSession['stream'] = async (call, sink, signal) => {
    const envelope = decodeChatEnvelope(call.body, REQUEST_BODY_MAX_BYTES);
    const answer = await exchange(
      { ...options, session, clock },
      { ...call, ...envelope, payer: reach.payer },
      { send: reach.send, sink, signal },
    );
    if (answer.receipt !== undefined) options.onReceipt?.(answer.receipt);
    return answer;
  };
  return {
    stream,
    complete: async (call, signal = new AbortController().signal) => {
      const body = new Gatherer();
      const { head, receipt } = await stream(call, collector(body), signal);
      const { status, headers, key } = head;
      const requestId = requestIdOf(head);
      return { status, headers, key, receipt, requestId, body: body.bytes() };
    },
    keys: (model, signal) => session.keys(model, signal),
    modelNames: (signal) => reach.directory.modelNames(signal),
    verdicts: () => session.verdicts(),
  };
}

export function requestIdOf(head: AnswerHead): string {
  return `sx_${toHex(head.msgId)}`;
}

function collector(body: Gatherer): AnswerSink {
  return {
    head: () => undefined,
    data: (bytes) => {
      body.push(bytes);
      return true;
    },
    drain: () => Promise.resolve(),
  };
}

/** Without `/v1` and slashes at the end. Throws `client.option`, `client.insecure_url`. */
export function gatewayUrlOf(baseUrl: string): string {
  return plainUrlOf(baseUrl, 'baseUrl').replace(/\/v1$/, '');
}
