/**
 * Headers that never end: CONTINUATION after CONTINUATION, none of which any handler or limit of requests sees.
 * Spec: CVE-2024-27316; RFC 9113 §6.10, §10.5.1.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { frame, FRAME, headerBlock, openRaw, requestBlock, serveHttp2 } from '../support/http2.ts';

for (const [name, block] of [
  ['full', headerBlock([['x-pad', 'a'.repeat(8000)]])],
  ['empty', new Uint8Array()],
] as const) {
  test(`a connection whose headers never end is ended: ${name} frames`, async (t) => {
    let requests = 0;
    const listener = await serveHttp2(t, (_request, response) => {
      requests++;
      response.end();
    });
    const raw = await openRaw(t, listener.port);
    raw.write(frame(FRAME.headers, 0, 1, requestBlock('/')));
    // Bounded here, endless from elsewhere.
    for (let i = 0; i < 64; i++) raw.write(frame(FRAME.continuation, 0, 1, block));
    await raw.until(({ isClosed }) => isClosed);
    assert.equal(requests, 0);
  });
}
