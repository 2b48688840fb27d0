/** A worker that dies is an error or another worker's answer, never a shorter answer. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type OpenAI from 'openai';
import { askWith } from '../support/hostile.ts';
import { startStack, STACK_MODEL } from '../support/stack.ts';

const QUESTION = {
  model: STACK_MODEL,
  messages: [{ role: 'user' as const, content: 'Tell me a story.' }],
  max_tokens: 128,
  temperature: 0,
};

/** A machine under load may let the worker finish before the kill takes effect: then it is tried again. */
const ATTEMPTS = 4;

type End = { readonly outcome: 'error' | 'ended'; readonly text: string };

async function readAll(stream: AsyncIterable<OpenAI.ChatCompletionChunk>): Promise<End> {
  let text = '';
  try {
    for await (const part of stream) text += part.choices[0]?.delta.content ?? '';
    return { outcome: 'ended', text };
  } catch {
    // Which error it is differs by mode; that it is one is the point.
    return { outcome: 'error', text };
  }
}

/** Kills the worker as soon as its answer has begun. */
async function killInTheMiddle(
  mode: 'sealed' | 'plain',
): Promise<End & { readonly whole: string }> {
  const stack = await startStack();
  try {
    const client = mode === 'sealed' ? stack.sealed() : stack.plain();
    const { choices } = await client.chat.completions.create(QUESTION);
    const stream = await client.chat.completions.create({ ...QUESTION, stream: true });
    for (const worker of stack.workers) process.kill(worker.ready().pid, 'SIGKILL');
    return { ...(await readAll(stream)), whole: choices[0]?.message.content ?? '' };
  } finally {
    await stack.close();
  }
}

for (const mode of ['sealed', 'plain'] as const) {
  test(`killed in the middle of a stream: an error, never a shorter answer (${mode})`, async () => {
    for (let attempt = 1; ; attempt++) {
      const { outcome, text, whole } = await killInTheMiddle(mode);
      if (outcome === 'error') return;
      assert.equal(text, whole);
      assert.ok(attempt < ATTEMPTS, 'the worker always finished before it was killed');
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
