/**
 * The devnet's door: JSON-RPC as toncenter v2 speaks it, and the control paths, on loopback. Whatever a browser sends from
 * a page is refused: a page must not move a developer's coins, and a name that leads here must not make one able to.
 * Spec: ton-settlement §6; RFC 9110 §7.2 (Host); Fetch §3.2 (Origin).
 * @module
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { constantTimeEqual } from '#primitives';
import { z } from 'zod';
import { utf8 } from '../../../core/bytes.ts';
import { hasCode, VeilError } from '../../../core/errors.ts';
import { jsonError, parseJson } from '../../../core/json.ts';
import { pause } from '../../../core/node/lifecycle.ts';
import type { DevnetChain } from './chain.ts';
import { findRoute } from './control.ts';
import { devnetError } from './errors.ts';
import { Faults } from './faults.ts';
import {
  CONNECTIONS_CHECK_EVERY_MS,
  CONNECTIONS_MAX,
  HEADERS_TIMEOUT_MS,
  HUGE_ANSWER_BYTES,
  KEEP_ALIVE_TIMEOUT_MS,
  REQUEST_MAX_BYTES,
  REQUEST_TIMEOUT_MS,
} from './limits.ts';
import { findMethod } from './methods.ts';

export interface ProviderOptions {
  readonly chain: DevnetChain;
  readonly host: '127.0.0.1' | '::1';
  readonly port: number;
  /** Absent: no key is asked for. */
  readonly apiKey?: string;
}

/** One toncenter in front of the chain. */
export interface Provider {
  readonly port: number;
  /** What `TonClient` takes as its endpoint. */
  readonly endpoint: string;
  readonly faults: Faults;
  close(): Promise<void>;
}

const RPC_PATHS: readonly string[] = ['/api/v2/jsonRPC', '/jsonRPC'];
const LOOPBACK_NAMES: readonly string[] = ['127.0.0.1', '[::1]', 'localhost'];

export async function openProvider(options: ProviderOptions): Promise<Provider> {
  const context = { chain: options.chain, faults: new Faults() };
  const closing = new AbortController();
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CONNECTIONS_CHECK_EVERY_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      requireHostHeader: true,
      noDelay: true,
    },
    (request, response) => {
      const exchange = { request, response, signal: closing.signal, apiKey: options.apiKey };
      // What goes wrong with one request is that request's affair: the devnet goes on.
      void serve(context, exchange).catch(() => response.destroy());
    },
  );
  server.maxConnections = CONNECTIONS_MAX;
  const port = await listening(server, options);
  const host = options.host === '::1' ? '[::1]' : options.host;
  return {
    port,
    endpoint: `http://${host}:${port}/api/v2/jsonRPC`,
    faults: context.faults,
    close: async () => {
      closing.abort();
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
    },
  };
}

function listening(server: Server, { host, port }: ProviderOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

interface Context {
  readonly chain: DevnetChain;
  readonly faults: Faults;
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly signal: AbortSignal;
  readonly apiKey: string | undefined;
}

async function serve(context: Context, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  const refusal = refusalOf(exchange);
  if (refusal !== undefined) {
    send(response, refusal.status, failure(refusal.status, refusal.why));
    return;
  }
  const path = (request.url ?? '').split('?')[0] ?? '';
  if (RPC_PATHS.includes(path)) await serveRpc(context, exchange);
  else await serveControl(context, exchange, path);
}

function refusalOf({
  request,
  apiKey,
}: Exchange): { readonly status: number; readonly why: string } | undefined {
  const { headers } = request;
  if (headers.origin !== undefined || headers['sec-fetch-site'] !== undefined) {
    return { status: 403, why: 'not for browsers' };
  }
  const name = (headers.host ?? '').replace(/:\d+$/, '');
  if (!LOOPBACK_NAMES.includes(name)) return { status: 403, why: 'another name than this machine' };
  const shown = headers['x-api-key'];
  if (apiKey !== undefined && !isKey(shown, apiKey)) {
    return { status: 401, why: 'API key does not exist' };
  }
  return undefined;
}

function isKey(shown: string | readonly string[] | undefined, apiKey: string): boolean {
  return typeof shown === 'string' && constantTimeEqual(utf8(shown), utf8(apiKey));
}

const CALL = z.object({
  id: z.union([z.string().max(64), z.number(), z.null()]).optional(),
  jsonrpc: z.literal('2.0').optional(),
  method: z.string().max(64),
  params: z.record(z.string().max(64), z.unknown()).default({}),
});

async function serveRpc(context: Context, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  if (request.method !== 'POST') {
    send(response, 405, failure(405, 'Method Not Allowed'));
    return;
  }
  try {
    const decoded = CALL.safeParse(await bodyOf(request));
    if (!decoded.success) throw devnetError('devnet.request', 'not a call');
    const { id, method, params } = decoded.data;
    if (await troubled(context, exchange, method)) return;
    const found = findMethod(method);
    if (found === undefined) throw devnetError('devnet.request', 'Unknown method');
    const result = await found.answer(context, params);
    send(response, 200, { ok: true, result, jsonrpc: '2.0', id: id ?? null });
  } catch (error) {
    const { status, why } = rpcFailure(error);
    send(response, status, failure(status, why));
  }
}

/** True when a fault has answered, or has seen to it that nobody will. */
async function troubled(
  { faults }: Context,
  { response, signal }: Exchange,
  method: string,
): Promise<boolean> {
  const delay = faults.take('delay', method);
  if (delay !== undefined && !(await pause(delay.ms, signal))) return true;
  if (faults.take('hang_up', method) !== undefined) {
    response.destroy();
    return true;
  }
  const limit = faults.take('rate_limit', method);
  if (limit !== undefined) {
    response.setHeader('retry-after', String(limit.retryAfterS));
    send(response, 429, failure(429, 'Ratelimit exceed'));
    return true;
  }
  const page = faults.take('html', method);
  if (page !== undefined) {
    response.writeHead(page.status, { 'content-type': 'text/html' });
    response.end('<html><body><h1>It is not you, it is us</h1></body></html>');
    return true;
  }
  if (faults.take('huge', method) !== undefined) {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(`{"ok":true,"result":"${'x'.repeat(HUGE_ANSWER_BYTES)}"}`);
    return true;
  }
  return false;
}

async function serveControl(context: Context, { request, response }: Exchange, path: string) {
  try {
    const found = findRoute(request.method ?? '', path);
    const body = await bodyOf(request);
    send(response, 200, await found.answer(context, body));
  } catch (error) {
    const { status, why } = controlFailure(error);
    send(response, status, failure(status, why));
  }
}

interface Failure {
  readonly status: number;
  readonly why: string;
}

/** In toncenter's words where clients read them. */
function rpcFailure(error: unknown): Failure {
  if (hasCode(error, 'devnet.not_accepted')) {
    const { exitCode } = error.facts;
    const why = exitCode === undefined ? '' : `: exitcode=${exitCode}`;
    return {
      status: 500,
      why: `LITE_SERVER_UNKNOWN: cannot apply external message to current state : External message was not accepted${why}`,
    };
  }
  if (hasCode(error, 'devnet.unknown'))
    return { status: 500, why: `LITE_SERVER_NOTREADY: ${error.message}` };
  if (hasCode(error, 'json.size')) return { status: 413, why: 'Request Entity Too Large' };
  if (hasCode(error, 'devnet.busy')) return { status: 429, why: 'Ratelimit exceed' };
  if (error instanceof VeilError) return { status: 422, why: error.message };
  return { status: 500, why: 'Internal Server Error' };
}

function controlFailure(error: unknown): Failure {
  if (error instanceof VeilError) return { status: error.spec.status, why: error.message };
  return { status: 500, why: 'Internal Server Error' };
}

function failure(status: number, error: string) {
  return { ok: false, error, code: status };
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const bytes = utf8(JSON.stringify(body));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': bytes.length,
    // Nobody listens to the rest of what was refused.
    ...(status === 200 ? {} : { connection: 'close' }),
  });
  response.end(bytes);
}

/** Null for none. Throws `json.*`. */
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  // Before reading: breaking off in the middle takes the connection with it, and nobody would learn why.
  if (Number(request.headers['content-length'] ?? 0) > REQUEST_MAX_BYTES)
    throw jsonError('json.size');
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes: unknown = chunk;
    if (!(bytes instanceof Uint8Array)) return null;
    size += bytes.length;
    if (size > REQUEST_MAX_BYTES) throw jsonError('json.size');
    chunks.push(bytes);
  }
  return size === 0 ? null : parseJson(Buffer.concat(chunks), REQUEST_MAX_BYTES);
}
