/**
 * Callers of the TLS listener: an honest one over HTTP/2, and one that writes frames of its own making.
 * Spec: RFC 9113 §4.1, §6; RFC 7541 §6.2.2.
 * @module
 */

import { once } from 'node:events';
import {
  connect as connectHttp2,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';
import type { TestContext } from 'node:test';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { concat, utf8 } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { selfSign } from '../../attestation/x509.ts';
import { generateP256 } from '../../attestation/x509-keys.ts';
import { listen } from '../../gateway/listeners.ts';
import { certificateSpki, type TlsIdentity } from '../../gateway/tls-identity.ts';
import { until } from './until.ts';

export async function testIdentity(): Promise<TlsIdentity> {
  const nowMs = systemClock();
  const { certificatePem, privateKeyPem } = await selfSign({
    keys: await generateP256(),
    commonName: 'localhost',
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    notBeforeMs: nowMs - 1000,
    notAfterMs: nowMs + 3_600_000,
  });
  return certificateSpki(certificatePem, privateKeyPem);
}

type Served = Parameters<typeof listen>[0];

/** A listener of TLS on loopback, for as long as the test. */
export async function serveHttp2(
  t: TestContext,
  handler: Served['handler'],
  more: Partial<Served> = {},
): ReturnType<typeof listen> {
  const tls = await testIdentity();
  const listener = await listen({ host: '127.0.0.1', port: 0, tls, handler, ...more });
  t.after(() => listener.close(AbortSignal.abort()));
  return listener;
}

/** Frames by hand, for as long as the test. */
export async function openRaw(
  t: TestContext,
  port: number,
  settings?: Uint8Array,
): Promise<RawHttp2> {
  const raw = await RawHttp2.open(port, settings);
  t.after(() => raw.close());
  return raw;
}

export async function openHttp2(port: number): Promise<ClientHttp2Session> {
  const session = connectHttp2(`https://127.0.0.1:${port}`, { rejectUnauthorized: false });
  // Whoever waits for an answer hears of it there.
  session.on('error', () => undefined);
  await once(session, 'connect');
  return session;
}

export interface StreamAnswer {
  readonly headers: IncomingHttpHeaders;
  readonly status: number;
  readonly body: Uint8Array;
  /** 0: it ended as it should. */
  readonly rstCode: number;
}

/** Resolves when the stream has closed, however it did. */
export function answerOf(stream: ClientHttp2Stream): Promise<StreamAnswer> {
  let headers: IncomingHttpHeaders = {};
  const chunks: Uint8Array[] = [];
  stream.on('response', (received) => {
    headers = received;
  });
  stream.on('data', (chunk: Uint8Array) => chunks.push(chunk));
  stream.on('error', () => undefined);
  // Node's client would go on waiting to send the rest of a body that nobody takes.
  stream.once('end', () => {
    if (stream.aborted) stream.destroy();
  });
  return new Promise((resolve) => {
    stream.once('close', () =>
      resolve({
        headers,
        status: Number(headers[':status'] ?? 0),
        body: concat(...chunks),
        rstCode: stream.rstCode ?? 0,
      }),
    );
  });
}

export function askHttp2(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders,
  body?: Uint8Array,
): Promise<StreamAnswer> {
  const stream = session.request(headers, { endStream: body === undefined });
  const answer = answerOf(stream);
  if (body !== undefined) stream.end(body);
  return answer;
}

export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Uint8Array;
}

export const FRAME = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const END_STREAM = 0x1;
export const ACK = 0x1;
export const END_HEADERS = 0x4;

export function frame(
  type: number,
  flags: number,
  stream: number,
  payload: Uint8Array = NOTHING,
): Uint8Array {
  const head = new Uint8Array(9);
  const view = new DataView(head.buffer);
  view.setUint16(0, payload.length >> 8);
  view.setUint8(2, payload.length & 0xff);
  view.setUint8(3, type);
  view.setUint8(4, flags);
  view.setUint32(5, stream);
  return concat(head, payload);
}

const NOTHING: Uint8Array = new Uint8Array();
const NAME_PREFIX_MAX = 0x7f;

/** Literals without indexing: no table, no Huffman code. */
export function headerBlock(headers: readonly (readonly [string, string])[]): Uint8Array {
  return concat(
    ...headers.flatMap(([name, value]) => [
      Uint8Array.of(0),
      lengthOf(name.length),
      utf8(name),
      lengthOf(value.length),
      utf8(value),
    ]),
  );
}

function lengthOf(length: number): Uint8Array {
  if (length < NAME_PREFIX_MAX) return Uint8Array.of(length);
  const bytes = [NAME_PREFIX_MAX];
  for (let left = length - NAME_PREFIX_MAX; ; left = Math.floor(left / 128)) {
    if (left < 128) return Uint8Array.of(...bytes, left);
    bytes.push((left % 128) | 0x80);
  }
}

export function requestBlock(path: string, method = 'GET'): Uint8Array {
  return headerBlock([
    [':method', method],
    [':scheme', 'https'],
    [':path', path],
    [':authority', 'localhost'],
  ]);
}

const PREFACE = utf8('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');

export class RawHttp2 {
  readonly #socket: TLSSocket;
  readonly frames: Frame[] = [];
  /** Every frame type that came so far, in order. */
  isClosed = false;
  #rest: Uint8Array = NOTHING;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on('data', (chunk: Uint8Array) => this.#take(chunk));
    socket.on('error', () => undefined);
    socket.once('close', () => {
      this.isClosed = true;
    });
  }

  static async open(port: number, settings: Uint8Array = NOTHING): Promise<RawHttp2> {
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      ALPNProtocols: ['h2'],
      rejectUnauthorized: false,
    });
    await once(socket, 'secureConnect');
    const raw = new RawHttp2(socket);
    raw.write(PREFACE, frame(FRAME.settings, 0, 0, settings));
    return raw;
  }

  get bytesRead(): number {
    return this.#socket.bytesRead;
  }

  write(...parts: readonly Uint8Array[]): void {
    if (!this.isClosed && this.#socket.writable) this.#socket.write(concat(...parts));
  }

  /** Nothing more is read: neither answers nor the end. */
  stopReading(): void {
    this.#socket.pause();
  }

  close(): void {
    this.#socket.destroy();
  }

  async until(holds: (raw: RawHttp2) => boolean): Promise<void> {
    await until(() => holds(this));
  }

  /** Of the first GOAWAY; undefined before there is one. */
  get goawayCode(): number | undefined {
    const payload = this.frames.find(({ type }) => type === FRAME.goaway)?.payload;
    return payload === undefined ? undefined : codeAt(payload, 4);
  }

  /** Of the RST_STREAM of this stream. */
  resetCode(stream: number): number | undefined {
    const reset = this.frames.find((one) => one.type === FRAME.rstStream && one.stream === stream);
    return reset === undefined ? undefined : codeAt(reset.payload, 0);
  }

  #take(chunk: Uint8Array): void {
    let bytes = concat(this.#rest, chunk);
    while (bytes.length >= 9) {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      const length = (view.getUint16(0) << 8) | view.getUint8(2);
      if (bytes.length < 9 + length) break;
      this.frames.push({
        type: view.getUint8(3),
        flags: view.getUint8(4),
        stream: view.getUint32(5),
        payload: bytes.slice(9, 9 + length),
      });
      bytes = bytes.subarray(9 + length);
    }
    this.#rest = bytes.slice();
  }
}

function codeAt(payload: Uint8Array, at: number): number {
  return new DataView(payload.buffer, payload.byteOffset).getUint32(at);
}
