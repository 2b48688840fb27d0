/**
 * Opens streams and resets each at once, so that none counts against the streams of the connection and every one costs the
 * gateway its work. Spec: CVE-2023-44487; RFC 9113 §10.5.
 * @module
 */

import assert from 'node:assert/strict';
import { constants } from 'node:http2';
import { test } from 'node:test';
import { HTTP2_RESETS_BURST } from '../../gateway/limits.ts';
import {
  END_HEADERS,
  END_STREAM,
  frame,
  FRAME,
  openRaw,
  requestBlock,
  serveHttp2,
} from '../support/http2.ts';

const CANCEL = Uint8Array.of(0, 0, 0, constants.NGHTTP2_CANCEL);

test('a connection that resets what it opens ends soon, and honest cancelling does not end one', async (t) => {
  let begun = 0;
  let left = 0;
  const listener = await serveHttp2(t, (request, response) => {
    begun++;
    request.resume();
    response.once('close', () => left++);
  });
  const cancelled = (count: number, from = 0): Uint8Array[] =>
    Array.from({ length: count }, (_, at) => (from + at) * 2 + 1).flatMap((stream) => [
      frame(FRAME.headers, END_HEADERS | END_STREAM, stream, requestBlock('/')),
      frame(FRAME.rstStream, 0, stream, CANCEL),
    ]);

  const honest = await openRaw(t, listener.port);
  honest.write(...cancelled(HTTP2_RESETS_BURST / 2));
  honest.write(frame(FRAME.ping, 0, 0, new Uint8Array(8)));
  await honest.until(({ frames }) => frames.some(({ type }) => type === FRAME.ping));
  assert.equal(honest.goawayCode, undefined);

  begun = 0;
  const hostile = await openRaw(t, listener.port);
  const asked = 5000;
  hostile.write(...cancelled(asked));
  await hostile.until(({ isClosed }) => isClosed);
  assert.ok(begun < asked / 2, `${begun}`);
  // Whatever had begun has heard that its reader left.
  await honest.until(() => left >= begun);
});
