/**
 * Stands between a client and a gateway and does to answers what a test says: the gateway or the network, gone bad.
 * @module
 */

import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { concat } from '../../core/bytes.ts';

/** What becomes of the body of an answer. */
export type Fate =
  /** Ends as if it were whole. */
  | { readonly kind: 'sent'; readonly body: Uint8Array }
  /** The connection breaks after it. */
  | { readonly kind: 'cut'; readonly body: Uint8Array };

export interface Relay {
  readonly url: string;
  /** For every answer from now on. */
  decide(fate: (path: string, body: Uint8Array) => Fate): void;
  close(): Promise<void>;
}

export function asSent(_path: string, body: Uint8Array): Fate {
  return { kind: 'sent', body };
}

export async function startRelay(targetOrigin: string): Promise<Relay> {
  let decide: (path: string, body: Uint8Array) => Fate = asSent;
  const server = createServer((request, response) => {
    relay(targetOrigin, request, response, (path, body) => decide(path, body)).catch(() =>
      response.destroy(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    decide: (fate) => {
      decide = fate;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Of hop by hop, or no longer true of what is passed on. */
const OWN_HEADERS = ['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'host'];

async function relay(
  targetOrigin: string,
  request: IncomingMessage,
  response: ServerResponse,
  decide: (path: string, body: Uint8Array) => Fate,
): Promise<void> {
  const { method = 'GET', url = '/' } = request;
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) if (chunk instanceof Uint8Array) chunks.push(chunk);
  const headers = Object.entries(request.headers).flatMap(([name, value]) =>
    value === undefined || OWN_HEADERS.includes(name) ? [] : [[name, String(value)] as const],
  );
  const answer = await fetch(`${targetOrigin}${url}`, {
    method,
    headers: Object.fromEntries(headers),
    ...(method === 'POST' ? { body: Uint8Array.from(concat(...chunks)) } : {}),
  });
  for (const [name, value] of answer.headers) {
    if (!OWN_HEADERS.includes(name)) response.setHeader(name, value);
  }
  const fate = decide(url, new Uint8Array(await answer.arrayBuffer()));
  response.writeHead(answer.status);
  if (fate.kind === 'sent') {
    response.end(fate.body);
    return;
  }
  response.write(fate.body, () => response.destroy());
}

export function portOf(server: Server): number {
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  return address.port;
}
