/** C6. Attack: the gateway breaks every answer off in the middle, so that SDKs repeat, and pay for, the same request. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import OpenAI from 'openai';
import { concat } from '../../core/bytes.ts';
import { sealedFetch } from '../../client/index.ts';
import type { Fetch } from '../../client/fetch-bounded.ts';
import { gatewayErrorFrame } from '../../protocol/sx/clear.ts';
import { onFrames } from '../support/hostile.ts';
import { memoryGateway, MODEL, PROMPT } from '../support/memory-gateway.ts';
import type { MemoryGateway } from '../support/memory-gateway.ts';

/** Hands on what the answer has and then resets the connection in place of ending it. */
function resetting(gateway: MemoryGateway): Fetch {
  return async (url, init) => {
    const response = await gateway.fetch(url, init);
    if (!url.endsWith('/sx/v1/exchange')) return response;
    const reader = response.body?.getReader();
    assert.ok(reader);
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const { value } = await reader.read();
        if (value === undefined) controller.error(new TypeError('terminated'));
        else controller.enqueue(value);
      },
    });
    return new Response(body, { headers: response.headers });
  };
}

for (const [what, fetchOf, last] of [
  ['a reset connection', resetting, []],
  [
    'an error frame',
    (gateway: MemoryGateway) => gateway.fetch,
    [{ type: 0x1f, bytes: gatewayErrorFrame('gateway.rate') }],
  ],
] as const) {
  test(`${what} in the middle of an answer is no reason to run it again`, async () => {
    const gateway = await memoryGateway();
    const cut = onFrames((frames) => [...frames.slice(0, 2), ...last]);
    gateway.mischief.answer = (pieces) => [concat(...cut(pieces))];
    const { policy, clock, workers } = gateway;
    const client = new OpenAI({
      baseURL: 'https://gateway.test/v1',
      apiKey: 'sk-test-key',
      maxRetries: 2,
      fetch: sealedFetch({ fetch: fetchOf(gateway), policy, clock }),
    });
    const messages = [{ role: 'user' as const, content: PROMPT }];
    const asked = client.chat.completions.create({ model: MODEL, messages });
    await assert.rejects(asked, { code: 'answer_broken' });
    assert.equal(workers[0]?.opened.length, 1);
  });
}
