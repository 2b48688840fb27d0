/** A desk on loopback: one server that plays all vendors, and misbehaves the way servers do. Bounded. @module */

import { createServer, type RequestListener, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { SelfSigned } from '../../../attestation/x509.ts';
import type { Answer, Desk } from './desk.ts';

export interface VendorServer {
  /** `http://127.0.0.1:port`, or `https://`. */
  readonly origin: string;
  readonly close: () => Promise<void>;
}

const CONNECTIONS_MAX = 64;
const REQUEST_TIMEOUT_MS = 30_000;
const OVERSIZE_BYTES = 4 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

/** Over TLS when it is given a certificate to show. */
export async function serveVendors(desk: Desk, own?: SelfSigned): Promise<VendorServer> {
  const listener: RequestListener = (request, response) => {
    // A client that hangs up in the middle is part of the game.
    response.on('error', () => response.destroy());
    const path = request.url ?? '/';
    desk.note({ origin: request.headers.host ?? '', path });
    reply(desk, path, response);
  };
  const limits = { requestTimeout: REQUEST_TIMEOUT_MS };
  const server =
    own === undefined
      ? createServer(limits, listener)
      : createSecureServer(
          { ...limits, cert: own.certificatePem, key: own.privateKeyPem },
          listener,
        );
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not listening');
  return {
    origin: `${own === undefined ? 'http' : 'https'}://127.0.0.1:${address.port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

function reply(desk: Desk, path: string, response: ServerResponse): void {
  const fault = desk.faultOf(path);
  if (fault?.kind === 'silent') return;
  if (fault?.kind === 'unreachable') {
    response.destroy();
    return;
  }
  if (fault?.kind === 'oversize') {
    response.writeHead(200);
    for (let sent = 0; sent < OVERSIZE_BYTES; sent += CHUNK_BYTES) {
      response.write(new Uint8Array(CHUNK_BYTES));
    }
    response.end();
    return;
  }
  if (fault?.kind === 'status') {
    send(response, { status: fault.status, headers: fault.headers ?? {}, body: new Uint8Array() });
    return;
  }
  const answer = desk.answer(path);
  if (fault?.kind === 'truncated') {
    response.writeHead(200, { ...plain(answer.headers), 'content-length': answer.body.length });
    response.write(answer.body.subarray(0, answer.body.length >> 1), () => response.destroy());
    return;
  }
  send(response, fault?.kind === 'instead' ? fault.change(answer) : answer);
}

function send(response: ServerResponse, { status, headers, body }: Answer): void {
  response.writeHead(status, plain(headers));
  response.end(body);
}

function plain(headers: Answer['headers']): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).flatMap(([name, value]) =>
      typeof value === 'string' ? [[name, value] as const] : [],
    ),
  );
}
