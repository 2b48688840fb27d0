/** A worker that dies is an error or another worker's answer, never a shorter answer. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askWith } from '../support/hostile.ts';
import { startStack, STACK_MODEL } from '../support/stack.ts';

const QUESTION = {
  model: STACK_MODEL,
  messages: [{ role: 'user' as const, content: 'What is remote attestation?' }],
  max_tokens: 128,
  temperature: 1,
};

for (const mode of ['sealed', 'plain'] as const) {
  test(`killed in the middle of a stream: the app gets an error (${mode})`, async () => {
    const stack = await startStack();
    try {
      const client = mode === 'sealed' ? stack.sealed() : stack.plain();
      const stream = await client.chat.completions.create({ ...QUESTION, stream: true });
      let killed = false;
      let finished = false;
      await assert.rejects(async () => {
        for await (const part of stream) {
          if (part.choices[0]?.finish_reason !== null) finished = true;
          if (killed || (part.choices[0]?.delta.content ?? '') === '') continue;
          for (const worker of stack.workers) process.kill(worker.ready().pid, 'SIGKILL');
          killed = true;
        }
      });
      assert.ok(killed);
      assert.ok(!finished);
    } finally {
      await stack.close();
    }
  });

  test(`killed before the request: the other worker answers (${mode})`, async () => {
    const stack = await startStack({ workers: 2 });
    try {
      const client = mode === 'sealed' ? stack.sealed() : stack.plain();
      // Verified while both lived, so that both are sealed to.
      assert.equal((await askWith(client, 'unary', STACK_MODEL)).outcome, 'whole');
      const [first] = stack.workers;
      assert.ok(first !== undefined);
      process.kill(first.ready().pid, 'SIGKILL');
      for (const how of ['unary', 'stream'] as const) {
        assert.equal((await askWith(client, how, STACK_MODEL)).outcome, 'whole');
      }
    } finally {
      await stack.close();
    }
  });
}
