/**
 * HTTP/2 beside HTTP/1.1 on one TLS port, chosen by ALPN, for the same handler. What HTTP/1.1 is spared needs bounds of its
 * own here: many requests on one connection, frames that ask for work and carry none, windows that never open. nghttp2 ends
 * a connection that resets streams faster than `streamReset*`, or spreads headers over many CONTINUATION frames.
 * Spec: RFC 9113 §5.1.2, §6.5.2, §10.5; CVE-2023-44487, CVE-2024-27316, CVE-2019-9512, -9515.
 * @module
 */

import type { RequestListener } from 'node:http';
import {
  constants,
  createSecureServer,
  type Http2SecureServer,
  type SecureServerOptions,
  type ServerHttp2Stream,
  type Http2Session,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import {
  HEADER_MAX_BYTES,
  HTTP2_CONTROL_FRAMES_BURST,
  HTTP2_CONTROL_FRAMES_PER_S,
  HTTP2_HEADERS_MAX,
  HTTP2_INVALID_FRAMES_MAX,
  HTTP2_REJECTED_STREAMS_MAX,
  HTTP2_RESETS_BURST,
  HTTP2_RESETS_PER_S,
  HTTP2_SESSION_MEMORY_MIB,
  HTTP2_SETTINGS_MAX,
  HTTP2_STREAMS_MAX,
  HTTP2_STREAMS_PER_CONNECTION_MAX,
  HTTP2_WINDOW_BYTES,
  KEEP_ALIVE_TIMEOUT_MS,
  REFUSED_LINGER_MS,
} from './limits.ts';
import { Http2Answer, streamOf } from './over-http2.ts';

export interface Http2Limits {
  /** For a whole request with its body. */
  readonly requestTimeoutMs: number;
  /** A stream on which nothing moves for so long is cut, whatever else its connection does. */
  readonly silenceTimeoutMs: number;
  /** A connection without a stream is closed after this, or at most twice as long. */
  readonly idleTimeoutMs?: number;
  /** Streams open at once over all connections. */
  readonly streamsMax?: number;
}

const OPTIONS: SecureServerOptions = {
  allowHTTP1: true,
  settings: {
    enablePush: false,
    enableConnectProtocol: false,
    initialWindowSize: HTTP2_WINDOW_BYTES,
    maxConcurrentStreams: HTTP2_STREAMS_PER_CONNECTION_MAX,
    maxHeaderListSize: HEADER_MAX_BYTES,
  },
  maxHeaderListPairs: HTTP2_HEADERS_MAX,
  maxSessionMemory: HTTP2_SESSION_MEMORY_MIB,
  maxSessionInvalidFrames: HTTP2_INVALID_FRAMES_MAX,
  maxSessionRejectedStreams: HTTP2_REJECTED_STREAMS_MAX,
  maxSettings: HTTP2_SETTINGS_MAX,
  streamResetBurst: HTTP2_RESETS_BURST,
  streamResetRate: HTTP2_RESETS_PER_S,
  Http2ServerResponse: Http2Answer,
};

/** `http1` and TLS options as of `node:https`. */
export function createHttp2Server(
  http1AndTls: SecureServerOptions,
  handler: RequestListener,
  limits: Http2Limits,
): Http2SecureServer {
  const server = createSecureServer({ ...http1AndTls, ...OPTIONS });
  const { idleTimeoutMs = KEEP_ALIVE_TIMEOUT_MS, streamsMax = HTTP2_STREAMS_MAX } = limits;
  const guard = { idleTimeoutMs, silenceTimeoutMs: limits.silenceTimeoutMs };
  const open = { streams: 0 };
  const sessions = new WeakMap<Http2Session, GuardedSession>();
  let accepted: TLSSocket | undefined;
  // The session of a socket is made, and told of, while this event runs.
  server.prependListener('secureConnection', (socket) => {
    accepted = socket;
  });
  server.on('session', (session) => {
    if (accepted === undefined) return;
    sessions.set(session, new GuardedSession(session, accepted, guard));
    accepted = undefined;
  });
  const admitted: RequestListener = (request, response) => {
    const stream = streamOf(response);
    if (stream === undefined) {
      handler(request, response);
      return;
    }
    if (open.streams >= streamsMax) {
      // Says that nothing was done with it, so that a client may ask again.
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    if (sizeOf(request.rawHeaders) > HEADER_MAX_BYTES) {
      // Node itself keeps to a limit of its own, whatever the settings said.
      stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    open.streams++;
    const session = stream.session === undefined ? undefined : sessions.get(stream.session);
    const leave = session?.enter(stream);
    stream.setTimeout(limits.silenceTimeoutMs, () => stream.close(constants.NGHTTP2_CANCEL));
    const late = setTimeout(() => {
      if (!request.complete) stream.close(constants.NGHTTP2_CANCEL);
    }, limits.requestTimeoutMs);
    request.once('end', () => clearTimeout(late));
    stream.once('close', () => {
      clearTimeout(late);
      open.streams--;
      leave?.();
    });
    handler(request, response);
  };
  server.on('request', admitted);
  return server;
}

/** Spec: RFC 9113 §6.5.2, SETTINGS_MAX_HEADER_LIST_SIZE. */
function sizeOf(rawHeaders: readonly string[]): number {
  let size = (rawHeaders.length / 2) * FIELD_OVERHEAD_BYTES;
  for (const text of rawHeaders) size += text.length;
  return size;
}

const FIELD_OVERHEAD_BYTES = 32;

/** What of an answer its peer has not taken, and since how many looks it is the same. */
interface OpenStream {
  readonly stream: ServerHttp2Stream;
  waitingBytes: number;
  stuckLooks: number;
}

interface GuardOptions {
  readonly idleTimeoutMs: number;
  readonly silenceTimeoutMs: number;
}

/** One connection: how many frames it may send that carry nothing, and how long it and its streams may stay without moving. */
class GuardedSession {
  readonly #session: Http2Session;
  readonly #socket: TLSSocket;
  readonly #stuckLooksMax: number;
  readonly #idle: NodeJS.Timeout;
  readonly #streams = new Set<OpenStream>();
  #wasUsed = false;
  #left = HTTP2_CONTROL_FRAMES_BURST;
  #atMs = performance.now();

  constructor(session: Http2Session, socket: TLSSocket, options: GuardOptions) {
    const { idleTimeoutMs, silenceTimeoutMs } = options;
    this.#session = session;
    this.#socket = socket;
    this.#stuckLooksMax = Math.ceil(silenceTimeoutMs / idleTimeoutMs);
    this.#idle = setTimeout(() => this.#look(), idleTimeoutMs);
    session.on('ping', () => this.#control());
    session.on('remoteSettings', () => this.#control());
    socket.once('close', () => clearTimeout(this.#idle));
  }

  enter(stream: ServerHttp2Stream): () => void {
    const open: OpenStream = { stream, waitingBytes: 0, stuckLooks: 0 };
    stream.on('drain', () => {
      open.stuckLooks = 0;
    });
    this.#streams.add(open);
    this.#wasUsed = true;
    return () => this.#streams.delete(open);
  }

  /**
   * Frames do not keep a connection: an idle one costs its place as long as it stays. Node, when it ends one, waits until the
   * peer has read the end: one that reads nothing would keep its place.
   */
  #look(): void {
    if (this.#session.destroyed) {
      this.#socket.destroy();
      return;
    }
    for (const open of this.#streams) this.#lookAt(open);
    if (this.#streams.size === 0 && !this.#wasUsed) this.#end(constants.NGHTTP2_NO_ERROR);
    this.#wasUsed = false;
    this.#idle.refresh();
  }

  /** Node's own time-out of a stream counts whatever moves on its connection. */
  #lookAt(open: OpenStream): void {
    const waitingBytes = open.stream.writableLength;
    const isStuck = waitingBytes > 0 && waitingBytes === open.waitingBytes;
    open.waitingBytes = waitingBytes;
    open.stuckLooks = isStuck ? open.stuckLooks + 1 : 0;
    if (open.stuckLooks < this.#stuckLooksMax) return;
    open.stream.close(constants.NGHTTP2_CANCEL);
    // Else it would wait until the peer has room for what it is told.
    open.stream.destroy();
  }

  #control(): void {
    const nowMs = performance.now();
    const gained = ((nowMs - this.#atMs) / MS_PER_S) * HTTP2_CONTROL_FRAMES_PER_S;
    this.#left = Math.min(HTTP2_CONTROL_FRAMES_BURST, this.#left + gained) - 1;
    this.#atMs = nowMs;
    if (this.#left < 0) this.#end(constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  #end(code: number): void {
    if (this.#session.destroyed) return;
    this.#session.destroy(undefined, code);
    const late = setTimeout(() => this.#socket.destroy(), REFUSED_LINGER_MS);
    this.#socket.once('close', () => clearTimeout(late));
  }
}

const MS_PER_S = 1000;
