/** HTTP/2 by ALPN on the TLS listener: what is the same as over HTTP/1.1, and what ends a stream or a connection. @module */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { constants } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { before, test, type TestContext } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { concat, fixed, fromUtf8, utf8 } from '../../core/bytes.ts';
import { createPinnedPool, fetchBytes } from '../../core/node/http-client.ts';
import { randomBytes } from '#primitives';
import { listen, type ListenInput } from '../../gateway/listeners.ts';
import { breakOff, endUnread, isCutOff } from '../../gateway/over-http2.ts';
import type { TlsIdentity } from '../../gateway/tls-identity.ts';
import {
  ACK,
  answerOf,
  askHttp2,
  END_HEADERS,
  END_STREAM,
  frame,
  FRAME,
  headerBlock,
  openHttp2,
  RawHttp2,
  requestBlock,
  testIdentity,
} from '../support/http2.ts';
import { until } from '../support/until.ts';

let tls: TlsIdentity;
before(async () => {
  tls = await testIdentity();
});

type More = Partial<Omit<ListenInput, 'host' | 'port' | 'handler' | 'tls'>>;

async function serve(t: TestContext, handler: RequestListener, more: More = {}) {
  const listener = await listen({ host: '127.0.0.1', port: 0, tls, handler, ...more });
  t.after(() => listener.close(AbortSignal.abort()));
  return listener;
}

const hello: RequestListener = (request, response) => {
  request.resume();
  response.writeHead(200, { 'content-type': 'text/plain' });
  response.end(`${request.method} ${request.url} ${request.headers.host ?? ''}`);
};

/** The protocol that was chosen, and the beginning of the answer to a request of HTTP/1.1. */
async function offer(port: number, protocols: readonly string[] | undefined) {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    rejectUnauthorized: false,
    ...(protocols === undefined ? {} : { ALPNProtocols: [...protocols] }),
  });
  await once(socket, 'secureConnect');
  socket.write('GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
  let text = '';
  socket.on('data', (chunk: Uint8Array) => {
    text += fromUtf8(chunk);
  });
  socket.on('error', () => undefined);
  await once(socket, 'close');
  return { protocol: socket.alpnProtocol, text };
}

test('the client chooses: HTTP/1.1 where it says so or says nothing, else HTTP/2', async (t) => {
  const { port } = await serve(t, hello);
  for (const protocols of [undefined, ['http/1.1']]) {
    const { text } = await offer(port, protocols);
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/);
    assert.ok(text.includes('GET /a x'));
  }
  const session = await openHttp2(port);
  assert.equal(session.alpnProtocol, 'h2');
  const answer = await askHttp2(session, { ':path': '/a' });
  assert.equal(answer.status, 200);
  assert.ok(fromUtf8(answer.body).startsWith('GET /a'));
  session.close();
});

test('a pinned client goes on as before, and one with another pin sends nothing', async (t) => {
  const versions: string[] = [];
  const { port } = await serve(t, (request, response) => {
    versions.push(request.httpVersion);
    hello(request, response);
  });
  const ask = async (sha256: typeof tls.spkiSha256): Promise<number> => {
    const pool = createPinnedPool({
      origin: `https://127.0.0.1:${port}`,
      trust: { kind: 'spki', sha256: [sha256] },
    });
    t.after(() => pool.destroy());
    const get = {
      method: 'GET',
      path: '/',
      headers: {},
      maxBytes: 100,
      timeoutMs: 10_000,
    } as const;
    return (await fetchBytes(pool, get)).status;
  };
  assert.equal(await ask(tls.spkiSha256), 200);
  await assert.rejects(ask(fixed(randomBytes(32), 32)), { code: 'http.pin' });
  assert.deepEqual(versions, ['1.1']);
});

test('headers of a connection never reach HTTP/2, and those of its trailers are no headers', async (t) => {
  let seen: IncomingMessage['headers'] = {};
  const { port } = await serve(t, (request, response) => {
    request.resume();
    request.once('end', () => {
      seen = request.headers;
      endUnread(request, response);
      response.end('whole');
    });
  });
  const session = await openHttp2(port);
  const stream = session.request(
    { ':method': 'POST', ':path': '/' },
    { waitForTrailers: true, endStream: false },
  );
  stream.on('wantTrailers', () => stream.sendTrailers({ authorization: 'Bearer late' }));
  const answer = answerOf(stream);
  stream.end('body');
  const { headers } = await answer;
  for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'upgrade']) {
    assert.equal(headers[name], undefined);
  }
  assert.equal(seen.authorization, undefined);
  session.close();
});

for (const [name, value] of [
  ['connection', 'close'],
  ['transfer-encoding', 'chunked'],
  ['keep-alive', 'timeout=5'],
  ['Host', 'upper case'],
] as const) {
  test(`a request with ${name} over HTTP/2 is malformed, and no handler hears of it`, async (t) => {
    let requests = 0;
    const { port } = await serve(t, (request, response) => {
      requests++;
      hello(request, response);
    });
    const raw = await RawHttp2.open(port);
    t.after(() => raw.close());
    const block = headerBlock([
      [':method', 'GET'],
      [':scheme', 'https'],
      [':path', '/'],
      [':authority', 'localhost'],
      [name, value],
    ]);
    raw.write(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, block));
    await raw.until(() => raw.resetCode(1) !== undefined || raw.goawayCode !== undefined);
    assert.equal(requests, 0);
  });
}

test('what was not read of a refused body ends its stream, and the connection serves on', async (t) => {
  const { port } = await serve(t, (request, response) => {
    if (request.method === 'GET') {
      hello(request, response);
      return;
    }
    request.once('data', () => {
      request.pause();
      endUnread(request, response);
      response.writeHead(413);
      response.end('too large');
    });
  });
  const session = await openHttp2(port);
  const stream = session.request({ ':method': 'POST', ':path': '/' });
  const answer = answerOf(stream);
  stream.write(new Uint8Array(100_000));
  const { status, body } = await answer;
  assert.equal(status, 413);
  assert.equal(fromUtf8(body), 'too large');
  assert.equal((await askHttp2(session, { ':path': '/' })).status, 200);
  session.close();
});

test('a body that its sender cut is not taken for a whole one', async (t) => {
  const { promise: ended, resolve } = Promise.withResolvers<boolean>();
  const { port } = await serve(t, (request) => {
    request.resume();
    request.once('end', () => resolve(isCutOff(request)));
  });
  const raw = await RawHttp2.open(port);
  t.after(() => raw.close());
  raw.write(frame(FRAME.headers, END_HEADERS, 1, requestBlock('/', 'POST')));
  raw.write(frame(FRAME.data, 0, 1, utf8('{"half":')));
  raw.write(frame(FRAME.rstStream, 0, 1, Uint8Array.of(0, 0, 0, constants.NGHTTP2_CANCEL)));
  assert.equal(await ended, true);
});

for (const how of ['breaks off', 'destroys'] as const) {
  test(`an answer that the handler ${how} is an error of its stream, never an end`, async (t) => {
    const { port } = await serve(t, (request, response) => {
      request.resume();
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write('data: 1\n\n', () => {
        if (how === 'destroys') response.destroy();
        else breakOff(response, 'data: {"error":{}}\n\n');
      });
    });
    const session = await openHttp2(port);
    const { rstCode, body, status } = await askHttp2(session, { ':path': '/' });
    assert.equal(status, 200);
    assert.equal(rstCode, constants.NGHTTP2_INTERNAL_ERROR);
    assert.ok(fromUtf8(body).startsWith('data: 1'));
    if (how === 'breaks off') assert.ok(fromUtf8(body).includes('error'));
    session.close();

    const { cut } = await overHttp1(port);
    assert.ok(cut);
  });
}

/** The same over HTTP/1.1: `cut` is a body without its closing chunk. */
function overHttp1(port: number): Promise<{ readonly cut: boolean }> {
  return new Promise((resolve) => {
    const outgoing = httpsRequest(
      { host: '127.0.0.1', port, path: '/', rejectUnauthorized: false, agent: false },
      (response) => {
        response.resume();
        response.on('error', () => undefined);
        response.once('close', () => resolve({ cut: !response.complete }));
      },
    );
    outgoing.on('error', () => resolve({ cut: true }));
    outgoing.end();
  });
}

test('a client that leaves a stream closes its answer, and so does one that leaves altogether', async (t) => {
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  let closed = 0;
  const { port } = await serve(t, (request, response) => {
    request.resume();
    response.once('close', () => {
      assert.equal(response.destroyed, true);
      if (!response.writableFinished) closed++;
    });
    response.write('first');
    begin();
  });
  const session = await openHttp2(port);
  const first = session.request({ ':path': '/' });
  first.on('error', () => undefined);
  await begun;
  first.close(constants.NGHTTP2_CANCEL);
  await until(() => closed === 1);
  const second = session.request({ ':path': '/' });
  second.on('error', () => undefined);
  await once(second, 'response');
  session.destroy();
  await until(() => closed === 2);
});

test('a body that trickles ends its stream and no other', async (t) => {
  const limits = { headersTimeoutMs: 300, requestTimeoutMs: 300 };
  const { port } = await serve(t, hello, { limits });
  const session = await openHttp2(port);
  const stream = session.request({ ':method': 'POST', ':path': '/never-ends' });
  const late = answerOf(stream);
  stream.write('a');
  assert.equal((await late).rstCode, constants.NGHTTP2_CANCEL);
  assert.equal((await askHttp2(session, { ':path': '/' })).status, 200);
  session.close();
});

test('a connection without a stream is closed, and pings do not keep it', async (t) => {
  const { port } = await serve(t, hello, { http2: { idleTimeoutMs: 150 } });
  const raw = await RawHttp2.open(port);
  t.after(() => raw.close());
  // Slower than what is too often.
  const pings = setInterval(() => raw.write(frame(FRAME.ping, 0, 0, new Uint8Array(8))), 50);
  t.after(() => clearInterval(pings));
  await raw.until(({ isClosed }) => isClosed);
  assert.equal(raw.goawayCode, constants.NGHTTP2_NO_ERROR);
});

test('a connection whose stream is open stays, however long nothing moves on it', async (t) => {
  let answer: ServerResponse | undefined;
  const { port } = await serve(
    t,
    (request, response) => {
      request.resume();
      answer = response;
    },
    { http2: { idleTimeoutMs: 30 } },
  );
  const session = await openHttp2(port);
  const asked = askHttp2(session, { ':path': '/' });
  let rounds = 0;
  const counting = setInterval(() => rounds++, 30);
  t.after(() => clearInterval(counting));
  await until(() => answer !== undefined && rounds >= 6);
  answer?.end('late');
  assert.equal(fromUtf8((await asked).body), 'late');
  session.close();
});

test('a stream on which nothing moves is cut', async (t) => {
  const { port } = await serve(t, (request) => void request.resume(), { silenceTimeoutMs: 200 });
  const session = await openHttp2(port);
  const { rstCode, status } = await askHttp2(session, { ':path': '/' });
  assert.equal(status, 0);
  assert.ok(rstCode === constants.NGHTTP2_CANCEL || session.destroyed);
  session.destroy();
});

test('a gateway that closes lets streams end, and takes no more on any connection', async (t) => {
  let answer: ServerResponse | undefined;
  let requests = 0;
  const listener = await serve(t, (request, response) => {
    requests++;
    request.resume();
    response.write('first');
    answer = response;
  });
  const raw = await RawHttp2.open(listener.port);
  t.after(() => raw.close());
  raw.write(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, requestBlock('/')));
  await until(() => answer !== undefined);
  const closed = listener.close(new AbortController().signal);
  await raw.until(({ goawayCode }) => goawayCode === constants.NGHTTP2_NO_ERROR);
  raw.write(frame(FRAME.headers, END_HEADERS | END_STREAM, 3, requestBlock('/')));
  raw.write(frame(FRAME.ping, 0, 0, new Uint8Array(8)));
  await raw.until(({ frames }) => frames.some(({ type, flags }) => type === 6 && flags === ACK));
  answer?.end(' last');
  await raw.until(({ isClosed }) => isClosed);
  const data = raw.frames.filter(({ type, stream }) => type === FRAME.data && stream === 1);
  assert.equal(fromUtf8(concat(...data.map(({ payload }) => payload))), 'first last');
  assert.equal((data.at(-1)?.flags ?? 0) & END_STREAM, END_STREAM);
  await closed;
  assert.equal(requests, 1);
});

test('at its deadline a closing gateway cuts what still runs', async (t) => {
  let begun = false;
  const listener = await serve(t, (request, response) => {
    request.resume();
    response.write('first');
    begun = true;
  });
  const session = await openHttp2(listener.port);
  const running = askHttp2(session, { ':path': '/' });
  await until(() => begun);
  const deadline = new AbortController();
  const closed = listener.close(deadline.signal);
  deadline.abort();
  await Promise.all([closed, running]);
});

test('more streams than a gateway holds are refused as not begun', async (t) => {
  const held: ServerResponse[] = [];
  const { port } = await serve(
    t,
    (request, response) => {
      request.resume();
      held.push(response);
    },
    { http2: { streamsMax: 2 } },
  );
  const sessions = await Promise.all([openHttp2(port), openHttp2(port)]);
  const held1 = sessions.map((session) => askHttp2(session, { ':path': '/' }));
  await until(() => held.length === 2);
  const [one] = sessions;
  assert.ok(one !== undefined);
  const refused = await askHttp2(one, { ':path': '/' });
  assert.equal(refused.rstCode, constants.NGHTTP2_REFUSED_STREAM);
  for (const response of held) response.end('ok');
  assert.deepEqual(
    (await Promise.all(held1)).map(({ status }) => status),
    [200, 200],
  );
  // The places are free again.
  const again = askHttp2(one, { ':path': '/' });
  await until(() => held.length === 3);
  held[2]?.end('ok');
  assert.equal((await again).status, 200);
  for (const session of sessions) session.close();
});

test('CONNECT and an unknown upgrade get no further than the listener', async (t) => {
  let requests = 0;
  const { port } = await serve(t, (request, response) => {
    requests++;
    hello(request, response);
  });
  const raw = await RawHttp2.open(port);
  t.after(() => raw.close());
  const block = headerBlock([
    [':method', 'CONNECT'],
    [':authority', 'other.example:443'],
  ]);
  raw.write(frame(FRAME.headers, END_HEADERS, 1, block));
  await raw.until(({ frames }) => frames.some(({ stream }) => stream === 1));
  assert.equal(requests, 0);
});

test('settings are acknowledged and say what a client may do', async (t) => {
  const { port } = await serve(t, hello);
  const raw = await RawHttp2.open(port);
  t.after(() => raw.close());
  await raw.until(({ frames }) => frames.some(({ type, flags }) => type === 4 && flags === ACK));
  const session = await openHttp2(port);
  await until(() => session.remoteSettings.maxConcurrentStreams === 128);
  const { maxHeaderListSize, initialWindowSize } = session.remoteSettings;
  assert.deepEqual([maxHeaderListSize, initialWindowSize], [16_384, 65_535]);
  session.close();
  raw.write(frame(FRAME.headers, END_HEADERS | END_STREAM, 1, requestBlock('/raw')));
  await raw.until(({ frames }) => frames.some(({ type, stream }) => type === 0 && stream === 1));
});
