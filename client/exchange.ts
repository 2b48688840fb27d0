/**
 * One exchange, start to end, without web streams: pick keys, seal, send, open, and once again with fresh keys when the
 * gateway knows none of them. `sealedFetch` and the gateway's convenience mode are thin shells around it.
 * Spec: docs/protocol.md "Failover and errors".
 * @module
 */

import { equalPublic, type Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { hasCode } from '../core/errors.ts';
import type { AttestedKey, KemName } from '../attestation/verdict.ts';
import { endpointAt, type EndpointPath } from '../protocol/openai/endpoints.ts';
import { ceilingOf } from '../protocol/price.ts';
import { RECIPIENTS_MAX } from '../protocol/sx/limits.ts';
import { sealRequest, type SealedRequest } from '../protocol/sx/seal.ts';
import {
  AnswerOpener,
  type AnswerSink,
  type OpenedAnswer,
  type ReadAlong,
} from './answer-opener.ts';
import type { SealedSend } from './carrier.ts';
import { clientError } from './errors.ts';
import {
  AMOUNT_DEFAULT_MAX,
  DEADLINE_MS,
  RECIPIENTS_DEFAULT,
  TEMPLATE_TOKENS,
  TTL_S,
} from './limits.ts';
import type { ExchangePayer } from './pay/payer.ts';
import { shuffled } from './shuffle.ts';

export interface ExchangeRequest {
  /** Inner path. */
  readonly path: EndpointPath;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
  readonly model: string;
  readonly mode: 'stream' | 'unary';
  readonly choices: number;
  /** Per choice; undefined leaves it to the workers' limit. */
  readonly outputTokens: number | undefined;
  /** Channel id or SHA-256 of the API key. */
  readonly payer: Bytes<32>;
  /** Asked each time that the request is sealed. Absent: drawn. */
  readonly nextMsgId?: () => Promise<Bytes<16>>;
}

/** Where verified keys come from: a `Session`. */
export interface KeySource {
  keys(model: string, signal: AbortSignal): Promise<readonly AttestedKey[]>;
  renew(model: string, signal: AbortSignal): Promise<readonly AttestedKey[]>;
}

export interface ExchangeOptions {
  readonly session: KeySource;
  readonly clock: Clock;
  readonly recipients?: number;
  readonly allowedKems?: readonly KemName[];
  /** The most one exchange may cost, in the asset's atomic unit; dearer workers are left out. Default: 1 TON or 5 USDT. */
  readonly maxAmount?: bigint;
  readonly deadlineMs?: number;
  readonly constantRate?: boolean;
  /** Absent: nobody pays, or an API key's account does. */
  readonly payer?: ExchangePayer;
  /** Of a whole answer, before the app gets its end: rejects when it must not. */
  readonly judge?: (answer: OpenedAnswer) => Promise<OpenedAnswer>;
}

const DEFAULT_KEMS: readonly KemName[] = ['X-Wing'];
/** What the prelude has room for (P§3.1). */
const U32_MAX = 0xffff_ffff;
const U64_MAX = 0xffff_ffff_ffff_ffffn;

/**
 * Resolves after FINAL, the receipt's verification and the judge's word; part of an event stream may have reached the sink
 * when it rejects, never its end. Throws `client.*`, `sx.*`; the abort reason when `signal` fired.
 */
export async function exchange(
  options: ExchangeOptions,
  request: ExchangeRequest,
  via: { readonly send: SealedSend; readonly sink: AnswerSink; readonly signal: AbortSignal },
): Promise<OpenedAnswer> {
  const opened = await inTime(options, request, via);
  const judged = (await options.judge?.(opened)) ?? opened;
  judged.release();
  return judged;
}

type Via = Parameters<typeof exchange>[2];

async function inTime(
  options: ExchangeOptions,
  request: ExchangeRequest,
  via: Via,
): Promise<OpenedAnswer> {
  const deadline = AbortSignal.timeout(options.deadlineMs ?? DEADLINE_MS);
  const signal = AbortSignal.any([via.signal, deadline]);
  try {
    return await attempts(options, request, { ...via, signal });
  } catch (error) {
    // An abort error would read as the app's own wish to stop, and SDKs end such a stream quietly.
    if (deadline.aborted && !via.signal.aborted) {
      throw clientError('client.deadline', '', { cause: error });
    }
    via.signal.throwIfAborted();
    throw error;
  }
}

async function attempts(
  options: ExchangeOptions,
  request: ExchangeRequest,
  via: Via,
): Promise<OpenedAnswer> {
  const known = await options.session.keys(request.model, via.signal);
  const first = seal(options, request, known, await request.nextMsgId?.());
  try {
    return await deliver(options, first, via);
  } catch (error) {
    const stale = hasCode(error, 'sx.key_unknown') || hasCode(error, 'sx.no_recipient');
    if (!stale) throw error;
    const fresh = await options.session.renew(request.model, via.signal);
    // The same keys again would fail again; a gateway cannot make the client spin.
    const tried = new Set(first.keys.map((key) => key.kid.join()));
    if (fresh.every((key) => tried.has(key.kid.join()))) throw error;
    return deliver(options, seal(options, request, fresh, await request.nextMsgId?.()), via);
  }
}

function deliver({ payer }: ExchangeOptions, sealed: SealedTo, via: Via): Promise<OpenedAnswer> {
  if (payer === undefined) return sendOnce(sealed.request, via);
  const { body, choices } = sealed;
  return payer.pay(
    { sealed: sealed.request, body, choices },
    ({ headers, recount, onMeter }) =>
      sendOnce(sealed.request, via, { headers, along: { reader: recount, onMeter } }),
    via.signal,
  );
}

async function sendOnce(
  sealed: SealedRequest,
  via: Via,
  payment?: { readonly headers: Readonly<Record<string, string>>; readonly along: ReadAlong },
): Promise<OpenedAnswer> {
  const opener = new AnswerOpener(sealed, via.sink, payment?.along);
  const signal = AbortSignal.any([via.signal, opener.stopped]);
  try {
    await via.send(sealed.bytes, opener, signal, payment?.headers);
  } catch (error) {
    // An app may leave once it has read all that it wants, and so may the gateway: with FINAL nothing is missing.
    if (!opener.isComplete) throw opener.failureOr(error);
  }
  if (!opener.isComplete) via.signal.throwIfAborted();
  return opener.finish();
}

interface SealedTo {
  readonly request: SealedRequest;
  readonly keys: readonly AttestedKey[];
  readonly body: Uint8Array;
  readonly choices: number;
}

function seal(
  options: ExchangeOptions,
  request: ExchangeRequest,
  known: readonly AttestedKey[],
  msgId: Bytes<16> | undefined,
): SealedTo {
  const allowed = options.allowedKems ?? DEFAULT_KEMS;
  const serving = known.filter((key) => serves(key, request.path));
  if (serving.length === 0) throw clientError('client.endpoint');
  // Channels hold TON.
  const payable = options.payer === undefined ? serving : serving.filter(isPaidInTon);
  const { keys, bounds } = recipients(options, request, ofOneKind(payable, allowed));
  const [some] = keys;
  if (some === undefined) throw clientError('client.none_usable');
  return {
    keys,
    body: request.body,
    choices: request.choices,
    request: sealRequest({
      keys,
      request: { path: request.path, headers: request.headers, body: request.body },
      bounds: { ...bounds, asset: some.prices.asset === 'TON' ? 0 : 1 },
      payer: request.payer,
      stream: request.mode === 'stream',
      ttlS: TTL_S,
      deadlineMs: options.deadlineMs ?? DEADLINE_MS,
      nowMs: options.clock(),
      ...(msgId === undefined ? {} : { msgId }),
      flags: { receiptRequired: true, constantRate: options.constantRate ?? false },
      allowedKems: allowed,
    }),
  };
}

/** A worker is asked only for what its card promises. */
function serves({ model }: AttestedKey, path: EndpointPath): boolean {
  const capability = endpointAt(path)?.capability;
  return capability !== undefined && model.capabilities.includes(capability);
}

/** The best allowed KEM that any key has, never a worse one beside it; and one asset, that of most keys. */
function ofOneKind(
  keys: readonly AttestedKey[],
  allowed: readonly KemName[],
): readonly AttestedKey[] {
  const kem = (['X-Wing', 'X25519'] as const).find(
    (name) => allowed.includes(name) && keys.some((key) => key.kem === name),
  );
  const ofKem = ofOnePolicy(keys.filter((key) => key.kem === kem));
  const inTon = ofKem.filter(isPaidInTon);
  return inTon.length * 2 >= ofKem.length ? inTon : ofKem.filter((key) => !inTon.includes(key));
}

function isPaidInTon(key: AttestedKey): boolean {
  return key.prices.asset === 'TON';
}

/** While a candidate is in force for some workers there are two: drawn, so that each policy gets its share of requests. */
function ofOnePolicy(keys: readonly AttestedKey[]): readonly AttestedKey[] {
  const [drawn] = shuffled(keys);
  return keys.filter((key) => drawn && equalPublic(key.policyDigest, drawn.policyDigest));
}

interface Bounds {
  readonly maxAmount: bigint;
  readonly maxPrompt: number;
  readonly maxOutput: number;
}

/**
 * In an order that nobody outside can guess, each key that fits beside those already taken: one ceiling and two bounds stand
 * for all recipients, and a card is its owner's to write, so an absurd one must not spoil the request for the others.
 */
function recipients(
  options: ExchangeOptions,
  request: ExchangeRequest,
  usable: readonly AttestedKey[],
): { readonly keys: readonly AttestedKey[]; readonly bounds: Bounds } {
  const count = Math.min(options.recipients ?? RECIPIENTS_DEFAULT, RECIPIENTS_MAX);
  let keys: readonly AttestedKey[] = [];
  let bounds: Bounds = { maxAmount: 0n, maxPrompt: 0, maxOutput: 0 };
  for (const key of shuffled(usable)) {
    if (keys.length === count) break;
    const amountMax = least(U64_MAX, options.maxAmount ?? AMOUNT_DEFAULT_MAX[key.prices.asset]);
    const joined = [...keys, key];
    const needed = boundsOf(joined, request);
    if (needed.maxOutput > U32_MAX || needed.maxAmount > amountMax) continue;
    keys = joined;
    bounds = needed;
  }
  return { keys, bounds };
}

function least(one: bigint, other: bigint): bigint {
  return one < other ? one : other;
}

/** A worker refuses a ceiling below its own price of *both* bounds, so each is priced at the widest bounds of all. */
function boundsOf(keys: readonly AttestedKey[], request: ExchangeRequest): Bounds {
  const maxPrompt = Math.max(...keys.map((key) => promptBound(key, request)));
  const maxOutput = Math.max(...keys.map((key) => outputBound(key, request)));
  const maxAmount = keys
    .map((key) => ceilingOf(key.prices, maxPrompt, maxOutput))
    .reduce((a, b) => (a > b ? a : b));
  return { maxAmount, maxPrompt, maxOutput };
}

/** Every token is at least one byte of the body, which repeats all of the prompt; a worker reads no more than its limit. */
function promptBound(key: AttestedKey, request: ExchangeRequest): number {
  return Math.min(request.body.length + TEMPLATE_TOKENS, key.limits.maxPromptTokens);
}

function outputBound(key: AttestedKey, request: ExchangeRequest): number {
  const perChoice = Math.min(
    request.outputTokens ?? key.limits.maxOutputTokens,
    key.limits.maxOutputTokens,
  );
  return perChoice * request.choices;
}
