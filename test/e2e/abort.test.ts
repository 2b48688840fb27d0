/** An app that leaves stops the work it asked for. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { APIUserAbortError } from 'openai';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';

let stack: Stack;
before(async () => {
  // One slot: whatever still runs shows as a refusal of the next request.
  stack = await startStack({ maxConcurrent: 1 });
});
after(() => stack.close());

const QUESTION = {
  model: STACK_MODEL,
  messages: [{ role: 'user' as const, content: 'What is remote attestation?' }],
  max_tokens: 128,
  temperature: 0,
};
const STOP_WITHIN_MS = 1000;

async function untilIdle(): Promise<number> {
  const fromMs = performance.now();
  while (stack.gateway.registry.all().some((worker) => worker.load.inFlight > 0)) {
    assert.ok(performance.now() - fromMs < STOP_WITHIN_MS, 'still running');
    await sleep(5);
  }
  return performance.now() - fromMs;
}

for (const mode of ['sealed', 'plain'] as const) {
  for (const how of ['break', 'abort'] as const) {
    test(`${how} in the middle of a stream ends it at the worker within a second (${mode})`, async () => {
      const client = mode === 'sealed' ? stack.sealed() : stack.plain();
      const stop = new AbortController();
      const stream = await client.chat.completions.create(
        { ...QUESTION, stream: true },
        { signal: stop.signal },
      );
      let pieces = 0;
      for await (const part of stream) {
        if ((part.choices[0]?.delta.content ?? '') === '') continue;
        pieces++;
        if (how === 'break') break;
        stop.abort();
      }
      await untilIdle();
      assert.ok(pieces < 60, `${pieces}`);
      const next = await client
        .withOptions({ maxRetries: 3 })
        .chat.completions.create({ ...QUESTION, max_tokens: 4 });
      assert.equal(next.usage?.completion_tokens, 4);
    });
  }

  test(`an abort before the answer is an APIUserAbortError (${mode})`, async () => {
    const client = mode === 'sealed' ? stack.sealed() : stack.plain();
    const stop = new AbortController();
    const asked = client.chat.completions.create(QUESTION, { signal: stop.signal });
    setImmediate(() => stop.abort());
    await assert.rejects(asked, APIUserAbortError);
    await untilIdle();
  });
}
