/**
 * The few members of an OpenAI chat request that routing and sealing need; everything else is judged by the worker,
 * inside. Spec: OpenAI API reference, "Create chat completion"; docs/protocol.md "Bounds".
 * @module
 */

import { z } from 'zod';
import { parseJson } from '../../core/json.ts';
import { defineErrors, type ErrorSpec } from '../../core/errors.ts';

export const CHAT_PATH = '/v1/chat/completions';
export const MODEL_ID_MAX_CHARS = 256;
const CHOICES_MAX = 128;
const TOKENS_MAX = 0x7fff_ffff;

const MALFORMED: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'model, stream, n, max_tokens or max_completion_tokens has a value that is not valid.',
};

export const envelopeError = defineErrors({ 'openai.envelope': MALFORMED });

const TOKENS = z.int().min(1).max(TOKENS_MAX).nullish();
const ENVELOPE = z.looseObject({
  model: z.string().min(1).max(MODEL_ID_MAX_CHARS),
  stream: z.boolean().nullish(),
  n: z.int().min(1).max(CHOICES_MAX).nullish(),
  max_tokens: TOKENS,
  max_completion_tokens: TOKENS,
});

export interface ChatEnvelope {
  readonly model: string;
  readonly mode: 'stream' | 'unary';
  readonly choices: number;
  /** Per choice, as asked for; undefined leaves it to the worker's limit. */
  readonly outputTokens: number | undefined;
}

/** Throws `json.*`, `bytes.utf8`, `openai.envelope`; the detail names the member, never its value. */
export function decodeChatEnvelope(body: Uint8Array, maxBytes: number): ChatEnvelope {
  const decoded = ENVELOPE.safeParse(parseJson(body, maxBytes));
  if (!decoded.success) {
    throw envelopeError('openai.envelope', '', {
      facts: { param: String(decoded.error.issues[0]?.path[0] ?? 'body') },
    });
  }
  const { model, stream, n, max_tokens: legacy, max_completion_tokens: current } = decoded.data;
  return {
    model,
    mode: stream === true ? 'stream' : 'unary',
    choices: n ?? 1,
    outputTokens: current ?? legacy ?? undefined,
  };
}
