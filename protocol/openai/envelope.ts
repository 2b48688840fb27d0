/**
 * The few members of an OpenAI request that routing and sealing need; everything else is judged by the worker, inside.
 * Spec: OpenAI API reference, "Create chat completion", "Create completion", "Create embeddings"; docs/protocol.md
 * "Bounds".
 * @module
 */

import { z } from 'zod';
import { parseJson } from '../../core/json.ts';
import { defineErrors, type ErrorSpec } from '../../core/errors.ts';
import { CHAT_PATH, COMPLETIONS_PATH, type EndpointPath } from './endpoints.ts';

export const MODEL_ID_MAX_CHARS = 256;
/** Of one request, all its prompts together. */
export const CHOICES_MAX = 128;
export const OUTPUT_TOKENS_MAX = 0x7fff_ffff;
/** Of OpenAI's own: what a text completion without `max_tokens` may be long. */
export const TEXT_COMPLETION_TOKENS = 16;

const MALFORMED: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'model, stream, n, max_tokens or max_completion_tokens has a value that is not valid.',
};

export const envelopeError = defineErrors({ 'openai.envelope': MALFORMED });

const TOKENS = z.int().min(1).max(OUTPUT_TOKENS_MAX).nullish();
const MODEL = z.string().min(1).max(MODEL_ID_MAX_CHARS);
const STREAM = z.boolean().nullish();
const CHOICES = z.int().min(1).max(CHOICES_MAX).nullish();

const CHAT = z.looseObject({
  model: MODEL,
  stream: STREAM,
  n: CHOICES,
  max_tokens: TOKENS,
  max_completion_tokens: TOKENS,
});
const TEXT_COMPLETION = z.looseObject({
  model: MODEL,
  stream: STREAM,
  n: CHOICES,
  max_tokens: TOKENS,
  prompt: z.unknown(),
});
const EMBEDDINGS = z.looseObject({ model: MODEL });

export interface RequestEnvelope {
  readonly model: string;
  readonly mode: 'stream' | 'unary';
  readonly choices: number;
  /** Per choice, as asked for; undefined leaves it to the worker's limit. */
  readonly outputTokens: number | undefined;
}

/** Throws `json.*`, `bytes.utf8`, `openai.envelope`; the detail names the member, never its value. */
export function decodeEnvelope(
  path: EndpointPath,
  body: Uint8Array,
  maxBytes: number,
): RequestEnvelope {
  const json = parseJson(body, maxBytes);
  if (path === CHAT_PATH) return chatEnvelope(checked(CHAT, json));
  if (path === COMPLETIONS_PATH) return textEnvelope(checked(TEXT_COMPLETION, json));
  const { model } = checked(EMBEDDINGS, json);
  // A prelude has room for no bound of zero, and an embedding has no output.
  return { model, mode: 'unary', choices: 1, outputTokens: 1 };
}

function checked<Fields>(schema: z.ZodType<Fields>, json: unknown): Fields {
  const decoded = schema.safeParse(json);
  if (decoded.success) return decoded.data;
  throw malformed(String(decoded.error.issues[0]?.path[0] ?? 'body'));
}

function malformed(param: string): Error {
  return envelopeError('openai.envelope', '', { facts: { param } });
}

function chatEnvelope({ model, stream, n, ...tokens }: z.infer<typeof CHAT>): RequestEnvelope {
  const { max_tokens: legacy, max_completion_tokens: current } = tokens;
  return {
    model,
    mode: modeOf(stream),
    choices: n ?? 1,
    outputTokens: current ?? legacy ?? undefined,
  };
}

function textEnvelope(fields: z.infer<typeof TEXT_COMPLETION>): RequestEnvelope {
  const { model, stream, n, max_tokens: asked, prompt } = fields;
  const prompts = Array.isArray(prompt) ? Math.max(1, prompt.length) : 1;
  const choices = prompts * (n ?? 1);
  if (choices > CHOICES_MAX) throw malformed('n');
  return {
    model,
    mode: modeOf(stream),
    choices,
    outputTokens: asked ?? TEXT_COMPLETION_TOKENS,
  };
}

function modeOf(stream: boolean | null | undefined): RequestEnvelope['mode'] {
  return stream === true ? 'stream' : 'unary';
}
