/**
 * The sockets: HTTP and HTTPS with the same handler and the same limits, and the admin port on loopback. Node refuses
 * conflicting lengths and bad framing itself; slow headers and slow bodies end here. Over TLS, HTTP/2 too.
 * Spec: RFC 9112 §6.3, §11; RFC 9113 §3.2.
 * @module
 */

import { createServer as createHttp, type RequestListener, type Server } from 'node:http';
import type { Http2SecureServer } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { assert } from '../core/errors.ts';
import { createHttp2Server, type Http2Limits } from './http2.ts';
import {
  CONNECTIONS_CHECK_INTERVAL_MS,
  CONNECTIONS_MAX,
  HANDSHAKE_TIMEOUT_MS,
  HEADER_MAX_BYTES,
  HEADERS_TIMEOUT_MS,
  KEEP_ALIVE_TIMEOUT_MS,
  REFUSED_LINGER_MS,
  REQUEST_TIMEOUT_MS,
  SILENCE_TIMEOUT_MS,
} from './limits.ts';
import { newRequestId, REQUEST_ID_HEADER } from './request-id.ts';
import type { TlsIdentity } from './tls-identity.ts';

export interface ListenerLimits {
  readonly headersTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

export const LISTENER_LIMITS: ListenerLimits = {
  headersTimeoutMs: HEADERS_TIMEOUT_MS,
  requestTimeoutMs: REQUEST_TIMEOUT_MS,
};

export interface Listener {
  readonly port: number;
  /** Stops accepting, lets answers finish until the deadline, then cuts. */
  close(deadline: AbortSignal): Promise<void>;
}

export interface ListenInput {
  readonly host: string;
  readonly port: number;
  /** Absent: clear text. */
  readonly tls?: TlsIdentity;
  readonly handler: RequestListener;
  readonly limits?: ListenerLimits;
  /** A connection on which nothing moves for so long is cut; more than the longest silence of an honest exchange. */
  readonly silenceTimeoutMs?: number;
  readonly http2?: Pick<Http2Limits, 'idleTimeoutMs' | 'streamsMax'>;
}

export async function listen(input: ListenInput): Promise<Listener> {
  const server = createServer(input);
  server.maxConnections = CONNECTIONS_MAX;
  // Also ends a peer that asks and never reads: its answers fill the socket, and then nothing moves.
  server.setTimeout(input.silenceTimeoutMs ?? SILENCE_TIMEOUT_MS);
  server.on('clientError', (_error, socket) => refuse(socket));
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(input.port, input.host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  const address = server.address();
  assert(typeof address === 'object' && address !== null, 'a TCP listener has a port');
  return { port: address.port, close: (deadline) => closeServer(server, sockets, deadline) };
}

/**
 * Framing errors and slow requests: a fixed answer, and the connection ends. HTTP sockets stay half open after `end`, so
 * a peer that never closes its side would keep its place, and its body the memory it had taken.
 */
function refuse(socket: Duplex): void {
  const cut = (): void => void socket.destroy();
  if (!socket.writable) {
    cut();
    return;
  }
  const late = setTimeout(cut, REFUSED_LINGER_MS);
  socket.once('close', () => clearTimeout(late));
  const id = `${REQUEST_ID_HEADER}: ${newRequestId()}\r\n`;
  socket.end(`HTTP/1.1 400 Bad Request\r\nconnection: close\r\n${id}\r\n`, cut);
}

function createServer(input: ListenInput): Server | Http2SecureServer {
  const { tls, handler, limits = LISTENER_LIMITS } = input;
  const options = {
    maxHeaderSize: HEADER_MAX_BYTES,
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: limits.requestTimeoutMs,
    connectionsCheckingInterval: Math.min(CONNECTIONS_CHECK_INTERVAL_MS, limits.headersTimeoutMs),
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    requireHostHeader: true,
    noDelay: true,
  };
  if (tls === undefined) return createHttp(options, handler);
  return createHttp2Server(
    {
      ...options,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      cert: tls.certificatePem,
      key: tls.privateKeyPem,
      minVersion: 'TLSv1.2',
    },
    handler,
    {
      requestTimeoutMs: limits.requestTimeoutMs,
      silenceTimeoutMs: input.silenceTimeoutMs ?? SILENCE_TIMEOUT_MS,
      ...input.http2,
    },
  );
}

/** Over HTTP/2 every connection is told with GOAWAY: what runs may end, and nothing new begins on it. */
function closeServer(
  server: Server | Http2SecureServer,
  sockets: ReadonlySet<Socket>,
  deadline: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    if ('closeIdleConnections' in server) server.closeIdleConnections();
    const cut = (): void => {
      for (const socket of sockets) socket.destroy();
    };
    if (deadline.aborted) cut();
    else deadline.addEventListener('abort', cut, { once: true });
  });
}
