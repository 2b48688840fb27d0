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
import {
  EHBP_LINK_PATH,
  EHBP_LINK_REQUEST_TYPE,
  EHBP_LINK_RESPONSE_TYPE,
  isAnswerHeader,
  STATUS_HEADER,
} from '../protocol/ehbp/names.ts';
import { METER_HEADER } from '../protocol/meter.ts';
import { SETTLED_MAX_BYTES, SETTLED_TYPE } from '../protocol/settled.ts';
import { REQUEST_WIRE_MAX_BYTES } from '../protocol/sx/limits.ts';
import type { LinkCall } from './handle.ts';
import {
  LINK_CONNECTIONS_MAX,
  LINK_HANDSHAKE_TIMEOUT_MS,
  LINK_HEADER_BYTES_MAX,
  LINK_HEADERS_TIMEOUT_MS,
  LINK_KEEP_ALIVE_MS,
  LINK_REQUEST_TIMEOUT_MS,
  METER_EVERY_MAX,
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
  readonly onExchange: (bytes: Uint8Array, sink: ExchangeSink, call: LinkCall) => Promise<void>;
  /** The same for a request of an EHBP client. Absent: there are none. */
  readonly onEhbp?: LinkOptions['onExchange'];
  readonly receiptOf: (msgIdHex: string) => Uint8Array | undefined;
  /** A page of receipts behind one of a statement; empty when there are no more. */
  readonly receiptsAfter: (statementHex: string, afterSeq: bigint) => Uint8Array;
  /** A notice of settlement. Returns the status to answer with. */
  readonly onSettled: (bytes: Uint8Array) => number;
  /** False: no such exchange runs. */
  readonly stop: (msgIdHex: string) => boolean;
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
const SETTLED_PATH = '/sx/v1/settled';
const RECEIPT_PATH = /^\/sx\/v1\/receipts\/([0-9a-f]{32})$/;
const RECEIPTS_PATH = /^\/sx\/v1\/receipts\?after=(0|[1-9]\d{0,18})&statement=([0-9a-f]{64})$/;
const STOP_PATH = /^\/sx\/v1\/exchanges\/([0-9a-f]{32})\/stop$/;
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
  if (method === 'POST') post(options, request, response);
  else if (method === 'GET') get(options, url, response);
  else bare(response, 404);
}

function post(options: LinkOptions, request: IncomingMessage, response: ServerResponse): void {
  const { url = '' } = request;
  if (url === EXCHANGE_PATH) {
    const form = { type: REQUEST_TYPE, maxBytes: REQUEST_WIRE_MAX_BYTES };
    receive(request, response, form, (bytes) => {
      exchange(request, response, (call) => options.onExchange(bytes, sinkOf(response), call));
    });
    return;
  }
  const { onEhbp } = options;
  if (url === EHBP_LINK_PATH && onEhbp !== undefined) {
    const form = { type: EHBP_LINK_REQUEST_TYPE, maxBytes: REQUEST_WIRE_MAX_BYTES };
    receive(request, response, form, (bytes) => {
      exchange(request, response, (call) => onEhbp(bytes, ehbpSinkOf(response), call));
    });
    return;
  }
  if (url === SETTLED_PATH) {
    const form = { type: SETTLED_TYPE, maxBytes: SETTLED_MAX_BYTES };
    receive(request, response, form, (bytes) => empty(response, options.onSettled(bytes)));
    return;
  }
  const msgId = STOP_PATH.exec(url)?.[1];
  if (msgId === undefined) bare(response, 404);
  else empty(response, options.stop(msgId) ? 204 : 404);
}

function get(options: LinkOptions, url: string, response: ServerResponse): void {
  const msgId = RECEIPT_PATH.exec(url)?.[1];
  const [, after, statement] = RECEIPTS_PATH.exec(url) ?? [];
  const found =
    msgId !== undefined
      ? options.receiptOf(msgId)
      : after !== undefined && statement !== undefined
        ? options.receiptsAfter(statement, BigInt(after))
        : undefined;
  if (found === undefined) {
    bare(response, 404);
    return;
  }
  response.writeHead(200, {
    'content-type': 'application/octet-stream',
    'content-length': found.length,
  });
  response.end(found);
}

/** The connection stays: exchanges may share it. */
function empty(response: ServerResponse, status: number): void {
  response.writeHead(status, status === 204 ? {} : { 'content-length': 0 });
  response.end();
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

interface BodyForm {
  readonly type: string;
  readonly maxBytes: number;
}

function receive(
  request: IncomingMessage,
  response: ServerResponse,
  { type, maxBytes }: BodyForm,
  whole: (bytes: Uint8Array) => void,
): void {
  const size = Number(request.headers['content-length'] ?? Number.NaN);
  if (request.headers['content-type'] !== type) return bare(response, 415);
  if (!Number.isSafeInteger(size)) return bare(response, 411);
  if (size > maxBytes) return bare(response, 413);
  const bytes = new Uint8Array(size);
  let at = 0;
  request.on('data', (chunk: Uint8Array) => {
    // Node's parser keeps to content-length; what would run over is not written.
    bytes.set(chunk.subarray(0, size - at), at);
    at += chunk.length;
  });
  request.on('end', () => {
    if (at === size) whole(bytes);
    else bare(response, 400);
  });
  // An upload that breaks off has nobody to answer.
  request.on('error', () => response.destroy());
}

function exchange(
  request: IncomingMessage,
  response: ServerResponse,
  run: (call: LinkCall) => Promise<void>,
): void {
  const gone = new AbortController();
  response.on('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  const asked = request.headers[METER_HEADER];
  const meterEvery = meterEveryOf(asked);
  if (asked !== undefined && meterEvery === undefined) return bare(response, 400);
  const call = { gone: gone.signal, ...(meterEvery === undefined ? {} : { meterEvery }) };
  void run(call).catch(() => response.destroy());
}

function meterEveryOf(asked: string | readonly string[] | undefined): number | undefined {
  if (typeof asked !== 'string' || !/^[1-9]\d{0,6}$/.test(asked)) return undefined;
  return Number(asked) <= METER_EVERY_MAX ? Number(asked) : undefined;
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
    cutAfter: (delayMs) => {
      const timer = setTimeout(() => response.destroy(), delayMs);
      // Also when all was read.
      response.once('close', () => clearTimeout(timer));
    },
  };
}

/** Status and headers of an answer stand outside of EHBP's encryption, so they are said before it begins. */
function ehbpSinkOf(response: ServerResponse): ExchangeSink {
  return {
    ...sinkOf(response),
    accept: () => undefined,
    head: (status, headers) => {
      response.setHeader(STATUS_HEADER, String(status));
      for (const [name, value] of headers) {
        if (isAnswerHeader(name)) response.setHeader(`ehbp-${name}`, value);
      }
      response.writeHead(200, {
        'content-type': EHBP_LINK_RESPONSE_TYPE,
        'cache-control': 'no-store',
      });
    },
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
