/** The convenience mode's HTTP side, with a sealer that follows a script. @module */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request as httpRequest, type IncomingMessage } from 'node:http';
import { after, test } from 'node:test';
import { z } from 'zod';
import { systemClock } from '../../../core/clock.ts';
import { utf8 } from '../../../core/bytes.ts';
import { respondUnknownUrl, serveOpenAi, type OpenAiDeps } from '../../../gateway/openai/routes.ts';
import { bodyError } from '../../../gateway/openai/body.ts';
import type { PlainHead, PlainSink, Sealer } from '../../../gateway/openai/sealer.ts';
import { sxError } from '../../../protocol/sx/errors.ts';

const BODY = JSON.stringify({ model: 'm', messages: [{ role: 'user', content: 'hello' }] });
const EVENTS: PlainHead['headers'] = [['content-type', 'text/event-stream; charset=utf-8']];
const JSON_TYPE: PlainHead['headers'] = [
  ['content-type', 'application/json'],
  ['set-cookie', 'not-passed=1'],
];

function head(headers: PlainHead['headers'], status = 200): PlainHead {
  return {
    status,
    headers,
    workerId: new Uint8Array(32).fill(1),
    kid: new Uint8Array(16).fill(2),
    simulated: true,
    requestId: 'sx_00',
    statementHash: new Uint8Array(32).fill(3),
    policyDigest: new Uint8Array(32).fill(4),
  };
}

type Script = (sink: PlainSink, signal: AbortSignal) => Promise<void> | void;

const cleanups: (() => void)[] = [];
after(() => {
  for (const cleanup of cleanups) cleanup();
});

async function serve(
  script: Script | 'sealed-only',
  more: Partial<OpenAiDeps> = {},
): Promise<number> {
  const sealer: Sealer = {
    exchange: async (_request, _send, sink, signal) => {
      if (script !== 'sealed-only') await script(sink, signal);
    },
  };
  const deps: OpenAiDeps = {
    clock: systemClock,
    models: () => [{ id: 'org/name', contextLength: 192 }],
    authenticate: () => ({
      payer: new Uint8Array(32),
      pays: false,
      refusal: () => undefined,
      paymentResponse: () => '',
      send: () => Promise.resolve(),
      standing: () => ({ limit: 60, remaining: 59, fullInMs: 1000, nextInMs: 0 }),
    }),
    ...(script === 'sealed-only' ? {} : { sealer }),
    ...more,
  };
  const server = createServer((request, response) => {
    if (!serveOpenAi(deps, request, response)) respondUnknownUrl(response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return z.object({ port: z.number() }).parse(server.address()).port;
}

function post(port: number, body = BODY, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body,
  });
}

async function errorCodeOf(response: Response): Promise<unknown> {
  return z.object({ error: z.looseObject({ code: z.unknown() }) }).parse(await response.json())
    .error.code;
}

test('a whole answer carries the labels of a gateway that can read', async () => {
  const port = await serve((sink) => {
    sink.head(head(JSON_TYPE));
    sink.data(utf8('{"ok":true}'));
  });
  const response = await post(port);
  assert.equal(response.status, 200);
  assert.deepEqual(await response.json(), { ok: true });
  assert.equal(response.headers.get('sx-privacy'), 'gateway-visible');
  assert.equal(response.headers.get('sx-simulated'), 'true');
  assert.equal(response.headers.get('sx-worker'), '01'.repeat(32));
  assert.equal(response.headers.get('sx-kid'), '02'.repeat(16));
  assert.equal(response.headers.get('x-request-id'), 'sx_00');
  assert.equal(response.headers.get('set-cookie'), null);
});

test('without a sealer a prompt is refused unread', async () => {
  const response = await post(await serve('sealed-only'));
  assert.equal(response.status, 403);
  assert.equal(await errorCodeOf(response), 'plaintext_disabled');
});

test('an event stream is flushed at its head with stream headers', async () => {
  const release = Promise.withResolvers<void>();
  const port = await serve(async (sink) => {
    sink.head(head(EVENTS));
    await release.promise;
    sink.data(utf8('data: {"choices":[]}\n\ndata: [DONE]\n\n'));
  });
  const response = await post(port);
  assert.equal(response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  assert.equal(response.headers.get('cache-control'), 'no-cache, no-transform');
  assert.equal(response.headers.get('x-accel-buffering'), 'no');
  release.resolve();
  assert.match(await response.text(), /\[DONE\]/);
});

test('a failure before the head is a typed HTTP error', async () => {
  const port = await serve(() => {
    throw sxError('sx.no_recipient');
  });
  const response = await post(port);
  assert.equal(response.status, 503);
  assert.equal(response.headers.get('retry-after'), '1');
  assert.equal(response.headers.get('sx-privacy'), null);
  assert.equal(await errorCodeOf(response), 'no_attested_worker');
});

function rawPost(port: number): Promise<IncomingMessage> {
  const request = httpRequest({
    port,
    method: 'POST',
    path: '/v1/chat/completions',
    headers: { 'content-type': 'application/json' },
  });
  request.end(BODY);
  return new Promise((resolve, reject) => {
    request.once('response', resolve);
    request.once('error', reject);
  });
}

test('a failure after the head is an error event and a connection that ends without its last chunk', async () => {
  const port = await serve((sink) => {
    sink.head(head(EVENTS));
    sink.data(utf8('data: {"choices":[]}\n\n'));
    throw sxError('sx.truncated');
  });
  const response = await rawPost(port);
  let text = '';
  response.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  const [error]: unknown[] = await once(response, 'error');
  assert.ok(error instanceof Error && 'code' in error && error.code === 'ECONNRESET');
  assert.equal(response.complete, false);
  const [first, second, rest] = text.split('\n\n');
  assert.equal(first, 'data: {"choices":[]}');
  assert.match(second ?? '', /^data: \{"error":\{.*"code":"answer_broken"/);
  assert.equal(rest, '');
});

test('the exchange stops within a second when the app leaves', async () => {
  const stopped = Promise.withResolvers<void>();
  const port = await serve(async (sink, signal) => {
    signal.addEventListener('abort', () => stopped.resolve(), { once: true });
    sink.head(head(EVENTS));
    sink.data(utf8('data: {"choices":[]}\n\n'));
    await stopped.promise;
    throw signal.reason;
  });
  const response = await rawPost(port);
  await once(response, 'data');
  const leftAtMs = performance.now();
  response.destroy();
  await stopped.promise;
  assert.ok(performance.now() - leftAtMs < 1000);
});

test('an idle stream gets comments, and none inside an unfinished event', async () => {
  const released = Promise.withResolvers<void>();
  const port = await serve(
    async (sink) => {
      sink.head(head(EVENTS));
      await released.promise;
      sink.data(utf8('data: {"cho'));
      await new Promise((resolve) => setTimeout(resolve, 40));
      sink.data(utf8('ices":[]}\n\n'));
    },
    { pingIntervalMs: 5 },
  );
  const response = await rawPost(port);
  const [chunk]: unknown[] = await once(response, 'data');
  assert.match(String(chunk), /^: ping\n\n/);
  released.resolve();
  let text = '';
  for await (const more of response) text += String(more);
  assert.ok(text.includes('data: {"choices":[]}\n\n'));
});

test('a slow reader holds the sealer back', async () => {
  const PIECE = new Uint8Array(65_536).fill(0x20);
  const full = Promise.withResolvers<void>();
  let drained = 0;
  const port = await serve(async (sink) => {
    sink.head(head(JSON_TYPE));
    for (let i = 0; i < 512; i++) {
      if (sink.data(PIECE)) continue;
      const room = sink.drain();
      if ((await Promise.race([room, tick()])) === 'full') full.resolve();
      await room;
      drained++;
    }
  });
  const response = await rawPost(port);
  response.pause();
  await full.promise;
  assert.ok(drained < 512);
  let size = 0;
  for await (const chunk of response) size += z.instanceof(Uint8Array).parse(chunk).length;
  assert.equal(size, 512 * PIECE.length);
});

function tick(): Promise<string> {
  return new Promise((resolve) => setImmediate(() => resolve('full')));
}

for (const [name, body, headers, status, code] of [
  ['malformed JSON', '{', {}, 400, 'invalid_json'],
  ['a bad model', '{"model":1}', {}, 400, 'invalid_value'],
  ['another content type', BODY, { 'content-type': 'text/plain' }, 415, 'unsupported_media_type'],
  ['a compressed body', BODY, { 'content-encoding': 'gzip' }, 415, 'unsupported_media_type'],
  ['a body past the limit', `${BODY}${' '.repeat(2000)}`, {}, 413, 'request_too_large'],
] as const) {
  test(`${name} is ${status} ${code}`, async () => {
    const port = await serve(() => assert.fail('must not be sealed'), { bodyMaxBytes: 1000 });
    const response = await post(port, body, headers);
    assert.equal(response.status, status);
    assert.equal(await errorCodeOf(response), code);
    assert.match(response.headers.get('x-request-id') ?? '', /^req_[0-9a-f]{32}$/);
  });
}

test('a caller who may not ask is refused before the body is read', async () => {
  const port = await serve(() => assert.fail('must not be sealed'), {
    authenticate: () => {
      throw bodyError('body.aborted');
    },
  });
  assert.equal((await post(port)).status, 400);
});

test('models are listed, and found by an id with a slash', async () => {
  const port = await serve('sealed-only');
  const list = z
    .object({ data: z.array(z.looseObject({ id: z.string() })) })
    .parse(await (await fetch(`http://127.0.0.1:${port}/v1/models`)).json());
  assert.deepEqual(
    list.data.map((model) => model.id),
    ['org/name'],
  );
  const one = await fetch(`http://127.0.0.1:${port}/v1/models/org%2Fname`);
  assert.equal(z.looseObject({ id: z.string() }).parse(await one.json()).id, 'org/name');
  const none = await fetch(`http://127.0.0.1:${port}/v1/models/%E0`);
  assert.equal(none.status, 404);
  assert.equal(await errorCodeOf(none), 'model_not_found');
});

test('a wrong method is 405 and an unknown path 404', async () => {
  const port = await serve('sealed-only');
  const wrong = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`);
  assert.deepEqual([wrong.status, await errorCodeOf(wrong)], [405, 'method_not_allowed']);
  const unknown = await fetch(`http://127.0.0.1:${port}/v1/files`);
  assert.deepEqual([unknown.status, await errorCodeOf(unknown)], [404, 'unknown_url']);
});
