/**
 * Owns a request from sealed bytes to the last sealed byte: open, admit, decode, bound, generate, seal, sign. Before
 * opening, refusals are bare; after it, every error is said inside the seal, and every exchange ends with a receipt.
 * Spec: gateways-and-e2ee §7.4–7.6, §7.10; openai-gateway-and-engine §2.2–2.6.
 * @module
 */

import { fixed, type Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { hasCode, VeilError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { codeOf } from '../core/node/log.ts';
import type { Card } from '../attestation/card.ts';
import { decodeChatRequest, type ChatRequest } from '../protocol/openai/chat.ts';
import {
  chatCompletion,
  completionId,
  finishChunk,
  roleChunk,
  textChunk,
  usageChunk,
  type AnswerIdentity,
  type FinishReason,
} from '../protocol/openai/completion.ts';
import { failureOf, openAiFailure, type OpenAiFailure } from '../protocol/openai/errors.ts';
import { SSE_DONE, SSE_PING, sseEvent } from '../protocol/openai/sse.ts';
import { ceilingOf } from '../protocol/price.ts';
import type { ReceiptOutcome, Usage } from '../protocol/receipt.ts';
import { sxError } from '../protocol/sx/errors.ts';
import { INNER_REQUEST_MAX_BYTES } from '../protocol/sx/limits.ts';
import { assertRouted, openRequest, type OpenedRequest } from '../protocol/sx/open.ts';
import type { Prelude } from '../protocol/sx/prelude.ts';
import type { ReplaySet } from '../protocol/sx/replay.ts';
import type { Earnings } from './earnings/earnings.ts';
import type { Engine, EngineEvent, GenerateJob, Generation } from './engine.ts';
import type { WorkerLog } from './events.ts';
import type { Epochs, ServingEpoch } from './keys.ts';
import { HEAD_HOLD_MAX_MS, PING_EVERY_MS } from './limits.ts';
import { Metering } from './metering.ts';
import type { ReceiptStore } from './receipts.ts';
import type { RunningExchanges } from './running.ts';
import { SealedAnswer, type ExchangeSink } from './sealed-answer.ts';

export interface ExchangeDeps {
  readonly card: Card;
  readonly engine: Engine;
  readonly epochs: Epochs;
  readonly replay: ReplaySet;
  readonly receipts: ReceiptStore;
  readonly earnings: Earnings;
  readonly running: RunningExchanges;
  readonly load: ExchangeLoad;
  readonly clock: Clock;
  readonly log: WorkerLog;
}

/** How many exchanges run, and whether more may begin. */
export class ExchangeLoad {
  readonly #max: number;
  #active = 0;
  #closing = false;
  #idle: (() => void) | undefined;

  constructor(max: number) {
    this.#max = max;
  }

  get active(): number {
    return this.#active;
  }

  get full(): boolean {
    return this.#closing || this.#active >= this.#max;
  }

  enter(): void {
    this.#active++;
  }

  leave(): void {
    this.#active--;
    if (this.#active === 0) this.#idle?.();
  }

  /** No more from now on; resolves when the last one has ended. */
  drain(): Promise<void> {
    this.#closing = true;
    if (this.#active === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#idle = resolve;
    });
  }
}

/** What the link says beside the sealed bytes. */
export interface LinkCall {
  /** Aborts when the gateway went away. */
  readonly gone: AbortSignal;
  /** The gateway wants a METER after so many tokens. */
  readonly meterEvery?: number;
}

/** Never rejects. */
export async function handleExchange(
  deps: ExchangeDeps,
  bytes: Uint8Array,
  sink: ExchangeSink,
  call: LinkCall,
): Promise<void> {
  let opened: OpenedRequest;
  try {
    opened = openRequest(bytes, {
      keys: deps.epochs.recipients,
      replay: deps.replay,
      nowMs: deps.clock(),
      admit: (prelude) => admit(deps, prelude),
    });
  } catch (error) {
    refuseInClear(deps, sink, error);
    return;
  }
  const epoch = deps.epochs.of(opened.recipient.statementHash);
  if (epoch === undefined) {
    refuseInClear(deps, sink, sxError('sx.key_unknown'));
    return;
  }
  deps.load.enter();
  const credit = deps.earnings.enter(ceilingFor(deps.card, opened.prelude));
  const { stopped, leave } = deps.running.enter(opened.prelude.msgId);
  try {
    await answer(deps, { opened, epoch, call, stopped, startMs: deps.clock() }, sink);
  } finally {
    leave();
    credit.leave();
    deps.load.leave();
  }
}

function ceilingFor({ prices }: Card, { maxPrompt, maxOutput }: Prelude): bigint {
  return ceilingOf(prices, maxPrompt, maxOutput);
}

/** On clear data alone, before anything is consumed: the gateway may still go elsewhere. */
function admit({ card, engine, load, earnings }: ExchangeDeps, prelude: Prelude): void {
  if (load.full || !engine.healthy()) throw sxError('sx.busy');
  const asset = card.prices.asset === 'TON' ? 0 : 1;
  const ceiling = ceilingFor(card, prelude);
  if (prelude.asset !== asset || prelude.maxAmount < ceiling) throw sxError('sx.price');
  earnings.admit(ceiling);
}

function refuseInClear(deps: ExchangeDeps, sink: ExchangeSink, error: unknown): void {
  const reason = error instanceof VeilError ? error.facts['reason'] : undefined;
  deps.log.event('exchange.refused', {
    code: codeOf(error),
    reason: typeof reason === 'string' ? reason : '',
  });
  sink.refuse(error instanceof VeilError ? error.spec.status : 500);
}

interface Exchange {
  readonly opened: OpenedRequest;
  readonly epoch: ServingEpoch;
  readonly call: LinkCall;
  /** Aborts when the gateway wants the answer to end as it is. */
  readonly stopped: AbortSignal;
  readonly startMs: number;
}

/** How an exchange ended, for the receipt and the log. */
interface Ending {
  readonly outcome: ReceiptOutcome;
  readonly usage: Usage;
  readonly code: string | undefined;
}

const NOTHING_USED: Usage = { prompt: 0, cached: 0, completion: 0, reasoning: 0 };

async function answer(deps: ExchangeDeps, exchange: Exchange, sink: ExchangeSink): Promise<void> {
  const { opened, epoch, startMs } = exchange;
  sink.accept(opened.kid);
  const out = new SealedAnswer(opened.responder, sink);
  const ending = await answered(deps, exchange, out);
  const endMs = deps.clock();
  const { usage, outcome } = ending;
  const policyDigest = policyOf(opened);
  const signed = out.finish({ signer: epoch.signer, policyDigest, usage, outcome, startMs, endMs });
  deps.receipts.keep(signed, endMs);
  deps.earnings.issued(signed);
  deps.log.event('exchange.done', {
    request: opened.prelude.msgId,
    status: out.status ?? 0,
    outcome,
    code: ending.code,
    prompt_tokens: usage.prompt,
    completion_tokens: usage.completion,
    duration_ms: endMs - startMs,
  });
}

async function answered(
  deps: ExchangeDeps,
  exchange: Exchange,
  out: SealedAnswer,
): Promise<Ending> {
  const plan = planOf(deps, exchange);
  if (plan.kind === 'refused') return refuseSealed(out, plan.failure, NOTHING_USED);
  const { call, stopped } = exchange;
  const { prelude } = exchange.opened;
  const leftMs = prelude.issuedAtMs + prelude.deadlineMs - deps.clock();
  if (leftMs <= 0) return refuseSealed(out, openAiFailure('timeout'), NOTHING_USED);
  const deadline = AbortSignal.timeout(leftMs);
  const stop = AbortSignal.any([call.gone, deadline, stopped]);
  const { request, job } = plan;
  let usage = (): Usage => NOTHING_USED;
  try {
    const generation = deps.engine.generate(job, stop);
    usage = generation.usage;
    const identity = identityOf(deps, exchange);
    const events = endingEarly(generation, () => isStopped(exchange, deadline));
    const answering = { request, identity, out, generation, events };
    const reason =
      request.mode === 'stream'
        ? await answerStream(answering, meteringOf(exchange, generation, out))
        : await answerWhole(answering);
    if (reason !== 'aborted') return { outcome: 'ok', usage: usage(), code: undefined };
  } catch (error) {
    return fail(out, engineFailure(error), usage());
  }
  if (call.gone.aborted) return { outcome: 'cancelled', usage: usage(), code: undefined };
  return fail(out, openAiFailure('timeout'), usage());
}

/** Stopped by the gateway, and by nothing else. */
function isStopped({ call, stopped }: Exchange, deadline: AbortSignal): boolean {
  return stopped.aborted && !call.gone.aborted && !deadline.aborted;
}

/** A generation that the gateway has stopped ends as if the bound on its output were reached. */
async function* endingEarly(
  { events }: Generation,
  isStopped: () => boolean,
): AsyncGenerator<EngineEvent> {
  for await (const event of events) {
    const isCut = event.kind === 'end' && event.reason === 'aborted' && isStopped();
    yield isCut ? { kind: 'end', reason: 'length' } : event;
    if (event.kind === 'end') return;
  }
  if (isStopped()) yield { kind: 'end', reason: 'length' };
}

function meteringOf(
  { call, epoch }: Exchange,
  { usage }: Generation,
  out: SealedAnswer,
): Metering | undefined {
  if (call.meterEvery === undefined) return undefined;
  return new Metering(call.meterEvery, {
    usage,
    send: (counted, seq) => out.meter({ signer: epoch.signer, usage: counted, seq }),
  });
}

type Plan =
  | { readonly kind: 'run'; readonly request: ChatRequest; readonly job: GenerateJob }
  | { readonly kind: 'refused'; readonly failure: OpenAiFailure };

const CHAT_PATH = '/v1/chat/completions';

/** Everything that can be wrong with an opened request, before the engine hears of it. */
function planOf({ card }: ExchangeDeps, { opened, call }: Exchange): Plan {
  const { inner, prelude } = opened;
  if (inner.kind === 'refused') return { kind: 'refused', failure: failureOf(inner.error) };
  if (inner.request.path !== CHAT_PATH) {
    return { kind: 'refused', failure: openAiFailure('unknown_url') };
  }
  let body: unknown;
  try {
    body = parseJson(inner.request.body, INNER_REQUEST_MAX_BYTES);
  } catch (error) {
    return { kind: 'refused', failure: failureOf(error) };
  }
  const decision = decodeChatRequest(body);
  if (decision.outcome === 'refused') return { kind: 'refused', failure: decision.failure };
  const { request } = decision;
  if (!isRouted(prelude, request.model) || request.model !== card.model.id) {
    return { kind: 'refused', failure: openAiFailure('model_not_found', { param: 'model' }) };
  }
  // Reserved for step by step, because the clear flag says that it is streamed: in one piece nobody could count along.
  if (call.meterEvery !== undefined && request.mode !== 'stream') {
    return { kind: 'refused', failure: openAiFailure('invalid_value', { param: 'stream' }) };
  }
  return { kind: 'run', request, job: jobOf(card, prelude, request) };
}

/** The clear route tag was priced and admitted; the sealed model must be the same. */
function isRouted(prelude: Prelude, model: string): boolean {
  try {
    assertRouted(prelude, model);
    return true;
  } catch (error) {
    if (hasCode(error, 'sx.model')) return false;
    throw error;
  }
}

/** The smallest of what the client signed for, what the card allows and what the request asks. */
function jobOf(card: Card, prelude: Prelude, request: ChatRequest): GenerateJob {
  const { maxPromptTokens, maxOutputTokens } = card.limits;
  return {
    messages: request.messages,
    maxPromptTokens: Math.min(maxPromptTokens, prelude.maxPrompt),
    maxOutputTokens: Math.min(
      maxOutputTokens,
      prelude.maxOutput,
      request.maxOutputTokens ?? maxOutputTokens,
    ),
    temperature: request.temperature,
    topP: request.topP,
    ...(request.seed === undefined ? {} : { seed: request.seed }),
    stop: request.stop,
  };
}

const MS_PER_S = 1000;

function identityOf({ card }: ExchangeDeps, { opened, epoch, startMs }: Exchange): AnswerIdentity {
  return {
    id: completionId(opened.prelude.msgId),
    created: Math.floor(startMs / MS_PER_S),
    model: card.model.id,
    systemFingerprint: epoch.systemFingerprint,
  };
}

interface Answering {
  readonly request: ChatRequest;
  readonly identity: AnswerIdentity;
  readonly out: SealedAnswer;
  readonly generation: Generation;
  readonly events: AsyncIterable<EngineEvent>;
}

type EndReason = FinishReason | 'aborted';

async function answerWhole({ identity, out, generation, events }: Answering): Promise<EndReason> {
  let text = '';
  for await (const event of events) {
    if (event.kind === 'text') text += event.text;
    if (event.kind !== 'end') continue;
    if (event.reason !== 'aborted') {
      out.json(200, chatCompletion(identity, text, event.reason, generation.usage()));
    }
    return event.reason;
  }
  return 'aborted';
}

async function answerStream(
  { request, identity, out, generation, events }: Answering,
  metering: Metering | undefined,
): Promise<EndReason> {
  const begin = (): void => {
    if (out.status !== undefined) return;
    out.beginStream();
    out.event(sseEvent(roleChunk(identity)));
  };
  // The status waits for the first text, because an HTTP error is worth more than an event; but not for ever.
  const silence = watchSilence(() => {
    begin();
    out.event(SSE_PING);
  });
  try {
    for await (const event of events) {
      if (event.kind === 'started') continue;
      if (event.kind === 'end' && event.reason === 'aborted') return event.reason;
      silence.heard();
      begin();
      if (event.kind === 'text') {
        out.event(sseEvent(textChunk(identity, event.text)));
        metering?.wrote();
        await out.room();
        continue;
      }
      if (event.reason === 'aborted') return event.reason;
      out.event(sseEvent(finishChunk(identity, event.reason)));
      if (request.includeUsage) out.event(sseEvent(usageChunk(identity, generation.usage())));
      out.event(SSE_DONE);
      return event.reason;
    }
    return 'aborted';
  } finally {
    silence.stop();
  }
}

function watchSilence(ping: () => void): {
  readonly heard: () => void;
  readonly stop: () => void;
} {
  const timer = setInterval(ping, Math.min(PING_EVERY_MS, HEAD_HOLD_MAX_MS));
  return { heard: () => void timer.refresh(), stop: () => clearInterval(timer) };
}

/** Before the sealed head a failure is a status; after it an event, and then neither `finish_reason` nor `[DONE]`. */
function fail(out: SealedAnswer, failure: OpenAiFailure, usage: Usage): Ending {
  if (out.status === undefined) return refuseSealed(out, failure, usage);
  out.event(sseEvent(failure.body));
  return { outcome: 'error', usage, code: failure.body.error.code ?? undefined };
}

function refuseSealed(out: SealedAnswer, failure: OpenAiFailure, usage: Usage): Ending {
  out.failure(failure);
  return { outcome: 'error', usage, code: failure.body.error.code ?? undefined };
}

function engineFailure(error: unknown): OpenAiFailure {
  if (hasCode(error, 'engine.prompt_too_long')) {
    return openAiFailure('context_length_exceeded', { param: 'messages' });
  }
  if (hasCode(error, 'engine.busy') || hasCode(error, 'engine.down')) {
    return openAiFailure('no_attested_worker');
  }
  return openAiFailure('worker_failed');
}

const NO_POLICY_BYTES = 32;

function policyOf(opened: OpenedRequest): Bytes<32> {
  if (opened.inner.kind === 'request') return opened.inner.policyDigest;
  return fixed(new Uint8Array(NO_POLICY_BYTES), NO_POLICY_BYTES);
}
