/**
 * Owns a request from sealed bytes to the last sealed byte: open, admit, decode, bound, generate, seal, sign. Before
 * opening, refusals are bare; after it, every error is said inside the seal, and every exchange ends with a receipt.
 * Spec: gateways-and-e2ee §7.4–7.6, §7.10; openai-gateway-and-engine §2.2–2.6.
 * @module
 */

import { fixed, type Bytes } from '../core/bytes.ts';
import type { Clock } from '../core/clock.ts';
import { hasCode, VeilError } from '../core/errors.ts';
import { codeOf } from '../core/node/log.ts';
import type { Card } from '../attestation/card.ts';
import type { AnswerIdentity } from '../protocol/openai/answer-shape.ts';
import { completionId } from '../protocol/openai/completion.ts';
import { embeddingList } from '../protocol/openai/embeddings.ts';
import type { EnginePath } from '../protocol/openai/endpoints.ts';
import { openAiFailure, type OpenAiFailure } from '../protocol/openai/errors.ts';
import { ceilingOf } from '../protocol/price.ts';
import type { ReceiptOutcome, Usage } from '../protocol/receipt.ts';
import { sxError } from '../protocol/sx/errors.ts';
import { openEhbpRequest } from '../protocol/ehbp/open.ts';
import { openRequest, type Opened } from '../protocol/sx/open.ts';
import { isMetered, type Prelude } from '../protocol/sx/prelude.ts';
import type { ReplaySet } from '../protocol/sx/replay.ts';
import type { AnswerVoice } from './answer-voice.ts';
import type { Earnings } from './earnings/earnings.ts';
import type { Engine, EngineEvent, Generation } from './engine.ts';
import { engineError } from './errors.ts';
import type { WorkerLog } from './events.ts';
import { answerStream, answerWhole, type AnswerEnd } from './generated-answer.ts';
import type { Epochs, ServingEpoch } from './keys.ts';
import { ANSWER_LATE_MAX_MS, EMBEDDINGS_ANSWER_MAX_CHARS } from './limits.ts';
import { Metering } from './metering.ts';
import type { EmbedPlan, GeneratePlan } from './plan.ts';
import type { ReceiptStore } from './receipts.ts';
import type { RunningExchanges } from './running.ts';
import { SealedAnswer, type ExchangeSink } from './sealed-answer.ts';
import { refusedPlan, spokenPlanOf, type SpokenPlan } from './spoken-plan.ts';
import { toolEvents } from './tool-events.ts';

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
export function handleExchange(
  deps: ExchangeDeps,
  bytes: Uint8Array,
  sink: ExchangeSink,
  call: LinkCall,
): Promise<void> {
  const open = (): Opened =>
    openRequest(bytes, {
      keys: deps.epochs.recipients,
      replay: deps.replay,
      nowMs: deps.clock(),
      admit: (prelude) => admit(deps, prelude),
    });
  return serve(deps, open, sink, call);
}

/** The same for a request of an EHBP client. Never rejects. Spec: docs/ehbp.md. */
export function handleEhbp(
  deps: ExchangeDeps,
  bytes: Uint8Array,
  sink: ExchangeSink,
  { gone }: LinkCall,
): Promise<void> {
  const open = (): Opened =>
    openEhbpRequest(bytes, {
      recipients: deps.epochs.ehbp,
      nowMs: deps.clock(),
      admit: (prelude) => admit(deps, prelude),
    });
  return serve(deps, open, sink, { gone });
}

async function serve(
  deps: ExchangeDeps,
  open: () => Opened,
  sink: ExchangeSink,
  call: LinkCall,
): Promise<void> {
  let opened: Opened;
  try {
    opened = open();
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
  readonly opened: Opened;
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
  const { opened } = exchange;
  const leftMs = Math.max(0, timeLeftMs(deps, exchange));
  sink.accept(opened.kid);
  // A gateway that does not read may keep an answer from its reader, but not this worker from the next one.
  sink.cutAfter(leftMs + ANSWER_LATE_MAX_MS);
  const out = new SealedAnswer(opened.responder, sink, leftMs);
  try {
    await conclude(deps, exchange, out);
  } finally {
    out.close();
  }
}

/** Until the client's deadline, by this clock. */
function timeLeftMs({ clock }: ExchangeDeps, { opened }: Exchange): number {
  const { issuedAtMs, deadlineMs } = opened.prelude;
  return issuedAtMs + deadlineMs - clock();
}

async function conclude(deps: ExchangeDeps, exchange: Exchange, out: SealedAnswer): Promise<void> {
  const { opened, epoch, startMs } = exchange;
  const ending = await answered(deps, exchange, out);
  await out.ended(exchange.call.gone);
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
  const { plan, voice } = plannedOrRefused(deps, exchange);
  const spoken = { out, voice };
  if (plan.kind === 'refused') return refuseSealed(spoken, plan.failure, NOTHING_USED);
  const { call, stopped } = exchange;
  const leftMs = timeLeftMs(deps, exchange);
  if (leftMs <= 0) return refuseSealed(spoken, openAiFailure('timeout'), NOTHING_USED);
  const deadline = AbortSignal.timeout(leftMs);
  const stop = AbortSignal.any([call.gone, deadline, stopped]);
  const counted: Counted = { usage: () => NOTHING_USED };
  const serving = { deps, exchange, out, voice, stop, deadline, counted };
  try {
    const end = plan.kind === 'embed' ? await embed(serving, plan) : await generate(serving, plan);
    if (end === 'complete') return { outcome: 'ok', usage: counted.usage(), code: undefined };
  } catch (error) {
    // Nothing of it reached anybody, and whoever asked is not to blame.
    const usage = out.status === undefined ? NOTHING_USED : counted.usage();
    return fail(spoken, engineFailure(error, plan.promptParam), usage);
  }
  if (call.gone.aborted) return { outcome: 'cancelled', usage: counted.usage(), code: undefined };
  return fail(spoken, openAiFailure('timeout'), counted.usage());
}

/** A schema is a stranger's program for a compiler: what it has not foreseen ends one request and not the worker. */
function plannedOrRefused({ card, engine }: ExchangeDeps, { opened, call }: Exchange): SpokenPlan {
  try {
    const spoken = spokenPlanOf(card, opened, engine.offers);
    const { plan } = spoken;
    const isStream = plan.kind === 'generate' && plan.mode === 'stream';
    const isCounted = isStream && isMetered(opened.prelude.flags);
    if (plan.kind === 'refused' || isCounted || call.meterEvery === undefined) return spoken;
    // Reserved for step by step, because the clear flags say that it is streamed: in one piece nobody could count along.
    return refusedPlan(opened, openAiFailure('invalid_value', { param: 'stream' }));
  } catch {
    // Whatever it says may quote the request.
    return refusedPlan(opened, openAiFailure('internal_error'));
  }
}

/** What the engine counts, once it has begun. */
interface Counted {
  usage: () => Usage;
}

interface Serving {
  readonly deps: ExchangeDeps;
  readonly exchange: Exchange;
  readonly out: SealedAnswer;
  readonly voice: AnswerVoice;
  readonly stop: AbortSignal;
  readonly deadline: AbortSignal;
  readonly counted: Counted;
}

function generate(
  { deps, exchange, out, voice, stop, deadline, counted }: Serving,
  { path, job, mode, includeUsage, shape, toolAnswer }: GeneratePlan,
): Promise<AnswerEnd> {
  const generation = deps.engine.generate(job, stop);
  counted.usage = generation.usage;
  const choices = job.prompts.length * job.choices;
  const events = endingEarly(generation, () => isStopped(exchange, deadline));
  const answering = {
    shape: shape(identityOf(deps, exchange, path)),
    voice,
    choices,
    out,
    generation,
    events: toolAnswer === undefined ? events : toolEvents({ events, choices, answer: toolAnswer }),
  };
  if (mode === 'unary') return answerWhole(answering);
  return answerStream(answering, includeUsage, meteringOf(exchange, generation, out));
}

/** Of a number of a vector, at the longest. */
const NUMBER_CHARS = { float: 24, base64: 6 } as const;

async function embed(
  { deps, out, stop, counted }: Serving,
  { job, request }: EmbedPlan,
): Promise<AnswerEnd> {
  const embedding = deps.engine.embed(job, stop);
  counted.usage = embedding.usage;
  let vectors: readonly Float32Array[];
  try {
    vectors = await embedding.vectors;
  } catch (error) {
    if (hasCode(error, 'engine.aborted')) return 'aborted';
    throw error;
  }
  const numbers = vectors.reduce((sum, vector) => sum + vector.length, 0);
  if (numbers * NUMBER_CHARS[request.encoding] > EMBEDDINGS_ANSWER_MAX_CHARS) {
    throw engineError('engine.answer_too_large');
  }
  const list = embeddingList(request, vectors, embedding.usage());
  return out.whole(list) ? 'complete' : 'aborted';
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

const MS_PER_S = 1000;

function identityOf(
  { card }: ExchangeDeps,
  { opened, epoch, startMs }: Exchange,
  path: EnginePath,
): AnswerIdentity {
  return {
    id: completionId(path, opened.prelude.msgId),
    created: Math.floor(startMs / MS_PER_S),
    model: card.model.id,
    systemFingerprint: epoch.systemFingerprint,
  };
}

/** An answer, and how it is said. */
interface Spoken {
  readonly out: SealedAnswer;
  readonly voice: AnswerVoice;
}

/** Before the sealed head a failure is a status; after it an event, and then neither `finish_reason` nor `[DONE]`. */
function fail({ out, voice }: Spoken, failure: OpenAiFailure, usage: Usage): Ending {
  if (out.status === undefined) return refuseSealed({ out, voice }, failure, usage);
  out.event(voice.failed(failure));
  return { outcome: 'error', usage, code: failure.body.error.code ?? undefined };
}

function refuseSealed({ out, voice }: Spoken, failure: OpenAiFailure, usage: Usage): Ending {
  out.failure(voice.refusal(failure));
  return { outcome: 'error', usage, code: failure.body.error.code ?? undefined };
}

function engineFailure(error: unknown, promptParam: string): OpenAiFailure {
  if (hasCode(error, 'engine.prompt_too_long')) {
    return openAiFailure('context_length_exceeded', { param: promptParam });
  }
  if (hasCode(error, 'engine.answer_too_large')) {
    return openAiFailure('request_too_large', { param: promptParam });
  }
  if (hasCode(error, 'engine.logit_bias')) {
    return openAiFailure('invalid_value', { param: 'logit_bias' });
  }
  if (hasCode(error, 'engine.refused')) return openAiFailure('invalid_value');
  if (hasCode(error, 'engine.logprobs')) {
    return openAiFailure('unsupported_parameter', { param: 'logprobs' });
  }
  // Not of the form that the surface in front of chat needs; the same again would be no better.
  if (hasCode(error, 'chat.answer')) return openAiFailure('answer_broken');
  if (hasCode(error, 'engine.busy') || hasCode(error, 'engine.down')) {
    return openAiFailure('no_attested_worker');
  }
  return openAiFailure('worker_failed');
}

const NO_POLICY_BYTES = 32;

function policyOf(opened: Opened): Bytes<32> {
  if (opened.inner.kind === 'request') return opened.inner.policyDigest;
  return fixed(new Uint8Array(NO_POLICY_BYTES), NO_POLICY_BYTES);
}
