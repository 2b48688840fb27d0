/** A 421 over the `fetch` of Node: the gateway knows none of the keys, and the client hears just that. @module */

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { fetchCarrier } from '../../client/fetch-carrier.ts';

for (const size of [1, 4096, 1_000_000]) {
  test(`a 421 is "key unknown" and not a gateway that is away (${size} bytes)`, async (context) => {
    const server = createServer((request, response) => {
      request.resume();
      request.once('end', () => response.writeHead(421).end('{}'));
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    context.after(() => {
      server.close();
      server.closeAllConnections();
    });
    const place = server.address();
    assert.ok(typeof place === 'object' && place !== null);
    const send = fetchCarrier({
      fetch: globalThis.fetch,
      gatewayUrl: `http://127.0.0.1:${place.port}`,
      authorization: undefined,
    });
    const sink = {
      head: () => undefined,
      write: () => true,
      drain: () => Promise.resolve(),
      end: () => undefined,
      fail: () => undefined,
    };
    await assert.rejects(send(new Uint8Array(size), sink, new AbortController().signal), {
      code: 'sx.key_unknown',
    });
  });
}
