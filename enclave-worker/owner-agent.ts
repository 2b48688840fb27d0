/**
 * The owner's key on the owner's machine, for workers that nobody on that machine started: a small HTTPS service that signs
 * statements about its own card for whoever holds the token, and the worker's way to it. The key never enters the guest.
 * Spec: overview "Identities".
 * @module
 */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Server } from 'node:net';
import { constantTimeEqual } from '#primitives';
import { z } from 'zod';
import { fixed, fromBase64, toBase64, utf8, type Bytes } from '../core/bytes.ts';
import { VeilError } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import {
  createPinnedPool,
  fetchJson,
  type HttpPool,
  type Trust,
} from '../core/node/http-client.ts';
import { workerError } from './errors.ts';
import {
  OWNER_AGENT_CONNECTIONS_MAX,
  OWNER_BODY_MAX_BYTES,
  OWNER_CHECK_EVERY_MS,
  OWNER_HEADERS_TIMEOUT_MS,
  OWNER_REQUEST_TIMEOUT_MS,
  OWNER_TIMEOUT_MS,
} from './limits.ts';
import type { OwnerSigner } from './owner.ts';

const SIGN_PATH = '/v1/owner/sign';
const BASE64_MAX = 16_384;
const REQUEST = z.strictObject({
  statement: z.base64().max(BASE64_MAX),
  card: z.base64().max(BASE64_MAX),
});
const ANSWER = z.strictObject({ signature: z.base64().length(88) });
const REFUSAL = z.strictObject({
  error: z.strictObject({
    code: z
      .string()
      .max(64)
      .regex(/^[a-z][a-z_.]*$/),
  }),
});

export interface OwnerAgentOptions {
  readonly signer: OwnerSigner;
  /** Visible ASCII; the worker shows it with each request. */
  readonly token: string;
  /** Absent: clear text, for loopback alone. */
  readonly tls?: { readonly certificatePem: string; readonly privateKeyPem: string };
  readonly host: string;
  readonly port: number;
  /** Told of each request: signed, or the code of why not. */
  readonly onRequest: (outcome: string) => void;
}

export interface OwnerAgent {
  readonly port: number;
  close(): Promise<void>;
}

/** Resolves when it listens. */
export async function openOwnerAgent(options: OwnerAgentOptions): Promise<OwnerAgent> {
  const handler = (request: IncomingMessage, response: ServerResponse): void => {
    // What goes wrong with one request is that request's affair: the service goes on.
    void answer(options, request, response).catch(() => response.destroy());
  };
  // Strangers who say nothing must not hold all the connections there are.
  const times = {
    headersTimeout: OWNER_HEADERS_TIMEOUT_MS,
    requestTimeout: OWNER_REQUEST_TIMEOUT_MS,
    connectionsCheckingInterval: OWNER_CHECK_EVERY_MS,
  };
  const server =
    options.tls === undefined
      ? createServer(times, handler)
      : createTlsServer(
          {
            ...times,
            cert: options.tls.certificatePem,
            key: options.tls.privateKeyPem,
            minVersion: 'TLSv1.3',
            handshakeTimeout: OWNER_HEADERS_TIMEOUT_MS,
          },
          handler,
        );
  server.maxConnections = OWNER_AGENT_CONNECTIONS_MAX;
  await listening(server, options);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close: async () =>
      await new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listening(
  server: Server,
  { host, port }: Pick<OwnerAgentOptions, 'host' | 'port'>,
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

async function answer(
  options: OwnerAgentOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, body, outcome } = await decide(options, request);
  const text = utf8(JSON.stringify(body));
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': text.length,
    // Nobody listens to the rest of what was refused.
    ...(status === 200 ? {} : { connection: 'close' }),
  });
  response.end(text);
  try {
    options.onRequest(outcome);
  } catch {
    // Whoever is told is no part of the answer.
  }
}

interface Decision {
  readonly status: number;
  readonly body: object;
  readonly outcome: string;
}

function refusal(status: number, code: string): Decision {
  return { status, body: { error: { code } }, outcome: code };
}

async function decide(
  { signer, token }: OwnerAgentOptions,
  request: IncomingMessage,
): Promise<Decision> {
  if (!holdsToken(request, token)) return refusal(401, 'owner.token');
  if (request.method !== 'POST' || request.url !== SIGN_PATH) return refusal(404, 'owner.path');
  try {
    const bytes = await bodyOf(request);
    if (bytes === undefined) return refusal(413, 'owner.size');
    const decoded = REQUEST.safeParse(parseJson(bytes, OWNER_BODY_MAX_BYTES));
    if (!decoded.success) return refusal(400, 'owner.request');
    const { statement, card } = decoded.data;
    const signature = await signer.sign(fromBase64(statement), fromBase64(card));
    return { status: 200, body: { signature: toBase64(signature) }, outcome: 'signed' };
  } catch (error) {
    return refusal(403, error instanceof VeilError ? error.code : 'owner.request');
  }
}

function holdsToken({ headers }: IncomingMessage, token: string): boolean {
  return constantTimeEqual(utf8(headers.authorization ?? ''), utf8(`Bearer ${token}`));
}

/** Undefined when it is too large. */
async function bodyOf(request: IncomingMessage): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request) {
    const bytes: unknown = chunk;
    if (!(bytes instanceof Uint8Array)) return undefined;
    size += bytes.length;
    if (size > OWNER_BODY_MAX_BYTES) return undefined;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks);
}

export interface OwnerAgentAddress {
  /** `https://host:port`, or `http://` on this machine. */
  readonly url: string;
  readonly token: string;
  /** SHA-256 of the agent's TLS key; demanded for `https`. */
  readonly tlsSpkiSha256?: Bytes<32>;
}

/** The worker's side. Throws `worker.config` for an address that could not be trusted. */
export function agentOwnerSigner({ url, token, tlsSpkiSha256 }: OwnerAgentAddress): OwnerSigner {
  const pool = createPinnedPool({ origin: url, trust: trustOf(url, tlsSpkiSha256) });
  return { sign: async (statement, card) => await ask(pool, token, { statement, card }) };
}

function trustOf(url: string, pin: Bytes<32> | undefined): Trust {
  if (url.startsWith('http:')) return { kind: 'loopback' };
  if (pin === undefined) throw workerError('worker.config', 'owner.tlsSpkiSha256');
  return { kind: 'spki', sha256: [pin] };
}

async function ask(
  pool: HttpPool,
  token: string,
  what: { readonly statement: Uint8Array; readonly card: Uint8Array },
): Promise<Bytes<64>> {
  const { status, json } = await fetchJson(pool, {
    method: 'POST',
    path: SIGN_PATH,
    headers: { authorization: `Bearer ${token}` },
    json: { statement: toBase64(what.statement), card: toBase64(what.card) },
    maxBytes: OWNER_BODY_MAX_BYTES,
    timeoutMs: OWNER_TIMEOUT_MS,
  }).catch((cause: unknown) => {
    // A code of ours: `http.pin` says something else than `http.connect`.
    throw workerError('worker.owner_silent', cause instanceof VeilError ? cause.code : '', {
      cause,
    });
  });
  if (status !== 200) {
    const refused = REFUSAL.safeParse(json);
    const why = refused.success ? ` (${refused.data.error.code})` : '';
    throw workerError('worker.owner_refused', `status ${status}${why}`);
  }
  const decoded = ANSWER.safeParse(json);
  if (!decoded.success) throw workerError('worker.owner_refused', 'answer');
  return fixed(fromBase64(decoded.data.signature), 64, 'owner signature');
}
