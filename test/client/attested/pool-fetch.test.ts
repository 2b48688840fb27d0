/** `fetch` over a pool: a body that breaks off is an error, a slow reader holds the other side back. @module */

import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { test, type TestContext } from 'node:test';
import { hasCode } from '../../../core/errors.ts';
import { createPinnedPool } from '../../../core/node/http-client.ts';
import { documentFetch, fetchOver, readWhole } from '../../../client/node/pool-fetch.ts';
import { READ_AHEAD_BYTES } from '../../../client/limits.ts';

const NEVER = new AbortController().signal;

async function serving(context: TestContext, listener: RequestListener) {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const pool = createPinnedPool({
    origin: `http://127.0.0.1:${address.port}`,
    trust: { kind: 'loopback' },
  });
  context.after(async () => {
    await pool.destroy();
    server.closeAllConnections();
    server.close();
  });
  return pool;
}

const GET = { method: 'GET', path: '/', headers: {}, signal: NEVER };

test('a whole body arrives, with status and headers', async (context) => {
  const pool = await serving(context, (_request, response) => {
    response.writeHead(201, { 'x-one': 'a', 'x-two': ['b', 'c'] }).end('whole');
  });
  const { status, headers, body } = await fetchOver(pool, GET);
  assert.equal(status, 201);
  assert.equal(headers.get('x-one'), 'a');
  assert.equal(headers.get('x-two'), 'b, c');
  assert.equal(new TextDecoder().decode(await readWhole(body, 100)), 'whole');
});

test('a body that breaks off errors its stream', async (context) => {
  const pool = await serving(context, (_request, response) => {
    response.writeHead(200, { 'content-length': '100' });
    response.write('half', () => response.destroy());
  });
  const { body } = await fetchOver(pool, GET);
  await assert.rejects(readWhole(body, 1000), (error) => hasCode(error, 'http.broken'));
});

test('more than the bound is refused, and the rest is not read', async (context) => {
  const pool = await serving(context, (_request, response) => {
    response.end(Buffer.alloc(4096));
  });
  const { body } = await fetchOver(pool, GET);
  await assert.rejects(readWhole(body, 100), (error) => hasCode(error, 'client.answer_size'));
});

test('whoever reads nothing holds the sender back', async (context) => {
  let sent = 0;
  const piece = Buffer.alloc(65_536);
  const { promise: stalled, resolve } = Promise.withResolvers<void>();
  const pool = await serving(context, (_request, response) => {
    const more = (): void => {
      while (response.write(piece)) sent += piece.length;
      resolve();
    };
    response.on('drain', more);
    more();
  });
  const { body } = await fetchOver(pool, GET);
  await stalled;
  // Buffers of both sockets and the read-ahead; without back-pressure this would have no end.
  assert.ok(sent < 256 * READ_AHEAD_BYTES, String(sent));
  await body.cancel();
});

test('a request that leaves ends the stream with its reason', async (context) => {
  const pool = await serving(context, (_request, response) => {
    response.write('begun');
  });
  const leave = new AbortController();
  const { body } = await fetchOver(pool, { ...GET, signal: leave.signal });
  leave.abort(new Error('left'));
  await assert.rejects(readWhole(body, 100), /left/);
  await assert.rejects(fetchOver(pool, { ...GET, signal: leave.signal }), /left/);
});

test('a document is asked for at the pool’s own origin, whatever the URL says', async (context) => {
  const pool = await serving(context, (request, response) => {
    response.end(request.url);
  });
  const response = await documentFetch(pool)('https://elsewhere.example/a?b=c', {
    headers: {},
    redirect: 'error',
    credentials: 'omit',
    cache: 'no-store',
    signal: NEVER,
  });
  assert.equal(await response.text(), '/a?b=c');
});
