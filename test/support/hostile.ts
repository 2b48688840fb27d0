/**
 * What attack tests share: OpenAI's own client behind `sealedFetch`, what an app would see, and the frames of an answer.
 * Spec: docs/protocol.md "Response".
 * @module
 */

import assert from 'node:assert/strict';
import OpenAI, { APIError } from 'openai';
import { concat } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { sealedFetch } from '../../client/index.ts';
import type { ClientOptions } from '../../client/open-session.ts';
import { MODEL, PROMPT, type MemoryGateway } from './memory-gateway.ts';

export const MODES = ['unary', 'stream'] as const;
export type Mode = (typeof MODES)[number];

/** What reached the app: a whole answer, or an error after so much text. */
export type Seen =
  | { readonly outcome: 'whole'; readonly text: string }
  | { readonly outcome: 'error'; readonly code: string; readonly text: string };

export type Ask = (mode: Mode) => Promise<Seen>;

/** One client for several questions, as an app has. */
export function appOf(gateway: MemoryGateway, options: Partial<ClientOptions> = {}): Ask {
  const { fetch, policy, clock } = gateway;
  const client = new OpenAI({
    baseURL: 'https://gateway.test/v1',
    apiKey: 'sk-test-key',
    maxRetries: 0,
    fetch: sealedFetch({ fetch, policy, clock, ...options }),
  });
  return (mode) => askWith(client, mode);
}

export async function askWith(client: OpenAI, mode: Mode, model = MODEL): Promise<Seen> {
  let text = '';
  const messages = [{ role: 'user' as const, content: PROMPT }];
  try {
    if (mode === 'unary') {
      const answer = await client.chat.completions.create({ model, messages });
      return { outcome: 'whole', text: answer.choices[0]?.message.content ?? '' };
    }
    const stream = await client.chat.completions.create({ model, messages, stream: true });
    for await (const part of stream) text += part.choices[0]?.delta.content ?? '';
    return { outcome: 'whole', text };
  } catch (error) {
    return { outcome: 'error', code: codeOf(error), text };
  }
}

function codeOf(error: unknown): string {
  if (error instanceof APIError) return error.code ?? error.constructor.name;
  if (error instanceof VeilError) return error.code;
  throw error;
}

export function assertError(seen: Seen, codes: readonly string[]): void {
  assert.equal(seen.outcome, 'error', `the app saw a whole answer: ${seen.text}`);
  if (seen.outcome === 'error') assert.ok(codes.includes(seen.code), seen.code);
}

export const WHOLE: Seen = { outcome: 'whole', text: 'whole answer' };

export interface Frame {
  readonly type: number;
  readonly bytes: Uint8Array;
}

const OPENING_BYTES = 48;
const HEADER_BYTES = 4;

/** Kid and nonce, then the frames. */
export function splitAnswer(answer: Uint8Array): {
  readonly opening: Uint8Array;
  readonly frames: readonly Frame[];
} {
  const frames: Frame[] = [];
  let at = OPENING_BYTES;
  while (at < answer.length) {
    const [type = 0, high = 0, middle = 0, low = 0] = answer.subarray(at, at + HEADER_BYTES);
    const end = at + HEADER_BYTES + high * 65_536 + middle * 256 + low;
    frames.push({ type, bytes: answer.slice(at, end) });
    at = end;
  }
  return { opening: answer.slice(0, OPENING_BYTES), frames };
}

/** An attack on the order and number of frames. */
export function onFrames(
  change: (frames: readonly Frame[]) => readonly Frame[],
): (pieces: readonly Uint8Array[]) => readonly Uint8Array[] {
  return (pieces) => {
    const { opening, frames } = splitAnswer(concat(...pieces));
    return [opening, ...change(frames).map((frame) => frame.bytes)];
  };
}
