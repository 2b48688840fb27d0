/**
 * Keeps what it was given: more streams than it may have, or answers that it never reads, until nobody else gets a place.
 * Spec: RFC 9113 §5.1.2, §10.5; CVE-2019-9517.
 * @module
 */

import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { test } from 'node:test';
import { HTTP2_STREAMS_PER_CONNECTION_MAX } from '../../gateway/limits.ts';
import {
  END_HEADERS,
  END_STREAM,
  frame,
  FRAME,
  openRaw,
  requestBlock,
  serveHttp2,
} from '../support/http2.ts';
import { until } from '../support/until.ts';

function requests(count: number, path = '/'): Uint8Array[] {
  const block = requestBlock(path);
  return Array.from({ length: count }, (_, at) =>
    frame(FRAME.headers, END_HEADERS | END_STREAM, at * 2 + 1, block),
  );
}

test('a connection has so many streams at once, whatever it was told', async (t) => {
  let running = 0;
  let most = 0;
  const listener = await serveHttp2(t, (request, response) => {
    request.resume();
    most = Math.max(most, ++running);
    response.once('close', () => running--);
  });
  const raw = await openRaw(t, listener.port);
  raw.write(...requests(HTTP2_STREAMS_PER_CONNECTION_MAX + 20));
  const beyond = HTTP2_STREAMS_PER_CONNECTION_MAX * 2 + 1;
  await raw.until((it) => it.resetCode(beyond) !== undefined || it.isClosed);
  assert.equal(most, HTTP2_STREAMS_PER_CONNECTION_MAX);
  raw.close();
  await until(() => running === 0);
});

test('whoever asks and reads nothing any more is cut, and its place is free', async (t) => {
  const big = new Uint8Array(1_000_000);
  let begun = 0;
  let closed = 0;
  const listener = await serveHttp2(
    t,
    (request, response) => {
      request.resume();
      begun++;
      response.once('close', () => closed++);
      response.end(big);
    },
    { silenceTimeoutMs: 200, http2: { idleTimeoutMs: 200 } },
  );
  // As much as it likes, and then it does not even read the end.
  const raw = await openRaw(t, listener.port, Uint8Array.of(0, 4, 0x7f, 0xff, 0xff, 0xff));
  raw.write(frame(FRAME.windowUpdate, 0, 0, Uint8Array.of(0x7f, 0xff, 0, 0)));
  raw.stopReading();
  raw.write(...requests(100));
  await until(() => begun > 0 && closed === begun);
  // The server's side of the connection is gone, so that waiting for all of them ends without a deadline.
  await listener.close(new AbortController().signal);
  assert.ok(raw.bytesRead < big.length * 20);
});

test('a window that is never opened ends its stream, though the connection keeps moving', async (t) => {
  let wasFinished: boolean | undefined;
  const listener = await serveHttp2(
    t,
    (request, response) => {
      request.resume();
      if (request.url === '/small') {
        response.end('small');
        return;
      }
      response.once('close', () => {
        wasFinished = response.writableFinished;
      });
      response.end(new Uint8Array(1_000_000));
    },
    { silenceTimeoutMs: 300, http2: { idleTimeoutMs: 100 } },
  );
  // SETTINGS_INITIAL_WINDOW_SIZE 0.
  const raw = await openRaw(t, listener.port, Uint8Array.of(0, 4, 0, 0, 0, 0));
  raw.write(...requests(1));
  const asking = setInterval(() => raw.write(frame(FRAME.ping, 0, 0, new Uint8Array(8))), 150);
  t.after(() => clearInterval(asking));
  await raw.until((it) => it.resetCode(1) !== undefined || it.isClosed);
  await until(() => wasFinished !== undefined);
  assert.equal(wasFinished, false);
  assert.ok([undefined, constants.NGHTTP2_CANCEL].includes(raw.resetCode(1)));
});
