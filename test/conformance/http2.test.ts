/** C23: what HTTP/1.1 and HTTP/2 carry is the same, whole and streamed; which one it is ALPN decides. @module */

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { connect } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect as tlsConnect } from 'node:tls';
import { concat, fromUtf8, utf8 } from '../../core/bytes.ts';
import { demoEngine } from '../support/conformance/engines.ts';
import { labOf, waysOf } from '../support/conformance/lab.ts';
import { row } from '../support/conformance/rows.ts';
import type { Way } from '../support/conformance/way.ts';

const skip = existsSync('gateway/http2.ts') ? false : 'the gateway does not offer HTTP/2 yet';
const lab = labOf({
  engine: demoEngine,
  gateway: { listen: { httpPort: 0, httpsPort: 0 } },
});

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

interface Asked {
  readonly origin: string;
  readonly path: string;
  readonly method: 'GET' | 'POST';
  readonly apiKey: string;
  readonly body: Uint8Array;
}

/** A development certificate of the lab's own making. */
const TLS = { rejectUnauthorized: false } as const;

function headersOf({ apiKey, method, body }: Asked): Record<string, string> {
  return {
    authorization: `Bearer ${apiKey}`,
    ...(method === 'POST' && {
      'content-type': 'application/json',
      'content-length': String(body.length),
    }),
  };
}

function overHttp1(asked: Asked): Promise<Answer> {
  const { origin, path, method, body } = asked;
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const request = httpsRequest(
    `${origin}${path}`,
    { ...TLS, method, agent: false, headers: headersOf(asked) },
    (response) => {
      const chunks: Uint8Array[] = [];
      response.on('data', (chunk: Uint8Array) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          type: response.headers['content-type'] ?? '',
          body: fromUtf8(concat(...chunks)),
        }),
      );
    },
  );
  request.on('error', reject);
  request.end(method === 'POST' ? body : undefined);
  return promise;
}

async function overHttp2(asked: Asked): Promise<Answer> {
  const { origin, path, method, body } = asked;
  const session = connect(origin, TLS);
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  session.on('error', reject);
  const stream = session.request({ ':path': path, ':method': method, ...headersOf(asked) });
  let status = 0;
  let type = '';
  const chunks: Uint8Array[] = [];
  stream.on('response', (headers) => {
    status = headers[':status'] ?? 0;
    type = String(headers['content-type']);
  });
  stream.on('data', (chunk: Uint8Array) => chunks.push(chunk));
  stream.on('error', reject);
  stream.on('end', () => resolve({ status, type, body: fromUtf8(concat(...chunks)) }));
  stream.end(method === 'POST' ? body : undefined);
  try {
    const answer = await promise;
    assert.equal(session.alpnProtocol, 'h2');
    return answer;
  } finally {
    session.close();
  }
}

/** Two of the same question differ in these and in nothing else. */
function withoutIds({ status, type, body }: Answer): Answer {
  return {
    status,
    type,
    body: body
      .replaceAll(
        /"(id|created|requestId|receipt|statement|n|cum|atMs)": ?("[^"]*"|\d+)/g,
        '"$1":0',
      )
      .replaceAll(/: x_settlement .*/g, ': x_settlement'),
  };
}

async function alpnOf(origin: string, offered: readonly string[]): Promise<string | false | null> {
  const { hostname, port } = new URL(origin);
  const socket = tlsConnect({
    ...TLS,
    host: hostname,
    port: Number(port),
    ALPNProtocols: [...offered],
  });
  await new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  const { alpnProtocol } = socket;
  socket.destroy();
  return alpnProtocol;
}

function questions(way: Way): readonly Pick<Asked, 'path' | 'method' | 'body'>[] {
  const messages = [{ role: 'user', content: 'What is remote attestation?' }];
  const asked = { model: way.model, messages, max_tokens: 16, temperature: 0 };
  const post = (body: object) => ({
    path: '/v1/chat/completions',
    method: 'POST' as const,
    body: utf8(JSON.stringify(body)),
  });
  return [
    post(asked),
    post({ ...asked, stream: true, stream_options: { include_usage: true } }),
    post({ ...asked, temperature: 77 }),
    { path: '/v1/models', method: 'GET', body: new Uint8Array() },
    { path: '/v1/files', method: 'GET', body: new Uint8Array() },
  ];
}

row(
  'C23',
  waysOf(lab),
  {
    raw: async (way) => {
      const origin = lab().secureOrigin;
      assert.equal(await alpnOf(origin, ['http/1.1']), 'http/1.1');
      assert.equal(await alpnOf(origin, ['h2', 'http/1.1']), 'h2');
      for (const question of questions(way)) {
        const asked = { origin, apiKey: way.apiKey, ...question };
        const first = withoutIds(await overHttp1(asked));
        const second = withoutIds(await overHttp2(asked));
        assert.deepEqual(second, first);
        assert.ok(first.body.length > 0);
      }
    },
  },
  { skip },
);
