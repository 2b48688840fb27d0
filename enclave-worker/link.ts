/**
 * The worker's listener. TLS 1.3 with a key that the statement names; exchanges only from the one gateway whose
 * identity hashes to our audience. Spec: overview "Identities".
 * @module
 */

import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { TLSSocket } from 'node:tls';
import { fixed, toHex } from '../core/bytes.ts';
import { assert } from '../core/errors.ts';
import { audOf } from '../protocol/gateway-document.ts';
import { REQUEST_WIRE_MAX_BYTES } from '../protocol/sx/limits.ts';
import {
  LINK_CONNECTIONS_MAX,
  LINK_HANDSHAKE_TIMEOUT_MS,
  LINK_HEADER_BYTES_MAX,
  LINK_HEADERS_TIMEOUT_MS,
  LINK_KEEP_ALIVE_MS,
  LINK_REQUEST_TIMEOUT_MS,
} from './limits.ts';
import type { ExchangeSink } from './sealed-answer.ts';

export interface LinkIdentity {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

export interface LinkOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly gatewayAud: string;
  readonly identity: LinkIdentity;
  readonly onExchange: (bytes: Uint8Array, sink: ExchangeSink, gone: AbortSignal) => Promise<void>;
  readonly receiptOf: (msgIdHex: string) => Uint8Array | undefined;
  readonly healthy: () => boolean;
}

export interface Link {
  readonly port: number;
  readonly close: () => Promise<void>;
}

export async function openLink(options: LinkOptions): Promise<Link> {
  const server = createServer(
    {
      cert: options.identity.certificatePem,
      key: options.identity.privateKeyPem,
      minVersion: 'TLSv1.3',
      // Any certificate may be shown; whose it is, `isGateway` decides. The handshake proves the key is held.
      requestCert: true,
      rejectUnauthorized: false,
      maxHeaderSize: LINK_HEADER_BYTES_MAX,
      handshakeTimeout: LINK_HANDSHAKE_TIMEOUT_MS,
      headersTimeout: LINK_HEADERS_TIMEOUT_MS,
      requestTimeout: LINK_REQUEST_TIMEOUT_MS,
      keepAliveTimeout: LINK_KEEP_ALIVE_MS,
      noDelay: true,
    },
    (request, response) => route(options, request, response),
  );
  server.maxConnections = LINK_CONNECTIONS_MAX;
  // A failed handshake is the peer's affair; without a listener it would still only end that connection.
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  await listening(server, options);
  const address = server.address();
  assert(typeof address === 'object' && address !== null, 'the link listens on TCP');
  return {
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listening(server: Server, { host, port }: LinkOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

const EXCHANGE_PATH = '/sx/v1/exchange';
const RECEIPT_PATH = /^\/sx\/v1\/receipts\/([0-9a-f]{32})$/;
const REQUEST_TYPE = 'application/vnd.sx1.req';

function route(options: LinkOptions, request: IncomingMessage, response: ServerResponse): void {
  const { method, url = '' } = request;
  if (method === 'GET' && url === '/healthz') {
    bare(response, options.healthy() ? 200 : 503);
    return;
  }
  if (!isGateway(request, options.gatewayAud)) {
    bare(response, 403);
    return;
  }
  if (method === 'POST' && url === EXCHANGE_PATH) {
    receive(options, request, response);
    return;
  }
  const receipt = method === 'GET' ? RECEIPT_PATH.exec(url)?.[1] : undefined;
  const payload = receipt === undefined ? undefined : options.receiptOf(receipt);
  if (payload === undefined) {
    bare(response, 404);
    return;
  }
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': payload.length,
  });
  response.end(payload);
}

/** A bare answer also ends the connection: whatever is still on its way in is not read. */
function bare(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'content-length': 0, connection: 'close' });
  response.end();
}

const ED25519_KEY_BYTES = 32;

/** `aud` of the peer's certificate key; undefined when it showed none or another kind of key. */
export function peerAudience(socket: TLSSocket): string | undefined {
  const key = socket.getPeerX509Certificate()?.publicKey;
  if (key?.asymmetricKeyType !== 'ed25519') return undefined;
  const spki = key.export({ format: 'der', type: 'spki' });
  return audOf(fixed(new Uint8Array(spki.subarray(-ED25519_KEY_BYTES)), ED25519_KEY_BYTES));
}

const AUDIENCES = new WeakMap<TLSSocket, string | undefined>();

function isGateway(request: IncomingMessage, gatewayAud: string): boolean {
  const { socket } = request;
  if (!(socket instanceof TLSSocket)) return false;
  if (!AUDIENCES.has(socket)) AUDIENCES.set(socket, peerAudience(socket));
  return AUDIENCES.get(socket) === gatewayAud;
}

function receive(options: LinkOptions, request: IncomingMessage, response: ServerResponse): void {
  const size = Number(request.headers['content-length'] ?? Number.NaN);
  if (request.headers['content-type'] !== REQUEST_TYPE) return bare(response, 415);
  if (!Number.isSafeInteger(size)) return bare(response, 411);
  if (size > REQUEST_WIRE_MAX_BYTES) return bare(response, 413);
  const bytes = new Uint8Array(size);
  let at = 0;
  request.on('data', (chunk: Uint8Array) => {
    // Node's parser keeps to content-length; what would run over is not written.
    bytes.set(chunk.subarray(0, size - at), at);
    at += chunk.length;
  });
  request.on('end', () => {
    if (at !== size) return bare(response, 400);
    const gone = new AbortController();
    response.on('close', () => {
      if (!response.writableFinished) gone.abort();
    });
    void options.onExchange(bytes, sinkOf(response), gone.signal).catch(() => response.destroy());
  });
  // An upload that breaks off has nobody to answer.
  request.on('error', () => response.destroy());
}

function sinkOf(response: ServerResponse): ExchangeSink {
  return {
    refuse: (status) => {
      response.writeHead(status, { 'content-length': 0 });
      response.end();
    },
    accept: (kid) => {
      response.writeHead(200, {
        'content-type': 'application/vnd.sx1.res',
        'cache-control': 'no-store',
        'sx-kid': toHex(kid),
      });
      response.flushHeaders();
    },
    write: (bytes) => response.destroyed || response.write(bytes),
    drained: () => drained(response),
    end: () => void response.end(),
  };
}

function drained(response: ServerResponse): Promise<void> {
  if (response.destroyed || !response.writableNeedDrain) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
  });
}
