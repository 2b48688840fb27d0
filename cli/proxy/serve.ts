/**
 * The local endpoint: a thin HTTP server in front of `sealedFetch`. What it does itself is the door, the limits and the way
 * back; sealing, errors and streams are the client's, and a path that the client does not seal is refused.
 * Spec: gateways-and-e2ee §7.8 B; openai-gateway-and-engine §2.8.
 * @module
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import type { SealedFetch } from '../../client/sealed-fetch.ts';
import { DEADLINE_MS, REQUEST_BODY_MAX_BYTES } from '../../client/limits.ts';
import { listen, type Listener, type ListenerLimits } from '../../gateway/listeners.ts';
import { readJsonBody } from '../../gateway/openai/body.ts';
import { respondFailure, respondJson } from '../../gateway/openai/respond.ts';
import { openAiFailure } from '../../protocol/openai/errors.ts';
import type { Activity, RequestEnd, RunningRequest } from './activity.ts';
import { isLoopbackAddress, refusalFailure, refusalOf } from './door.ts';
import { proxyError } from './errors.ts';
import type { Route } from './events.ts';
import {
  BODY_BYTES_IN_FLIGHT_MAX,
  LOOK_TIMEOUT_MS,
  REFUSED_LINGER_MS,
  SILENCE_MARGIN_MS,
  SLOW_READER_TIMEOUT_MS,
} from './limits.ts';
import { sendAnswer, sendFailure, type Sent } from './send-answer.ts';
import { bearerOf } from './token.ts';
import { respondVerification, VERIFICATION_PATH } from './verification.ts';

export interface ServeOptions {
  readonly host: string;
  readonly port: number;
  readonly token: string;
  readonly concurrency: number;
  /** Without `/v1`. */
  readonly gatewayUrl: string;
  readonly apiKey: string;
  readonly sealed: SealedFetch;
  readonly activity: Activity;
  readonly clock: Clock;
  readonly deadlineMs?: number | undefined;
  readonly listenerLimits?: ListenerLimits | undefined;
  readonly timeouts?: ServeTimeouts | undefined;
}

export interface ServeTimeouts {
  /** For a list of models. */
  readonly lookMs: number;
  readonly slowReaderMs: number;
}

const TIMEOUTS: ServeTimeouts = { lookMs: LOOK_TIMEOUT_MS, slowReaderMs: SLOW_READER_TIMEOUT_MS };

export interface LocalEndpoint {
  readonly port: number;
  /** Takes no new requests; those under way finish until the deadline, and are cut then. */
  close(deadline: AbortSignal): Promise<void>;
}

/** Throws `proxy.bind`; the system's error for a port that is taken. */
export async function serve(options: ServeOptions): Promise<LocalEndpoint> {
  const { host, port, listenerLimits: limits, deadlineMs = DEADLINE_MS } = options;
  if (!isLoopbackAddress(host)) {
    throw proxyError(
      'proxy.bind',
      `${host} is not an address of this machine alone (127.0.0.1 or ::1), and there is no option for others: whoever reaches the proxy spends from your channel`,
    );
  }
  const endpoint = new Endpoint(options);
  const listener = await listen({
    host,
    port,
    handler: (request, response) => void endpoint.handle(request, response),
    silenceTimeoutMs: deadlineMs + SILENCE_MARGIN_MS,
    ...(limits && { limits }),
  });
  return { port: listener.port, close: (deadline) => endpoint.close(listener, deadline) };
}

class Endpoint {
  readonly #options: ServeOptions;
  readonly #isToken: ReturnType<typeof bearerOf>;
  readonly #running = new Set<Promise<void>>();
  #bodyBytes = 0;
  #closing = false;

  constructor(options: ServeOptions) {
    this.#options = options;
    this.#isToken = bearerOf(options.token);
  }

  /** Never rejects. */
  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.once('finish', () => {
      if (!request.complete) letGo(request);
      else if (this.#closing) request.socket.destroySoon();
    });
    if (this.#closing) response.setHeader('connection', 'close');
    const { activity } = this.#options;
    const refused = refusalOf(request, this.#isToken);
    if (refused !== undefined) {
      activity.turnedAway(refused);
      response.setHeader('connection', 'close');
      respondFailure(response, refusalFailure(refused));
      return;
    }
    const [path = ''] = (request.url ?? '').split('?', 1);
    if (request.method === 'GET' && path === '/healthz') {
      respondJson(response, 200, { ok: true });
      return;
    }
    if (request.method === 'GET' && path === VERIFICATION_PATH) {
      this.#verification(request, response);
      return;
    }
    const work = this.#exchange(request, response, path);
    this.#running.add(work);
    await work;
    this.#running.delete(work);
  }

  async close(listener: Listener, deadline: AbortSignal): Promise<void> {
    this.#closing = true;
    await listener.close(deadline);
    await Promise.allSettled(this.#running);
  }

  #verification(request: IncomingMessage, response: ServerResponse): void {
    const { sealed, gatewayUrl, clock } = this.#options;
    const view = { verdicts: sealed.verdicts(), gatewayUrl, nowMs: clock() };
    respondVerification(response, view, request.headers.accept);
  }

  async #exchange(request: IncomingMessage, response: ServerResponse, path: string): Promise<void> {
    const left = new AbortController();
    response.once('close', () => {
      if (!response.writableFinished) left.abort();
    });
    if (!METHODS.includes(request.method ?? '') || !isServedPath(path)) {
      const code = isServedPath(path) ? 'method_not_allowed' : 'unknown_url';
      respondFailure(response, openAiFailure(code));
      return;
    }
    if (this.#closing || this.#running.size >= this.#options.concurrency) {
      const message = this.#closing ? 'This proxy is ending.' : TOO_MANY;
      respondFailure(response, openAiFailure('rate_limit_exceeded', { message }));
      return;
    }
    const { activity } = this.#options;
    const running = activity.asked(routeOf(path));
    activity.end(running, await this.#answered({ request, response, running, left }));
  }

  async #answered({ request, response, running, left }: Running): Promise<RequestEnd> {
    const { sealed, gatewayUrl, timeouts = TIMEOUTS } = this.#options;
    const reserved = bodyBytesOf(request);
    if (this.#bodyBytes + reserved > BODY_BYTES_IN_FLIGHT_MAX) {
      respondFailure(response, openAiFailure('rate_limit_exceeded', { message: TOO_MUCH }));
      return { outcome: 'failed', status: response.statusCode, code: 'rate_limit_exceeded' };
    }
    this.#bodyBytes += reserved;
    // A list of models waits for a gateway as long as its reader does; an exchange has its own deadline.
    const late = request.method === 'GET' ? AbortSignal.timeout(timeouts.lookMs) : undefined;
    const signal = late === undefined ? left.signal : AbortSignal.any([left.signal, late]);
    try {
      const init = await this.#initOf(request, signal);
      const answer = await sealed(`${gatewayUrl}${request.url ?? ''}`, init);
      const { clock } = this.#options;
      const sent = await sendAnswer(answer, response, {
        slowReaderTimeoutMs: timeouts.slowReaderMs,
        onPiece: (events) => {
          running.firstMs ??= clock() - running.startedMs;
          running.pieces += events;
        },
      });
      return endOf(answer, sent);
    } catch (error) {
      if (left.signal.aborted) return { outcome: 'left' };
      left.abort(); // nobody reads on
      if (late?.aborted === true) {
        respondFailure(response, openAiFailure('timeout'));
        return { outcome: 'failed', status: response.statusCode, code: 'timeout' };
      }
      const { status, headers } = await sendFailure(error, response);
      return { outcome: 'failed', status, code: headers.get('sx-error') ?? 'internal_error' };
    } finally {
      this.#bodyBytes -= reserved;
    }
  }

  /** Throws `body.*`. */
  async #initOf(request: IncomingMessage, signal: AbortSignal): Promise<RequestInit> {
    const { method = '' } = request;
    const headers = this.#headersOf(request);
    if (method === 'GET') return { method, headers, signal };
    const body = await readJsonBody(request, REQUEST_BODY_MAX_BYTES);
    return { method, headers, signal, body: Uint8Array.from(body) };
  }

  /** The token of this proxy ends here; the gateway's key begins here. What else is sealed is the client's choice. */
  #headersOf(request: IncomingMessage): Headers {
    const headers = new Headers();
    for (const [name, value] of Object.entries(request.headers)) {
      if (typeof value === 'string' && !KEPT_HERE.includes(name)) headers.set(name, value);
    }
    const { apiKey } = this.#options;
    if (apiKey !== '') headers.set('authorization', `Bearer ${apiKey}`);
    return headers;
  }
}

interface Running {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly running: RunningRequest;
  readonly left: AbortController;
}

const METHODS: readonly string[] = ['GET', 'POST'];
const KEPT_HERE: readonly string[] = ['authorization', 'cookie', 'host', 'x-api-key'];
const TOO_MANY = 'As many requests as this proxy takes at once are running (--concurrency).';
const TOO_MUCH = 'The bodies of the running requests are as large as this proxy takes at once.';

/**
 * An unread rest of a refused body must not become the next request, and a program that is still sending must be able to read
 * why: this side ends, and swallows what comes for a moment.
 */
function letGo(request: IncomingMessage): void {
  const { socket } = request;
  const late = setTimeout(() => socket.destroy(), REFUSED_LINGER_MS);
  socket.once('close', () => clearTimeout(late));
  request.removeAllListeners('data');
  request.resume();
  socket.end();
}

/** As written, and with one prefix: what stands before a second one would be another place at the gateway. */
function isServedPath(path: string): boolean {
  const isPlain = URL.parse(path, 'http://proxy.invalid')?.pathname === path;
  return isPlain && path.lastIndexOf('/v1/') === 0;
}

const ROUTES: readonly (readonly [pattern: RegExp, route: Route])[] = [
  [/^\/v1\/chat\/completions$/, 'chat'],
  [/^\/v1\/completions$/, 'completions'],
  [/^\/v1\/embeddings$/, 'embeddings'],
  [/^\/v1\/responses$/, 'responses'],
  [/^\/v1\/messages$/, 'messages'],
  [/^\/v1\/models(\/|$)/, 'models'],
];

function routeOf(path: string): Route | 'other' {
  return ROUTES.find(([pattern]) => pattern.test(path))?.[1] ?? 'other';
}

/** What it says it will send; one that does not say may send the most. */
function bodyBytesOf({ headers, method }: IncomingMessage): number {
  if (method === 'GET') return 0;
  const told = headers['content-length'];
  const bytes = told === undefined ? REQUEST_BODY_MAX_BYTES : Number(told);
  return Math.min(bytes, REQUEST_BODY_MAX_BYTES);
}

const ERRORS_FROM = 400;

function endOf(answer: Response, sent: Sent): RequestEnd {
  const requestId = answer.headers.get('x-request-id') ?? undefined;
  const { status } = answer;
  if (sent.outcome === 'left') return { outcome: 'left', status, requestId };
  if (sent.outcome === 'broken') {
    return { outcome: 'failed', status: sent.status, requestId, code: codeOf(sent.error) };
  }
  if (status < ERRORS_FROM) return { outcome: 'answered', status, requestId };
  const code = answer.headers.get('sx-error') ?? sent.code;
  return { outcome: 'failed', status, requestId, code };
}

function codeOf(error: unknown): string {
  return error instanceof VeilError ? error.code : 'internal_error';
}
