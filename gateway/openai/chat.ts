/**
 * POST to the endpoints that workers serve, for apps that use a plain SDK of OpenAI or Anthropic: this gateway reads the prompt, says so in
 * the label, and seals it to a worker like any client. The status line waits for the worker's sealed head.
 * Spec: openai-gateway-and-engine §2.4; overview "Privacy labels".
 * @module
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { toHex } from '../../core/bytes.ts';
import { hasCode, VeilError } from '../../core/errors.ts';
import { completionId, settlementChunk } from '../../protocol/openai/completion.ts';
import { engineEndpointAt, type EndpointPath } from '../../protocol/openai/endpoints.ts';
import { decodeEnvelope } from '../../protocol/openai/envelope.ts';
import { failureOf, openAiFailure, type OpenAiFailure } from '../../protocol/openai/errors.ts';
import { SSE_HEADERS, SSE_PING, sseEvent } from '../../protocol/openai/sse.ts';
import { spokenEnd, spokenFailure, spokenSettlement } from '../../protocol/spoken-failure.ts';
import { PAYMENT_RESPONSE_HEADER } from '../../settlement/x402.ts';
import { drained } from '../drained.ts';
import { breakOff, dropUnread } from '../over-http2.ts';
import { paymentFailureOf, settledJson, type Settled } from '../payments/edge.ts';
import { readJsonBody } from './body.ts';
import { PLAIN_BODY_MAX_BYTES, PING_INTERVAL_MS } from './limits.ts';
import type { NextMsgId } from '../idempotency.ts';
import { rateHeaders, waitHeaders, type RateStanding } from '../rate-headers.ts';
import { givenRequestId, REQUEST_ID_HEADER } from '../request-id.ts';
import { respondFailure } from './respond.ts';
import type { SealedSink } from '../sealed-sink.ts';
import type { AnswerProof, PlainHead, PlainSink, SealedSend, Sealer } from './sealer.ts';

export interface PlainExchange {
  readonly sealed: Uint8Array;
  readonly sink: SealedSink;
  readonly signal: AbortSignal;
  readonly onSettled: (settled: Settled) => void;
}

/** Whose request it is, and the dispatcher bound to that account. */
export interface PlainCaller {
  /** Channel id or SHA-256 of the API key; 32 bytes. */
  readonly payer: Uint8Array;
  /** It is told what each request cost. */
  readonly pays: boolean;
  readonly send: (exchange: PlainExchange) => Promise<void>;
  /** Of a request that must not run twice. */
  readonly nextMsgId?: NextMsgId;
  /** What is left of its rate. */
  readonly standing: () => RateStanding;
  /** Why it was refused for payment, if it was. */
  readonly refusal: () => OpenAiFailure | undefined;
  /** Value of the header PAYMENT-RESPONSE. */
  readonly paymentResponse: (settled: Settled) => string;
}

export interface ChatDeps {
  /** Absent: this gateway serves sealed requests only, and refuses to read a prompt. */
  readonly sealer?: Sealer;
  /** Throws a `VeilError` (401, 403, 429) when the caller may not ask. */
  readonly authenticate: (request: IncomingMessage) => PlainCaller | Promise<PlainCaller>;
  readonly bodyMaxBytes?: number;
  readonly pingIntervalMs?: number;
  /** Absent: proofs of answers are not kept. */
  readonly onProven?: (proof: AnswerProof, payer: Uint8Array) => void;
  /** For logs and counters: what ended the request other than a whole answer. */
  readonly onFailure?: (error: unknown, stage: 'before-head' | 'after-head') => void;
}

export interface HttpExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

/** Owns the response to its end; never rejects. */
export async function handlePlain(
  deps: ChatDeps,
  path: EndpointPath,
  { request, response }: HttpExchange,
): Promise<void> {
  const givenId = givenRequestId(request.headers[REQUEST_ID_HEADER]);
  const pingIntervalMs = deps.pingIntervalMs ?? PING_INTERVAL_MS;
  const answer = new PlainAnswer({ path, response, pingIntervalMs, givenId });
  const left = new AbortController();
  // Every connection closes in the end; the app has left when that was before the end of its answer.
  response.once('close', () => {
    if (!response.writableFinished) left.abort();
  });
  let caller: PlainCaller | undefined;
  try {
    if (deps.sealer === undefined) {
      answer.refuse(openAiFailure('plaintext_disabled'));
      return;
    }
    caller = await deps.authenticate(request);
    const { payer, send, pays, paymentResponse, nextMsgId, standing } = caller;
    answer.standing = standing;
    const body = await readJsonBody(request, deps.bodyMaxBytes ?? PLAIN_BODY_MAX_BYTES);
    // Refused here, before a reservation is made for it; the sealer reads the same members again.
    const { model } = decodeEnvelope(path, body, body.length);
    const onSettled = (settled: Settled): void => {
      if (pays) answer.settled(settled, { model, header: paymentResponse(settled) });
    };
    const carry: SealedSend = (sealed, sink, signal) => send({ sealed, sink, signal, onSettled });
    const { onProven } = deps;
    if (onProven !== undefined) answer.proven = (proof) => onProven(proof, payer);
    const plain = { path, body, payer, ...(nextMsgId === undefined ? {} : { nextMsgId }) };
    await deps.sealer.exchange(plain, carry, answer, left.signal);
    answer.complete();
  } catch (error) {
    if (left.signal.aborted) return;
    deps.onFailure?.(error, answer.stage);
    answer.fail(
      caller?.refusal() ?? paymentFailureOf(error) ?? failureOf(error),
      repeatedId(error),
    );
  } finally {
    answer.stop();
    dropUnread(request, response);
  }
}

/** Of the worker's headers only these are passed on: the rest is this gateway's to say. */
const PASSED_HEADERS: readonly string[] = [
  'content-type',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
];

/** A worker may say that asking again is no use. To ask again, and pay again, is the app's own decision. */
function isPassed(name: string, value: string): boolean {
  return PASSED_HEADERS.includes(name) && (name !== 'x-should-retry' || value === 'false');
}

const TOO_MANY_REQUESTS = 429;
const LINE_FEED = 0x0a;
const MS_PER_S = 1000;

interface PlainAnswerOptions {
  readonly path: EndpointPath;
  readonly response: ServerResponse;
  readonly pingIntervalMs: number;
  /** The app's own name for its request. */
  readonly givenId: string | undefined;
}

class PlainAnswer implements PlainSink {
  readonly #path: EndpointPath;
  readonly #response: ServerResponse;
  readonly #pingIntervalMs: number;
  readonly #givenId: string | undefined;
  #ping: NodeJS.Timeout | undefined;
  proven: ((proof: AnswerProof) => void) | undefined;
  #head: PlainHead | undefined;
  #betweenEvents = true;
  /** Set by others before this answer, such as CORS: a refusal keeps them. */
  readonly #headersBefore: readonly string[];
  /** Once it is known who asks. */
  standing: (() => RateStanding) | undefined;

  constructor({ path, response, pingIntervalMs, givenId }: PlainAnswerOptions) {
    this.#path = path;
    this.#response = response;
    this.#pingIntervalMs = pingIntervalMs;
    this.#givenId = givenId;
    this.#headersBefore = response.getHeaderNames();
  }

  get stage(): 'before-head' | 'after-head' {
    return this.#head === undefined ? 'before-head' : 'after-head';
  }

  head(head: PlainHead): void {
    this.#head = head;
    const response = this.#response;
    response.statusCode = head.status;
    for (const [name, value] of head.headers) {
      if (isPassed(name.toLowerCase(), value)) response.setHeader(name, value);
    }
    response.setHeader('sx-privacy', 'gateway-visible');
    response.setHeader('sx-worker', toHex(head.workerId));
    response.setHeader('sx-kid', toHex(head.kid));
    response.setHeader('sx-evidence', toHex(head.statementHash));
    response.setHeader('sx-policy', toHex(head.policyDigest));
    if (head.simulated) response.setHeader('sx-simulated', 'true');
    response.setHeader(REQUEST_ID_HEADER, this.#givenId ?? head.requestId);
    response.setHeader('sx-request-id', head.requestId);
    this.#showRate();
    if (!this.#streams()) return;
    for (const [name, value] of SSE_HEADERS) response.setHeader(name, value);
    response.flushHeaders();
    this.#ping = setInterval(() => this.#pingIfIdle(), this.#pingIntervalMs);
  }

  data(bytes: Uint8Array): boolean {
    if (this.#response.destroyed) return true;
    this.#ping?.refresh();
    this.#betweenEvents = bytes.at(-1) === LINE_FEED;
    return this.#response.write(bytes);
  }

  /** Until the app has read, or has left. */
  drain(): Promise<void> {
    return drained(this.#response);
  }

  /** After the last content and before `[DONE]`; in a whole answer, as a header. */
  settled(
    settled: Settled,
    { model, header }: { readonly model: string; readonly header: string },
  ): void {
    const response = this.#response;
    if (response.destroyed) return;
    if (!response.headersSent) {
      response.setHeader(PAYMENT_RESPONSE_HEADER, header);
      return;
    }
    if (!this.#streams()) return;
    const { requestId, endMs } = settled.receipt.receipt;
    const enginePath = engineEndpointAt(this.#path)?.path;
    if (enginePath === undefined) {
      response.write(spokenSettlement(settledJson(settled)));
      return;
    }
    const created = Math.floor(endMs / MS_PER_S);
    const chunk = settlementChunk(
      enginePath,
      { id: completionId(enginePath, requestId), created, model },
      settledJson(settled),
    );
    response.write(sseEvent(chunk));
  }

  complete(): void {
    this.#response.end();
  }

  refuse(failure: OpenAiFailure): void {
    const spoken = spokenFailure(this.#path, failure);
    const standing = this.#showRate();
    const wait =
      standing === undefined || failure.status !== TOO_MANY_REQUESTS ? {} : waitHeaders(standing);
    const headers = [...spoken.headers, ...Object.entries(wait)];
    respondFailure(this.#response, { ...spoken, headers });
  }

  #keeps(name: string): boolean {
    return name === REQUEST_ID_HEADER || this.#headersBefore.includes(name);
  }

  #showRate(): RateStanding | undefined {
    const standing = this.standing?.();
    if (standing === undefined || this.#response.headersSent) return undefined;
    for (const [name, value] of Object.entries(rateHeaders(standing))) {
      this.#response.setHeader(name, value);
    }
    return standing;
  }

  /**
   * Before the status line: an HTTP error, so that typed errors and retries work. After it: an error event, and no end that
   * looks like one, so that even a reader who skips events sees that this was not all.
   */
  fail(failure: OpenAiFailure, repeated?: string): void {
    const response = this.#response;
    if (!response.headersSent) {
      const own = response.getHeaderNames().filter((name) => !this.#keeps(name));
      for (const name of own) response.removeHeader(name);
      if (repeated !== undefined) response.setHeader('sx-request-id', repeated);
      this.refuse(failure);
      return;
    }
    if (this.#streams()) breakOff(response, spokenEnd(this.#path, failure));
    else response.destroy();
  }

  stop(): void {
    clearInterval(this.#ping);
  }

  /** A comment is legal only between events, and pieces may end anywhere. */
  #pingIfIdle(): void {
    if (this.#betweenEvents && !this.#response.writableNeedDrain) this.#response.write(SSE_PING);
  }

  #streams(): boolean {
    return this.#head?.headers.some(isEventStream) ?? false;
  }
}

/** The exchange that its key was used for before: what it came to is at `/v1/settlements`. */
function repeatedId(error: unknown): string | undefined {
  if (!hasCode(error, 'sx.replay') || !(error instanceof VeilError)) return undefined;
  const { requestId } = error.facts;
  return typeof requestId === 'string' ? `sx_${requestId}` : undefined;
}

function isEventStream([name, value]: readonly [string, string]): boolean {
  return name.toLowerCase() === 'content-type' && value.startsWith('text/event-stream');
}
