/**
 * One event of an upstream as it may come, in every dialect that is known. Nothing of it is believed yet; what has no place
 * here is not looked at. Spec: OpenAI API reference "The chat completion chunk object"; openai-gateway-and-engine §6 rule 4.
 * @module
 */

import { z } from 'zod';
import { utf8 } from '../../../core/bytes.ts';
import { parseJson } from '../../../core/json.ts';
import { upstreamError } from './errors.ts';
import { EVENT_MAX_BYTES } from './limits.ts';

const TEXT = z.string().nullish();
const COUNT = z.unknown().optional();

const CHANCE = z.object({
  token: z.string(),
  logprob: z.number(),
  bytes: z.array(z.int().min(0).max(255)).nullish(),
});
export type UpstreamChance = z.output<typeof CHANCE>;
const TOKEN = CHANCE.extend({ top_logprobs: z.array(CHANCE).nullish() });
export type UpstreamToken = z.output<typeof TOKEN>;

/** Ids are numbers in some; arguments are an object in some. */
const CALL = z.object({
  index: z.int().min(0).nullish(),
  id: z.union([z.string(), z.number()]).nullish(),
  function: z
    .object({
      name: TEXT,
      arguments: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
    })
    .nullish(),
});
export type UpstreamCall = z.output<typeof CALL>;

const CHOICE = z.object({
  index: z.int().min(0).nullish(),
  delta: z
    .object({
      content: TEXT,
      reasoning_content: TEXT,
      reasoning: TEXT,
      refusal: TEXT,
      tool_calls: z.array(CALL).nullish(),
    })
    .nullish(),
  /** Of text completions. */
  text: TEXT,
  logprobs: z
    .object({
      content: z.array(TOKEN).nullish(),
    })
    .nullish(),
  finish_reason: z.union([z.string(), z.number()]).nullish(),
});
export type UpstreamChoice = z.output<typeof CHOICE>;

const USAGE = z.object({
  prompt_tokens: COUNT,
  completion_tokens: COUNT,
  prompt_tokens_details: z.object({ cached_tokens: COUNT }).nullish(),
  completion_tokens_details: z.object({ reasoning_tokens: COUNT }).nullish(),
});
export type UpstreamUsage = z.output<typeof USAGE>;

/** What llama.cpp says with every token. */
const TIMINGS = z.object({ prompt_n: COUNT, cache_n: COUNT, predicted_n: COUNT });

const CHUNK = z.object({
  object: z.string().nullish(),
  model: z.string().nullish(),
  choices: z.array(CHOICE).max(128).nullish(),
  usage: USAGE.nullish(),
  timings: TIMINGS.nullish(),
  error: z.unknown().optional(),
});
export type UpstreamChunk = z.output<typeof CHUNK>;

/** Throws `engine.upstream`. */
export function decodeChunk(data: string): UpstreamChunk {
  let json: unknown;
  try {
    json = parseJson(utf8(data), EVENT_MAX_BYTES);
  } catch (cause) {
    throw upstreamError('json', cause);
  }
  const decoded = CHUNK.safeParse(json);
  // The reason would quote the answer.
  if (!decoded.success) throw upstreamError('json');
  const { error, object } = decoded.data;
  if ((error !== undefined && error !== null) || object === 'error') throw upstreamError('in-band');
  return decoded.data;
}
