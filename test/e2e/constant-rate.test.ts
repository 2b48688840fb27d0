/** An app that asks for a constant rate, through the whole product: it reads the same, and its network sees less. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { sealedFetch, type Settlement } from '../../client/index.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';

const OPENING_BYTES = 48;
const FRAME_BYTES = 4 + 4096 + 16;
/** RECEIPT, the gateway's line, FINAL. */
const END_BYTES = 4 + 445 + 4 + 230 + 4 + 128 + 16;
const STEP = 20;

let stack: Stack;
before(async () => {
  stack = await startStack();
});
after(() => stack.close());

interface App {
  readonly sdk: OpenAI;
  /** Bytes of each sealed answer. */
  readonly answers: number[];
  readonly settled: Settlement[];
}

function app(): App {
  const answers: number[] = [];
  const settled: Settlement[] = [];
  const sealed = sealedFetch({
    policy: { root: stack.rootFile },
    constantRate: true,
    onSettled: (settlement) => void settled.push(settlement),
    fetch: async (input, init) => {
      const response = await fetch(input, init);
      if (response.headers.get('content-type') !== 'application/vnd.sx1.res') return response;
      const at = answers.push(0) - 1;
      const { body } = response;
      assert.ok(body);
      const counted = body.pipeThrough(
        new TransformStream<Uint8Array, Uint8Array>({
          transform: (chunk, controller) => {
            answers[at] = (answers[at] ?? 0) + chunk.length;
            controller.enqueue(chunk);
          },
        }),
      );
      return new Response(counted, response);
    },
  });
  const { apiKey, baseUrl: baseURL } = stack;
  return { sdk: new OpenAI({ apiKey, baseURL, maxRetries: 0, fetch: sealed }), answers, settled };
}

function ask(text: string) {
  return {
    model: STACK_MODEL,
    messages: [{ role: 'user' as const, content: text }],
    max_tokens: 8,
    temperature: 0,
  };
}

test('a stream and a whole answer say what they say at any pace, in frames of one size, and are settled', async () => {
  const { sdk, answers, settled } = app();
  const plain = await stack.sealed().chat.completions.create(ask('What is 2 + 3?'));
  const text = plain.choices[0]?.message.content ?? '';
  let streamed = '';
  for await (const part of await sdk.chat.completions.create({
    ...ask('What is 2 + 3?'),
    stream: true,
  })) {
    streamed += part.choices[0]?.delta.content ?? '';
  }
  assert.equal(streamed, text);
  const whole = await sdk.chat.completions.create(ask('Tell me a story.'));
  assert.equal(whole.usage?.completion_tokens, 8);
  assert.equal(answers.length, 2);
  for (const bytes of answers) {
    const frames = (bytes - OPENING_BYTES - END_BYTES) / FRAME_BYTES;
    assert.ok(Number.isInteger(frames) && frames % STEP === 0, `${frames} frames`);
  }
  assert.equal(settled.length, 2);
});
