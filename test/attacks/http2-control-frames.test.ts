/**
 * Frames that carry nothing and cost an answer or a look: PING, SETTINGS, empty DATA. The sender reads what comes back, so
 * that no queue fills. Spec: CVE-2019-9512, -9515, -9518; RFC 9113 §10.5.
 * @module
 */

import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { test } from 'node:test';
import {
  ACK,
  END_HEADERS,
  frame,
  FRAME,
  openRaw,
  RawHttp2,
  requestBlock,
  serveHttp2,
} from '../support/http2.ts';

const PING = frame(FRAME.ping, 0, 0, new Uint8Array(8));
/** SETTINGS_INITIAL_WINDOW_SIZE: walks all streams. */
const SETTINGS = frame(FRAME.settings, 0, 0, Uint8Array.of(0, 4, 0, 0, 0xff, 0xff));
const EMPTY_DATA = frame(FRAME.data, 0, 1);
const FRAMES_MAX = 20_000;

async function flood(port: number, bytes: Uint8Array): Promise<RawHttp2> {
  const raw = await RawHttp2.open(port);
  raw.write(frame(FRAME.headers, END_HEADERS, 1, requestBlock('/', 'POST')));
  for (let sent = 0; sent < FRAMES_MAX && !raw.isClosed; sent += 50) {
    raw.write(...Array.from({ length: 50 }, () => bytes));
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
  return raw;
}

for (const [name, bytes] of [
  ['PING', PING],
  ['SETTINGS', SETTINGS],
  ['empty DATA', EMPTY_DATA],
] as const) {
  test(`a connection that floods with ${name} is ended, and the others are served`, async (t) => {
    const listener = await serveHttp2(t, (request, response) => {
      request.resume();
      if (request.method === 'GET') response.end('served');
    });
    const other = await openRaw(t, listener.port);
    const raw = await flood(listener.port, bytes);
    await raw.until(({ isClosed }) => isClosed);
    if (bytes !== EMPTY_DATA) {
      // What was on its way to a connection that is cut may take the reason with it.
      assert.ok([undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM].includes(raw.goawayCode));
      const isAnswer = bytes === PING ? FRAME.ping : FRAME.settings;
      const answers = raw.frames.filter(({ type, flags }) => type === isAnswer && flags === ACK);
      assert.ok(answers.length < FRAMES_MAX / 4, `${answers.length}`);
    }
    other.write(PING, frame(FRAME.headers, END_HEADERS | 1, 1, requestBlock('/')));
    await other.until(({ frames }) => frames.some(({ type }) => type === FRAME.data));
  });
}

test('pings at the pace of an honest client are answered', async (t) => {
  const listener = await serveHttp2(t, (_request, response) => response.end());
  const raw = await openRaw(t, listener.port);
  for (let sent = 1; sent <= 20; sent++) {
    raw.write(PING);
    await raw.until(({ frames }) => frames.filter(({ type }) => type === 6).length === sent);
  }
  assert.equal(raw.goawayCode, undefined);
});
