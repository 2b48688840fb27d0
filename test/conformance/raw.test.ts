/** C19: what no SDK would send gets a JSON error with the right status, and what HTTP allows is served. @module */

import assert from 'node:assert/strict';
import { Agent, request as httpRequest, type OutgoingHttpHeaders } from 'node:http';
import { after } from 'node:test';
import { z } from 'zod';
import { concat, utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import { demoEngine } from '../support/conformance/engines.ts';
import { labOf, waysOf } from '../support/conformance/lab.ts';
import { row } from '../support/conformance/rows.ts';
import type { Way } from '../support/conformance/way.ts';

/** As SDKs have it. */
const agent = new Agent({ keepAlive: true });
after(() => agent.destroy());
const lab = labOf({ engine: demoEngine });
const ERROR = z.strictObject({
  error: z.strictObject({
    message: z.string().min(1),
    type: z.string(),
    param: z.string().nullable(),
    code: z.string(),
  }),
});
const ANSWER_MAX_BYTES = 65_536;
const LARGE_BYTES = 25 * 1024 * 1024;
const PIECE_BYTES = 65_536;

interface Raw {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: Uint8Array;
  /** Sent without a length, in pieces, as far as the server reads. */
  readonly pieces?: number;
}

interface Got {
  readonly status: number;
  readonly type: string;
  readonly requestId: string;
  readonly body: Uint8Array;
  readonly continued: boolean;
}

function send(way: Way, raw: Raw): Promise<Got> {
  const { method = 'POST', path = '/chat/completions', headers = {}, body, pieces = 0 } = raw;
  const { promise, resolve, reject } = Promise.withResolvers<Got>();
  let continued = false;
  let answered = false;
  const request = httpRequest(`${way.baseURL}${path}`, {
    method,
    agent,
    headers: {
      authorization: `Bearer ${way.apiKey}`,
      'content-type': 'application/json',
      ...(body !== undefined && { 'content-length': body.length }),
      ...headers,
    },
  });
  request.on('continue', () => {
    continued = true;
    request.end(body);
  });
  request.on('response', (response) => {
    answered = true;
    const chunks: Uint8Array[] = [];
    response.on('data', (chunk: Uint8Array) => chunks.push(chunk));
    response.on('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        type: response.headers['content-type'] ?? '',
        requestId: String(response.headers['x-request-id']),
        body: concat(...chunks),
        continued,
      }),
    );
    response.on('error', reject);
  });
  // A server that has refused a body need not read the rest of it.
  request.on('error', (error) => (answered ? undefined : reject(error)));
  if (pieces > 0) sendPieces(request, pieces);
  else if (headers['expect'] === undefined) request.end(body);
  else request.flushHeaders();
  return promise;
}

function sendPieces(request: ReturnType<typeof httpRequest>, pieces: number): void {
  let left = pieces;
  const piece = new Uint8Array(PIECE_BYTES).fill(0x20);
  const more = (): void => {
    while (left > 0 && !request.destroyed) {
      left--;
      if (!request.write(piece)) {
        request.once('drain', more);
        return;
      }
    }
    if (left === 0) request.end();
  };
  more();
}

async function refused(way: Way, raw: Raw, status: number, code: string): Promise<void> {
  const got = await send(way, raw);
  assert.equal(got.status, status, code);
  assert.match(got.type, /^application\/json\b/);
  assert.match(got.requestId, /^(req|sx)_[0-9a-f]{32}$/);
  assert.equal(ERROR.parse(parseJson(got.body, ANSWER_MAX_BYTES)).error.code, code);
}

row('C19', waysOf(lab), {
  raw: async (way) => {
    const { model } = way;
    const asked = { model, max_tokens: 4, messages: [{ role: 'user', content: 'Hello' }] };
    const body = utf8(JSON.stringify(asked));
    for (const path of ['/files', '/batches', '/assistants', '/chat', '/chat/completions/x']) {
      await refused(way, { path, body }, 404, 'unknown_url');
    }
    for (const method of ['GET', 'PUT', 'DELETE']) {
      await refused(way, { method }, 405, 'method_not_allowed');
    }
    await refused(way, { method: 'POST', path: '/models', body }, 405, 'method_not_allowed');
    for (const type of ['text/plain', 'multipart/form-data; boundary=x', '']) {
      const headers = { 'content-type': type };
      await refused(way, { headers, body }, 415, 'unsupported_media_type');
    }
    const encoded = { 'content-encoding': 'gzip' };
    await refused(way, { headers: encoded, body }, 415, 'unsupported_media_type');
    for (const text of ['', '{', '{"model": }', '[1,2', '\u0000']) {
      await refused(way, { body: utf8(text) }, 400, 'invalid_json');
    }
    await refused(way, { body: new Uint8Array(LARGE_BYTES) }, 413, 'request_too_large');
    await refused(way, { pieces: LARGE_BYTES / PIECE_BYTES }, 413, 'request_too_large');
    const expecting = { expect: '100-continue' };
    const whole = await send(way, { headers: expecting, body });
    assert.deepEqual([whole.status, whole.continued], [200, true]);
  },
});
