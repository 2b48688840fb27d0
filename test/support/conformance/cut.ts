/** What an app sees of a stream that is cut: it must hear of it, whichever client it uses. @module */

import assert from 'node:assert/strict';
import { streamText } from 'ai';
import { aiSdk, langChain, openAi, type Way } from './way.ts';

const MAX_TOKENS = 2000;
const messages = [{ role: 'user' as const, content: 'Go.' }];

/** Called with each piece of text; when it resolves, the next is read. */
export type OnText = (text: string) => Promise<void>;

export async function openAiHears(way: Way, onText: OnText): Promise<void> {
  const asked = { model: way.model, messages, max_tokens: MAX_TOKENS } as const;
  const read = async (): Promise<void> => {
    const { completions } = openAi(way).chat;
    const stream = await completions.create({ ...asked, stream: true });
    for await (const { choices } of stream) await onText(choices[0]?.delta.content ?? '');
  };
  await assert.rejects(read());
}

export async function aiSdkHears(way: Way, onText: OnText): Promise<void> {
  const errors: unknown[] = [];
  const stream = streamText({
    model: aiSdk(way)(way.model),
    messages,
    maxOutputTokens: MAX_TOKENS,
    maxRetries: 0,
    onError: ({ error }) => void errors.push(error),
  });
  const read = async (): Promise<void> => {
    for await (const part of stream.fullStream) {
      if (part.type === 'text-delta') await onText(part.text);
      if (part.type === 'finish') reason = part.finishReason;
    }
  };
  let reason = '';
  // A broken connection is thrown, an error that was said is a part.
  await read().catch((error: unknown) => void errors.push(error));
  assert.ok(errors.length > 0, 'an error');
  assert.ok(reason === '' || reason === 'error', reason);
}

export async function langChainHears(way: Way, onText: OnText): Promise<void> {
  const read = async (): Promise<void> => {
    const stream = await langChain(way, { maxTokens: MAX_TOKENS }).stream('Go.');
    for await (const piece of stream) await onText(piece.text);
  };
  await assert.rejects(read());
}
