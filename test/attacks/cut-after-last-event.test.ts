/** C6. Attack: a Responses or Messages stream is whole but for the seal's end. Apps stop at its last event and would take it for a proven answer. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import Anthropic from '@anthropic-ai/sdk';
import { sealedFetch } from '../../client/index.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';

let stack: Stack;
before(async () => {
  stack = await startStack();
});
after(() => stack.close());

const PIECE_BYTES = 512;

/** Piece by piece, so that the app has read what came before the cut: an error drops what nobody has read yet. */
function slowly(bytes: Uint8Array): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull: async (controller) => {
      for (let turns = 0; turns < 4; turns++) await turn();
      if (at >= bytes.length) {
        controller.close();
        return;
      }
      controller.enqueue(bytes.slice(at, at + PIECE_BYTES));
      at += PIECE_BYTES;
    },
  });
}

/** Keeps back so many bytes at the end of every exchange, and says nothing of it. */
function cutting(keptBytes: number): typeof globalThis.fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    if (!response.url.endsWith('/sx/v1/exchange')) return response;
    const bytes = new Uint8Array(await response.arrayBuffer());
    return new Response(slowly(bytes.subarray(0, Math.max(0, bytes.length - keptBytes))), {
      status: response.status,
      headers: response.headers,
    });
  };
}

const TEXT = 'What is remote attestation?';

async function responseEvents(keptBytes: number): Promise<readonly string[]> {
  const seen: string[] = [];
  const stream = await stack.sealed({ fetch: cutting(keptBytes) }).responses.create({
    model: STACK_MODEL,
    input: TEXT,
    max_output_tokens: 8,
    stream: true,
  });
  try {
    for await (const event of stream) seen.push(event.type);
  } catch {
    return [...seen, 'threw'];
  }
  return seen;
}

async function messageEvents(keptBytes: number): Promise<readonly string[]> {
  const policy = { root: stack.rootFile };
  const client = new Anthropic({
    apiKey: stack.apiKey,
    baseURL: new URL(stack.baseUrl).origin,
    maxRetries: 0,
    fetch: sealedFetch({ policy, fetch: cutting(keptBytes) }),
  });
  const seen: string[] = [];
  const stream = await client.messages.create({
    model: STACK_MODEL,
    max_tokens: 8,
    messages: [{ role: 'user', content: TEXT }],
    stream: true,
  });
  try {
    for await (const event of stream) seen.push(event.type);
  } catch {
    return [...seen, 'threw'];
  }
  return seen;
}

const LAST = ['response.completed', 'response.incomplete', 'message_stop'];

for (const [surface, read] of [
  ['responses', responseEvents],
  ['messages', messageEvents],
] as const) {
  test(`uncut, the stream of ${surface} ends with its last event`, async () => {
    assert.ok(LAST.includes((await read(0)).at(-1) ?? ''));
  });

  // One byte of FINAL; FINAL; FINAL, the ledger line and the receipt.
  for (const keptBytes of [1, 200, 800]) {
    test(`${keptBytes} bytes less, and ${surface} throw before the last event`, async () => {
      const seen = await read(keptBytes);
      assert.equal(seen.at(-1), 'threw');
      assert.ok(
        seen.some((type) => type.endsWith('delta')),
        'the text was there',
      );
      assert.ok(!seen.some((type) => LAST.includes(type)), seen.join());
    });
  }
}
