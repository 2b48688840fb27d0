/**
 * Attack: a gateway sends all of an answer, FINAL included, and keeps the connection open, so that an app waits for an end
 * that adds nothing. It is waited for a moment, because a byte behind FINAL is an error, and the answer is given out. @module
 */

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { END_TIMEOUT_MS } from '../../client/limits.ts';
import { appOf, MODES, WHOLE } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

for (const mode of MODES) {
  test(`a whole answer whose connection stays open is given out after a moment (${mode})`, async (context) => {
    const timeout = AbortSignal.timeout.bind(AbortSignal);
    let over: AbortController | undefined;
    mock.method(AbortSignal, 'timeout', (ms: number) => {
      if (ms !== END_TIMEOUT_MS) return timeout(ms);
      over = new AbortController();
      return over.signal;
    });
    context.after(() => mock.restoreAll());
    const gateway = await memoryGateway();
    const { fetch: honest } = gateway;
    const fetch: typeof honest = async (url, init) => {
      const response = await honest(url, init);
      if (!url.endsWith('/sx/v1/exchange')) return response;
      const reader = response.body?.getReader();
      assert.ok(reader);
      const open = new ReadableStream<Uint8Array>({
        pull: async (controller) => {
          const { value } = await reader.read();
          if (value !== undefined) {
            controller.enqueue(value);
            return;
          }
          // Everything was read. The moment passes, and the connection still stands until the client lets go of it.
          assert.ok(over, 'the moment begins with FINAL');
          init.signal.addEventListener('abort', () => controller.error(init.signal.reason));
          over.abort();
        },
      });
      return new Response(open, { headers: response.headers });
    };
    assert.deepEqual(await appOf({ ...gateway, fetch })(mode), WHOLE);
  });
}
