/**
 * POST to the endpoints that workers serve, for apps that use a plain SDK of OpenAI or Anthropic: this gateway reads the prompt, says so in
 * the label, and seals it to a worker like any client. The status line waits for the worker's sealed head.
 * Spec: openai-gateway-and-engine §2.4; overview "Privacy labels".
 * @module
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { toHex } from '../../core/bytes.ts';
import { completionId, settlementChunk } from '../../protocol/openai/completion.ts';
import { engineEndpointAt, type EndpointPath } from '../../protocol/openai/endpoints.ts';
import { decodeEnvelope } from '../../protocol/openai/envelope.ts';
import { failureOf, openAiFailure, type OpenAiFailure } from '../../protocol/openai/errors.ts';
import { SSE_HEADERS, SSE_PING, sseEvent } from '../../protocol/openai/sse.ts';
import { spokenEnd, spokenFailure, spokenSettlement } from '../../protocol/spoken-failure.ts';
import { PAYMENT_RESPONSE_HEADER } from '../../settlement/x402.ts';
import { drained } from '../drained.ts';
import { paymentFailureOf, settledJson, type Settled } from '../payments/edge.ts';
import { dropRest } from '../refused-body.ts';
import { readJsonBody } from './body.ts';
import { CHAT_BODY_MAX_BYTES, PING_INTERVAL_MS } from './limits.ts';
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
  const answer = new PlainAnswer(path, response, deps.pingIntervalMs ?? PING_INTERVAL_MS);
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
    const { payer, send, pays, paymentResponse } = caller;
    const body = await readJsonBody(request, deps.bodyMaxBytes ?? CHAT_BODY_MAX_BYTES);
    // Refused here, before a reservation is made for it; the sealer reads the same members again.
    const { model } = decodeEnvelope(path, body, body.length);
    const onSettled = (settled: Settled): void => {
      if (pays) answer.settled(settled, { model, header: paymentResponse(settled) });
    };
    const carry: SealedSend = (sealed, sink, signal) => send({ sealed, sink, signal, onSettled });
    const { onProven } = deps;
    if (onProven !== undefined) answer.proven = (proof) => onProven(proof, payer);
    await deps.sealer.exchange({ path, body, payer }, carry, answer, left.signal);
    answer.complete();
  } catch (error) {
    if (left.signal.aborted) return;
    deps.onFailure?.(error, answer.stage);
    answer.fail(caller?.refusal() ?? paymentFailureOf(error) ?? failureOf(error));
  } finally {
    answer.stop();
    if (!request.complete) dropRest(request);
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

const LINE_FEED = 0x0a;
const MS_PER_S = 1000;

class PlainAnswer implements PlainSink {
  readonly #path: EndpointPath;
  readonly #response: ServerResponse;
  readonly #pingIntervalMs: number;
  #ping: NodeJS.Timeout | undefined;
  proven: ((proof: AnswerProof) => void) | undefined;
  #head: PlainHead | undefined;
  #betweenEvents = true;

  constructor(path: EndpointPath, response: ServerResponse, pingIntervalMs: number) {
    this.#path = path;
    this.#response = response;
    this.#pingIntervalMs = pingIntervalMs;
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
    response.setHeader('x-request-id', head.requestId);
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
    respondFailure(this.#response, spokenFailure(this.#path, failure));
  }

  /**
   * Before the status line: an HTTP error, so that typed errors and retries work. After it: an error event, and the
   * connection ends without the closing chunk, so that even a reader who skips events sees that this was not all.
   */
  fail(failure: OpenAiFailure): void {
    const response = this.#response;
    if (!response.headersSent) {
      for (const name of response.getHeaderNames()) response.removeHeader(name);
      this.refuse(failure);
      return;
    }
    const { socket } = response;
    if (!this.#streams()) {
      response.destroy();
      return;
    }
    response.write(spokenEnd(this.#path, failure), () => socket?.end());
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

function isEventStream([name, value]: readonly [string, string]): boolean {
  return name.toLowerCase() === 'content-type' && value.startsWith('text/event-stream');
}
