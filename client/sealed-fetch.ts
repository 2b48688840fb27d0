/**
 * A `fetch` for OpenAI's and Anthropic's SDKs that speaks sealed: `new OpenAI({ baseURL, apiKey, fetch: sealedFetch({ policy }) })`.
 * What cannot be sealed is refused, never sent plain. Spec: docs/protocol.md "Client"; WHATWG Fetch, Streams.
 * @module
 */

import { toHex, utf8 } from '../core/bytes.ts';
import { deferred } from '../core/deferred.ts';
import { VeilError } from '../core/errors.ts';
import type { AttestedModel } from '../attestation/verdict.ts';
import { endpointAt, type EndpointPath } from '../protocol/openai/endpoints.ts';
import { modelList, modelObject } from '../protocol/openai/models.ts';
import type { AnswerHead, AnswerSink } from './answer-opener.ts';
import { clientError } from './errors.ts';
import { failureResponse } from './failure-response.ts';
import {
  GATEWAYS_MAX,
  MODELS_MAX,
  MODELS_TIMEOUT_MS,
  READ_AHEAD_BYTES,
  REQUEST_BODY_MAX_BYTES,
} from './limits.ts';
import {
  gatewayUrlOf,
  payerOf,
  requestIdOf,
  sessionUnder,
  trustOf,
  type ClientOptions,
  type SealedCall,
  type SealedSession,
} from './open-session.ts';
import type { OpenedPayer } from './pay/open-payer.ts';
import { assertPolicyGiven } from './policy-source.ts';
import type { WorkerVerdict } from './session.ts';
import type { TrustSource } from './trust.ts';
import { withinTime } from './within-time.ts';

export interface SealedFetch {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>;
  /** The latest verdict on every candidate of every gateway used through this function. */
  verdicts(): readonly WorkerVerdict[];
  /**
   * The session behind requests to this gateway with this key, for whoever wants workers verified, and to hear what is wrong
   * with its own options, before the first request. Throws `client.*`, `policy.*`.
   */
  session(baseUrl: string, apiKey: string): Promise<SealedSession>;
  /** Gives a channel file back to other processes. Nothing may be under way. */
  close(): Promise<void>;
}

/**
 * Sessions begin with the first request and live as long as the function. Throws `client.option` without a policy; what
 * is wrong with the policy itself is the answer to the first request.
 */
export function sealedFetch(options: ClientOptions): SealedFetch {
  assertPolicyGiven(options.policy);
  const sessions = new Sessions(options);
  const run = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    try {
      return await answer(sessions, request);
    } catch (error) {
      request.signal.throwIfAborted();
      return failureResponse(error, new URL(request.url).pathname);
    }
  };
  return Object.assign(run, {
    verdicts: () => sessions.verdicts(),
    session: (baseUrl: string, apiKey: string) =>
      sessions.for(`${gatewayUrlOf(baseUrl)}/v1`, apiKey),
    close: () => sessions.close(),
  });
}

/** One session per gateway and key; the SDK holds one of each, so the bound is generous. All under one trust. */
class Sessions {
  readonly #options: ClientOptions;
  readonly #open = new Map<string, SealedSession>();
  #trust: Promise<TrustSource> | undefined;
  #payer: Promise<OpenedPayer | undefined> | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  async for(baseUrl: string, apiKey: string): Promise<SealedSession> {
    gatewayUrlOf(baseUrl); // said before anything is read
    const trust = await this.#opened();
    const payer = await this.#paying();
    const name = `${baseUrl} ${apiKey}`;
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    if (this.#open.size >= GATEWAYS_MAX) throw clientError('client.option', 'too many gateways');
    const session = sessionUnder(trust, { ...this.#options, baseUrl, apiKey }, payer);
    this.#open.set(name, session);
    return session;
  }

  async #opened(): Promise<TrustSource> {
    const opening = (this.#trust ??= trustOf(this.#options));
    try {
      return await opening;
    } catch (error) {
      // A file that was not there may be there at the next request.
      if (this.#trust === opening) this.#trust = undefined;
      throw error;
    }
  }

  async #paying(): Promise<OpenedPayer | undefined> {
    const opening = (this.#payer ??= payerOf(this.#options));
    try {
      return await opening;
    } catch (error) {
      // Whoever pays from it now may have left by the next request.
      if (this.#payer === opening) this.#payer = undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    const opening = this.#payer;
    this.#payer = undefined;
    this.#open.clear();
    await (await opening)?.close();
  }

  verdicts(): readonly WorkerVerdict[] {
    return [...this.#open.values()].flatMap((session) => session.verdicts());
  }
}

const MODELS_PATH = '/v1/models';

async function answer(sessions: Sessions, request: Request): Promise<Response> {
  const url = new URL(request.url);
  const at = url.pathname.lastIndexOf('/v1/');
  const path = url.pathname.slice(Math.max(at, 0));
  if (at === -1 || url.search !== '') throw clientError('client.path');
  const baseUrl = `${url.origin}${url.pathname.slice(0, at)}/v1`;
  const session = (): Promise<SealedSession> => sessions.for(baseUrl, apiKeyOf(request));
  const endpoint = endpointAt(path);
  if (request.method === 'POST' && endpoint !== undefined) {
    return sealedAnswer(await session(), endpoint.path, request);
  }
  if (request.method === 'GET' && path === MODELS_PATH) {
    const opened = await session();
    return withinTime(MODELS_TIMEOUT_MS, request.signal, (signal) => provenModels(opened, signal));
  }
  if (request.method === 'GET' && path.startsWith(`${MODELS_PATH}/`)) {
    const id = decoded(path.slice(MODELS_PATH.length + 1));
    return provenModel(await session(), id, request.signal);
  }
  throw clientError('client.path');
}

/** Throws `client.path` for a text that percent-encodes nothing. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw clientError('client.path', '', { cause });
  }
}

function apiKeyOf(request: Request): string {
  const match = /^Bearer (\S{1,512})$/.exec(request.headers.get('authorization') ?? '');
  // Anthropic's SDK shows its key in a header of its own.
  const [key] = /^\S{1,512}$/.exec(request.headers.get('x-api-key') ?? '') ?? [];
  return match?.[1] ?? key ?? '';
}

/** A `Response` with one of these refuses a body. Spec: WHATWG Fetch, "null body status". */
const BODILESS_STATUSES: readonly number[] = [204, 205, 304];

async function sealedAnswer(
  session: SealedSession,
  path: EndpointPath,
  request: Request,
): Promise<Response> {
  const body = new Uint8Array(await request.arrayBuffer());
  if (body.length > REQUEST_BODY_MAX_BYTES) throw clientError('client.request', 'size');
  const call: SealedCall = { path, headers: innerHeaders(request), body };
  const started = deferred<Response>();
  const leave = new AbortController();
  const pipe = new Pipe(leave, (head, stream) => {
    const body = BODILESS_STATUSES.includes(head.status) ? null : stream;
    started.resolve(new Response(body, { status: head.status, headers: labelled(head) }));
  });
  // The response begins with the authenticated head; what fails later errors its stream.
  const signal = AbortSignal.any([request.signal, leave.signal]);
  UNDER_WAY.add(request);
  session
    .stream(call, pipe, signal)
    .then(
      () => pipe.close(),
      (error: unknown) => {
        pipe.break(error);
        started.reject(error);
      },
    )
    .finally(() => UNDER_WAY.delete(request));
  return started.promise;
}

/** A signal that a `Request` made follows the app's own only as long as the request itself is not collected as garbage. */
const UNDER_WAY = new Set<Request>();

const INNER_HEADERS = ['sx-cache-salt', 'sx-priority', 'idempotency-key'] as const;

function innerHeaders(request: Request): SealedCall['headers'] {
  const headers: (readonly [string, string])[] = [['content-type', 'application/json']];
  for (const name of INNER_HEADERS) {
    const value = request.headers.get(name);
    if (value !== null) headers.push([name, value]);
  }
  return headers;
}

/** From push to web stream. A stream that broke is *errored*: an SDK takes a quiet end for a whole answer. */
class Pipe implements AnswerSink {
  readonly #leave: AbortController;
  readonly #begin: (head: AnswerHead, stream: ReadableStream<Uint8Array>) => void;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #room = deferred<void>();
  #closed = false;

  constructor(
    leave: AbortController,
    begin: (head: AnswerHead, stream: ReadableStream<Uint8Array>) => void,
  ) {
    this.#leave = leave;
    this.#begin = begin;
  }

  head(head: AnswerHead): void {
    const stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#makeRoom(),
        cancel: () => {
          this.#closed = true;
          this.#makeRoom();
          this.#leave.abort();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: READ_AHEAD_BYTES }),
    );
    this.#begin(head, stream);
  }

  data(bytes: Uint8Array): boolean {
    if (this.#closed || this.#controller === undefined) return true;
    this.#controller.enqueue(bytes.slice());
    return (this.#controller.desiredSize ?? 0) > 0;
  }

  drain(): Promise<void> {
    if (this.#closed || (this.#controller?.desiredSize ?? 1) > 0) return Promise.resolve();
    return this.#room.promise;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#controller?.close();
  }

  break(error: unknown): void {
    this.#makeRoom();
    if (this.#closed) return;
    this.#closed = true;
    this.#controller?.error(error);
  }

  #makeRoom(): void {
    this.#room.resolve();
    this.#room = deferred<void>();
  }
}

/** Of the worker's sealed headers only these reach the app: the rest is ours to say. */
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

function labelled(head: AnswerHead): Headers {
  const headers = new Headers();
  for (const [name, value] of head.headers) {
    if (isPassed(name.toLowerCase(), value)) headers.set(name, value);
  }
  headers.set('sx-privacy', 'end-to-end');
  headers.set('sx-authenticated', 'true');
  headers.set('sx-worker', toHex(head.key.workerId));
  headers.set('sx-kid', toHex(head.key.kid));
  if (head.key.simulated) headers.set('sx-simulated', 'true');
  headers.set('x-request-id', requestIdOf(head));
  return headers;
}

/**
 * Only models that some worker proved to serve under the policy; the names alone come from the gateway. Where there are names
 * and nothing is proven for any of them, the first reason why.
 */
async function provenModels(session: SealedSession, signal: AbortSignal): Promise<Response> {
  const names = (await session.modelNames(signal)).slice(0, MODELS_MAX);
  const models: AttestedModel[] = [];
  let reason: unknown;
  // One after another: a long list of names must not become as many look-ups at once.
  for (const name of names) {
    try {
      const [key] = await session.keys(name, signal);
      if (key !== undefined) models.push(key.model);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof VeilError)) throw error;
      reason ??= error;
    }
  }
  if (models.length === 0 && reason !== undefined) throw reason;
  return jsonResponse(modelList(models, 0));
}

async function provenModel(
  session: SealedSession,
  id: string,
  signal: AbortSignal,
): Promise<Response> {
  const [key] = await session.keys(id, signal);
  if (key === undefined) throw clientError('client.no_worker');
  return jsonResponse(modelObject(key.model, 0));
}

function jsonResponse(value: object): Response {
  return new Response(Uint8Array.from(utf8(JSON.stringify(value))), {
    status: 200,
    headers: { 'content-type': 'application/json', 'sx-authenticated': 'true' },
  });
}
