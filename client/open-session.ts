/**
 * The sealed client without OpenAI's SDK around it: a session with one gateway, and whole exchanges through it.
 * Spec: docs/protocol.md "Client".
 * @module
 */

import { Gatherer, toHex, utf8, type Bytes } from '../core/bytes.ts';
import { systemClock, type Clock } from '../core/clock.ts';
import type { AttestedKey, KemName } from '../attestation/verdict.ts';
import { endpointAt } from '../protocol/openai/endpoints.ts';
import { decodeEnvelope } from '../protocol/openai/envelope.ts';
import type { VerifiedReceipt } from '../protocol/sx/read-response.ts';
import { isToken, parseTokenUnverified } from '../settlement/token.ts';
import { sha256 } from '#primitives';
import type { AnswerHead, AnswerSink, OpenedAnswer } from './answer-opener.ts';
import type { SealedSend } from './carrier.ts';
import { fetchDirectory, type Directory } from './directory.ts';
import { plainUrlOf } from './documents.ts';
import { exchange } from './exchange.ts';
import { clientError } from './errors.ts';
import { fetchCarrier } from './fetch-carrier.ts';
import { reach as reachOver, type Fetch } from './fetch-bounded.ts';
import { ANNOUNCE_TIMEOUT_MS, REQUEST_BODY_MAX_BYTES } from './limits.ts';
import { openTrust } from './open-trust.ts';
import type { Settlement } from './pay/line.ts';
import { askOver } from './pay/ask.ts';
import { openPayer, type OpenedPayer, type PayOption } from './pay/open-payer.ts';
import type { Announce, PayReach } from './pay/payer.ts';
import { raiseOver } from './pay/raise.ts';
import { unpaid } from './pay/unpaid.ts';
import type { PolicySource } from './policy-source.ts';
import { keepProof, type KeptProof } from './proof/keep-proof.ts';
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
  /** The most one exchange may cost, in the asset's atomic unit. Default: 1 TON or 5 USDT, whoever pays. */
  readonly maxAmount?: bigint;
  readonly deadlineMs?: number;
  /**
   * Answers come in frames of one size at one pace, 80 KB a second, so that nobody on the way learns how fast the model wrote
   * or where it paused. Costs that much traffic while an answer runs, and up to a second at its end; not paid as it arrives.
   */
  readonly constantRate?: boolean;
  readonly onVerdict?: (verdict: WorkerVerdict) => void;
  /** Signed documents that were taken or refused. */
  readonly onPolicy?: (news: PolicyNews) => void;
  readonly onReceipt?: (receipt: VerifiedReceipt) => void;
  /** From a payment channel, per request, by a budget or as answers arrive; without it, an API key's account pays, or nobody. */
  readonly pay?: PayOption;
  /** What each request cost, once the gateway's signature over it was checked. */
  readonly onSettled?: (settlement: Settlement) => void;
  /** The proof of each whole answer, to keep: `veilgate verify-response` checks it again offline, years later. */
  readonly onProof?: (proof: KeptProof) => void;
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
  /** Undefined when the gateway keeps no books, or when the bill of a payer did not hold. */
  readonly settlement: Settlement | undefined;
}

export interface SealedSession {
  /** Resolves only with an answer that is complete and whose receipt verified. */
  complete(call: SealedCall, signal?: AbortSignal): Promise<CompleteAnswer>;
  /** As the answer arrives; rejects when it turns out incomplete. */
  stream(call: SealedCall, sink: AnswerSink, signal: AbortSignal): Promise<OpenedAnswer>;
  /** Verified keys for a model. */
  keys(model: string, signal: AbortSignal): Promise<readonly AttestedKey[]>;
  /** The same, looked up anew: for whoever was just told that a key is gone. */
  renew(model: string, signal: AbortSignal): Promise<readonly AttestedKey[]>;
  /** Names the gateway lists, unproven. */
  modelNames(signal: AbortSignal): Promise<readonly string[]>;
  verdicts(): readonly WorkerVerdict[];
  /** Gives a channel file back to other processes. Nothing may be under way. */
  close(): Promise<void>;
}

export async function openSession(options: OpenSessionOptions): Promise<SealedSession> {
  gatewayUrlOf(options.baseUrl); // said before anything is read
  const trust = await trustOf(options);
  return sessionUnder(trust, options, await payerOf(options));
}

/** One for all sessions of an app: a channel has one payer. */
export async function payerOf({
  pay,
  gateway,
  clock,
}: ClientOptions): Promise<OpenedPayer | undefined> {
  if (pay === undefined) return undefined;
  const opened = await openPayer(pay, clock ?? systemClock);
  if (gateway === undefined || gateway === opened.gateway) return opened;
  await opened.close();
  throw clientError('client.option', 'gateway: the channel pays another one');
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

export function sessionUnder(
  trust: TrustSource,
  options: OpenSessionOptions,
  opened?: OpenedPayer,
): SealedSession {
  const gatewayUrl = gatewayUrlOf(options.baseUrl);
  const fetch = options.fetch ?? globalThis.fetch;
  const clock = options.clock ?? systemClock;
  const authorization = authorizationOf(options.apiKey, opened);
  return sessionOver(
    {
      trust,
      directory: fetchDirectory({ fetch, gatewayUrl, authorization, clock }),
      send: fetchCarrier({ fetch, gatewayUrl, authorization }),
      payer: opened?.payer.id ?? accountOf(options.apiKey),
      opened,
      paying: {
        announce: announceOver(fetch, gatewayUrl),
        raise: raiseOver(fetch, gatewayUrl),
        askSettlement: askOver(fetch, gatewayUrl),
      },
    },
    options,
  );
}

/** What a gateway books requests with this key under. */
function accountOf(apiKey: string): Bytes<32> {
  return isToken(apiKey) ? parseTokenUnverified(apiKey).voucher.channel : sha256(utf8(apiKey));
}

/** SDKs insist on some key. Whoever pays from a channel needs none, and what is no key of a gateway's is not sent. */
function authorizationOf(apiKey: string, opened: OpenedPayer | undefined): string | undefined {
  const isSent = opened === undefined ? apiKey !== '' : apiKey.startsWith('vg_');
  return isSent ? `Bearer ${apiKey}` : undefined;
}

function announceOver(fetch: Fetch, gatewayUrl: string): Announce {
  return async (channel, signal) => {
    const response = await reachOver(fetch, `${gatewayUrl}/v1/channels`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'application/json' },
      body: Uint8Array.from(utf8(JSON.stringify(channel))),
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANNOUNCE_TIMEOUT_MS)]),
    });
    await response.body?.cancel();
    return response.ok;
  };
}

interface Reach {
  readonly trust: TrustSource;
  readonly directory: Directory;
  readonly send: SealedSend;
  readonly payer: Bytes<32>;
  readonly opened: OpenedPayer | undefined;
  readonly paying: PayReach;
}

function sessionOver(reach: Reach, options: ClientOptions): SealedSession {
  const clock = options.clock ?? systemClock;
  const session = new Session({
    directory: reach.directory,
    trust: reach.trust,
    clock,
    ...pinned(reach.opened?.gateway ?? options.gateway),
    ...(options.onVerdict === undefined ? {} : { onVerdict: options.onVerdict }),
  });
  const payer = reach.opened?.payer.through(session, reach.paying);
  const stream: SealedSession['stream'] = async (call, sink, signal) => {
    const endpoint = endpointAt(call.path);
    if (endpoint === undefined) throw clientError('client.path');
    const envelope = decodeEnvelope(endpoint.path, call.body, REQUEST_BODY_MAX_BYTES);
    const { onProof } = options;
    const keeper = onProof === undefined ? undefined : keepProof(call.body, { session, clock });
    const judge = async (opened: OpenedAnswer): Promise<OpenedAnswer> => {
      if (opened.receipt !== undefined) options.onReceipt?.(opened.receipt);
      const judged = payer === undefined ? await unpaid(opened, { books: session, clock }) : opened;
      if (judged.settlement !== undefined) options.onSettled?.(judged.settlement);
      return judged;
    };
    const answer = await exchange(
      { ...options, session, clock, judge, ...(payer && { payer }) },
      { ...call, ...envelope, path: endpoint.path, payer: reach.payer },
      { send: reach.send, sink: keeper?.along(sink) ?? sink, signal },
    );
    if (keeper !== undefined) onProof?.(await keeper.of(answer));
    return answer;
  };
  return {
    stream,
    complete: async (call, signal = new AbortController().signal) => {
      const body = new Gatherer();
      const { head, receipt, settlement } = await stream(call, collector(body), signal);
      const { status, headers, key } = head;
      const requestId = requestIdOf(head);
      return { status, headers, key, receipt, settlement, requestId, body: body.bytes() };
    },
    keys: (model, signal) => session.keys(model, signal),
    renew: (model, signal) => session.renew(model, signal),
    modelNames: (signal) => reach.directory.modelNames(signal),
    verdicts: () => session.verdicts(),
    close: async () => reach.opened?.close(),
  };
}

function pinned(gateway: string | undefined): { readonly gateway?: string } {
  return gateway === undefined ? {} : { gateway };
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
