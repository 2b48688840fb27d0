/**
 * The one way out over HTTP. A connection proves its TLS key before the first byte of a request leaves; nothing is
 * retried, redirected or read past its limit; environment proxies are not honoured. Spec: RFC 9112; RFC 8446.
 * @module
 */

import { createHash, X509Certificate } from 'node:crypto';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { Pool, type Dispatcher } from 'undici';
import { equalPublic, utf8, type Bytes } from '../bytes.ts';
import { defineErrors, VeilError, type ErrorSpec } from '../errors.ts';
import { parseJson } from '../json.ts';

const UNREACHABLE: ErrorSpec = {
  status: 502,
  recovery: 'retry_later',
  public: 'The other side could not be reached.',
};
const LATE: ErrorSpec = { ...UNREACHABLE, status: 504, public: 'The other side was too slow.' };

export const httpError = defineErrors({
  /** No byte of the request left this machine. */
  'http.connect': UNREACHABLE,
  /** The TLS key is not the pinned one. No byte of the request left this machine. */
  'http.pin': {
    status: 502,
    recovery: 'stop',
    public: 'The other side does not hold the expected key.',
  },
  'http.origin': {
    status: 400,
    recovery: 'fix_request',
    public: 'The address is not one this client connects to.',
  },
  'http.broken': UNREACHABLE,
  'http.timeout': LATE,
  'http.aborted': { ...UNREACHABLE, public: 'The request was cancelled.' },
  'http.size': { ...UNREACHABLE, public: 'The answer of the other side is too large.' },
  'http.content': { ...UNREACHABLE, public: 'The answer of the other side is malformed.' },
});

/** Whom to believe at the other end. `loopback` and `unix` are clear text, to this machine only. */
export type Trust =
  | { readonly kind: 'spki'; readonly sha256: readonly Bytes<32>[] }
  | { readonly kind: 'webpki' }
  /** These issuers and no others; the name in the certificate is checked as well. */
  | { readonly kind: 'ca'; readonly certificatesPem: string }
  /** Whoever answers: for documents that prove themselves. Nothing secret may be asked with. */
  | { readonly kind: 'nobody' }
  | { readonly kind: 'loopback' }
  /** Whoever may create the socket file is the other end; the origin is `http://localhost`. */
  | { readonly kind: 'unix'; readonly socketPath: string };

export interface ClientCertificate {
  readonly certificatePem: string;
  readonly privateKeyPem: string;
}

export interface PoolOptions {
  /** `https://host:port`, or `http://` with `loopback` or `unix` trust. No path, no credentials. */
  readonly origin: string;
  readonly trust: Trust;
  /** Connects to this address whatever DNS says later; the host name is used for SNI only. */
  readonly address?: string;
  readonly clientCertificate?: ClientCertificate;
  readonly connectionsMax?: number;
  readonly connectTimeoutMs?: number;
  readonly headersTimeoutMs?: number;
  /** Between two pieces of the body. */
  readonly bodyTimeoutMs?: number;
  /** How long an idle connection is kept: less than the other side does, or a request may meet its end. */
  readonly keepAliveMs?: number;
}

export type ReadHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface StreamControl {
  abort(): void;
  pause(): void;
  resume(): void;
}

/** Called in order: head, data*, then exactly one of end and error. After `abort` only error follows. */
export interface StreamHandler {
  onHead(status: number, headers: ReadHeaders, control: StreamControl): void;
  onData(chunk: Uint8Array): void;
  onEnd(): void;
  /** `http.connect` and `http.pin` mean that no byte of the request was sent. */
  onError(error: VeilError): void;
}

export interface StreamRequest {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
}

export interface HttpPool {
  readonly origin: string;
  /** The returned control works from the start, also while connecting. */
  stream(request: StreamRequest, handler: StreamHandler): { abort(): void };
  /** Waits for open requests. */
  close(): Promise<void>;
  destroy(): Promise<void>;
}

const CONNECT_TIMEOUT_MS = 5000;
const HEADERS_TIMEOUT_MS = 60_000;
const BODY_TIMEOUT_MS = 120_000;
const CONNECTIONS_MAX = 256;
const KEEP_ALIVE_MS = 30_000;
const RESPONSE_HEADERS_MAX_BYTES = 16_384;

/** Throws `http.origin`. */
export function createPinnedPool(options: PoolOptions): HttpPool {
  const url = checkedOrigin(options);
  const pool = new Pool(url.origin, {
    connect: connector(options, url),
    connections: options.connectionsMax ?? CONNECTIONS_MAX,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: options.keepAliveMs ?? KEEP_ALIVE_MS,
    headersTimeout: options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
    bodyTimeout: options.bodyTimeoutMs ?? BODY_TIMEOUT_MS,
    maxHeaderSize: RESPONSE_HEADERS_MAX_BYTES,
  });
  return {
    origin: url.origin,
    stream: (request, handler) => dispatchOn(pool, request, handler),
    close: () => pool.close(),
    destroy: () => pool.destroy(),
  };
}

const LOOPBACK_HOSTS: readonly string[] = ['127.0.0.1', '[::1]', 'localhost'];
/** `sun_path` of Linux without its closing zero. A longer path must not be cut to the name of another file. unix(7). */
const SOCKET_PATH_MAX_BYTES = 107;

function checkedOrigin(options: PoolOptions): URL {
  if (!URL.canParse(options.origin)) throw httpError('http.origin', 'not a URL');
  const url = new URL(options.origin);
  if (url.pathname !== '/' || url.search !== '' || url.username !== '' || url.password !== '') {
    throw httpError('http.origin', 'an origin has no path, query or credentials');
  }
  if (options.trust.kind === 'loopback') {
    if (url.protocol === 'http:' && LOOPBACK_HOSTS.includes(url.hostname)) return url;
    throw httpError('http.origin', 'clear text is for this machine only');
  }
  if (options.trust.kind === 'unix') return checkedSocketOrigin(url, options.trust.socketPath);
  if (url.protocol !== 'https:') throw httpError('http.origin', 'https only');
  if (options.trust.kind === 'ca') assertCertificate(options.trust.certificatesPem);
  return url;
}

/** `node:tls` takes an empty list of authorities for none given, and believes the public ones instead. */
function assertCertificate(pem: string): void {
  try {
    void new X509Certificate(pem).fingerprint256;
  } catch (cause) {
    throw httpError('http.origin', 'no certificate to believe', { cause });
  }
}

function checkedSocketOrigin(url: URL, socketPath: string): URL {
  // The name is only what the Host header says: nothing is looked up.
  if (url.origin !== 'http://localhost') {
    throw httpError('http.origin', 'the origin behind a socket is http://localhost');
  }
  if (!socketPath.startsWith('/') || socketPath.includes('\0')) {
    throw httpError('http.origin', 'a socket has an absolute path');
  }
  if (utf8(socketPath).length > SOCKET_PATH_MAX_BYTES) {
    throw httpError('http.origin', 'the path of the socket is too long');
  }
  return url;
}

type Connector = (
  options: unknown,
  callback: (...result: [null, Socket | TLSSocket] | [Error, null]) => void,
) => void;

const HTTPS_PORT = 443;
const HTTP_PORT = 80;

/** Our own connector: undici sees the socket only after the pin was checked. Sessions are never resumed. */
function connector(options: PoolOptions, url: URL): Connector {
  const { trust } = options;
  const name = url.hostname.replaceAll(/^\[|\]$/g, '');
  const host = options.address ?? name;
  const secure = url.protocol === 'https:';
  const port = url.port === '' ? (secure ? HTTPS_PORT : HTTP_PORT) : Number(url.port);
  const open = (): Socket | TLSSocket => {
    if (trust.kind === 'unix') return connectTcp({ path: trust.socketPath });
    if (!secure) return connectTcp({ host, port });
    return connectTls({
      host,
      port,
      // A name is needed for SNI; an address must not be sent there (RFC 6066 §3).
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ...(trust.kind === 'spki' || trust.kind === 'nobody'
        ? { rejectUnauthorized: false, minVersion: 'TLSv1.3' }
        : { rejectUnauthorized: true }),
      ...(trust.kind === 'ca' ? { ca: trust.certificatesPem } : {}),
      ...(options.clientCertificate === undefined
        ? {}
        : {
            cert: options.clientCertificate.certificatePem,
            key: options.clientCertificate.privateKeyPem,
          }),
      ALPNProtocols: ['http/1.1'],
    });
  };
  return (_options, callback) => {
    const socket = open();
    let settled = false;
    const settle = (error: VeilError | undefined): void => {
      if (settled) return;
      settled = true;
      socket.setTimeout(0);
      if (error === undefined) {
        socket.setNoDelay(true);
        callback(null, socket);
        return;
      }
      socket.destroy();
      callback(error, null);
    };
    socket.setTimeout(options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS, () =>
      settle(httpError('http.connect', 'timeout')),
    );
    // The cause is a system error such as ECONNREFUSED: it names an address, never content.
    socket.on('error', (cause) => settle(httpError('http.connect', '', { cause })));
    socket.once('close', () => settle(httpError('http.connect', 'closed')));
    socket.once(secure ? 'secureConnect' : 'connect', () => settle(refusalOf(socket, trust)));
  };
}

/** Asked of every connection before a byte of a request leaves. */
function refusalOf(socket: Socket | TLSSocket, trust: Trust): VeilError | undefined {
  if (trust.kind === 'spki' && !isPinned(socket, trust.sha256)) return httpError('http.pin');
  // `localhost` is a name like others: whoever answers for it must not lead clear text off this machine.
  if (trust.kind === 'loopback' && !isLoopback(socket.remoteAddress)) {
    return httpError('http.origin', 'the name leads to another machine');
  }
  return undefined;
}

/** RFC 1122 §3.2.1.3 (g); RFC 4291 §2.5.3, §2.5.5.2. */
function isLoopback(address: string | undefined): boolean {
  const plain = address?.replace(/^::ffff:/i, '');
  return plain === '::1' || (plain !== undefined && isIP(plain) === 4 && plain.startsWith('127.'));
}

function isPinned(socket: Socket | TLSSocket, pins: readonly Bytes<32>[]): boolean {
  if (!('getPeerX509Certificate' in socket)) return false;
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return false;
  const spki = certificate.publicKey.export({ format: 'der', type: 'spki' });
  const digest = createHash('sha256').update(spki).digest();
  return pins.some((pin) => equalPublic(pin, digest));
}

function dispatchOn(pool: Pool, request: StreamRequest, handler: StreamHandler): { abort(): void } {
  let controller: Dispatcher.DispatchController | undefined;
  let aborted = false;
  let done = false;
  const control: StreamControl = {
    abort: () => {
      if (done) return;
      aborted = true;
      controller?.abort(httpError('http.aborted'));
    },
    pause: () => controller?.pause(),
    resume: () => controller?.resume(),
  };
  const fail = (error: unknown): void => {
    if (done) return;
    done = true;
    handler.onError(aborted ? httpError('http.aborted') : translate(error));
  };
  pool.dispatch(
    {
      method: request.method,
      path: request.path,
      headers: request.headers,
      body: request.body ?? null,
      // Never ask twice: whether a request may be repeated is the caller's decision.
      idempotent: false,
    },
    {
      onRequestStart: (started) => {
        controller = started;
        if (aborted) started.abort(httpError('http.aborted'));
      },
      onResponseStart: (_controller, status, headers) => {
        // 1xx are not answers.
        if (status >= 200) handler.onHead(status, headers, control);
      },
      onResponseData: (_controller, chunk) => handler.onData(chunk),
      onResponseEnd: () => {
        if (done) return;
        done = true;
        handler.onEnd();
      },
      onResponseError: (_controller, error) => fail(error),
    },
  );
  return control;
}

const TIMEOUT_CODES: readonly string[] = ['UND_ERR_HEADERS_TIMEOUT', 'UND_ERR_BODY_TIMEOUT'];

/** Foreign errors keep their place as cause and lose their text. */
function translate(error: unknown): VeilError {
  if (error instanceof VeilError) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return httpError(TIMEOUT_CODES.includes(code) ? 'http.timeout' : 'http.broken', '', {
    cause: error,
  });
}

export interface FetchBytesRequest extends StreamRequest {
  readonly maxBytes: number;
  /** For the whole exchange. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface FetchedBytes {
  readonly status: number;
  readonly headers: ReadHeaders;
  readonly body: Uint8Array;
}

/** A bounded control call. Redirects are answers like any other. Throws `http.*`. */
export function fetchBytes(pool: HttpPool, request: FetchBytesRequest): Promise<FetchedBytes> {
  const timeout = AbortSignal.timeout(request.timeoutMs);
  const signals = request.signal === undefined ? [timeout] : [timeout, request.signal];
  const signal = AbortSignal.any(signals);
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = [];
    let size = 0;
    let tooLarge = false;
    let head: { readonly status: number; readonly headers: ReadHeaders } | undefined;
    if (signal.aborted) {
      reject(httpError('http.aborted'));
      return;
    }
    const onAbort = (): void => control.abort();
    const settle = (): void => signal.removeEventListener('abort', onAbort);
    const control = pool.stream(request, {
      onHead: (status, headers) => {
        head = { status, headers };
      },
      onData: (chunk) => {
        size += chunk.length;
        if (size <= request.maxBytes) {
          chunks.push(chunk);
          return;
        }
        tooLarge = true;
        control.abort();
      },
      onEnd: () => {
        settle();
        if (head === undefined) reject(httpError('http.broken', 'no head'));
        else resolve({ ...head, body: Buffer.concat(chunks) });
      },
      onError: (error) => {
        settle();
        if (tooLarge) reject(httpError('http.size', `more than ${request.maxBytes} bytes`));
        else reject(timeout.aborted ? httpError('http.timeout') : error);
      },
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

export interface FetchJsonRequest {
  readonly method: StreamRequest['method'];
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly maxBytes: number;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface FetchedJson {
  readonly status: number;
  readonly headers: ReadHeaders;
  /** Not decoded: the caller's schema does that. */
  readonly json: unknown;
}

/** Throws `http.*`; `http.content` when the answer is not JSON. */
export async function fetchJson(pool: HttpPool, request: FetchJsonRequest): Promise<FetchedJson> {
  const { json, headers, ...rest } = request;
  const answer = await fetchBytes(pool, {
    ...rest,
    headers: {
      accept: 'application/json',
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(json === undefined ? {} : { body: utf8(JSON.stringify(json)) }),
  });
  try {
    const body = answer.body.length === 0 ? null : parseJson(answer.body, request.maxBytes);
    return { status: answer.status, headers: answer.headers, json: body };
  } catch (cause) {
    throw httpError('http.content', '', { cause });
  }
}
