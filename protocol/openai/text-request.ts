/**
 * A request for plain text completions: the prompt is text, tokens spelled as numbers are refused by name.
 * Spec: OpenAI API reference "Create completion"; openai-gateway-and-engine §2.1, §2.2.
 * @module
 */

import { z } from 'zod';
import { decodeBody, refuse, type BodyRules, type Decision } from './decode-body.ts';
import { CHOICES_MAX, MODEL_ID_MAX_CHARS, TEXT_COMPLETION_TOKENS } from './envelope.ts';
import {
  IDENTITY_FIELDS,
  SAMPLING_FIELDS,
  samplingOf,
  stopsOf,
  streamConflict,
  TOKENS,
  type Sampling,
} from './sampling.ts';

export interface TextRequest {
  readonly model: string;
  readonly prompts: readonly string[];
  /** Of each prompt. */
  readonly choices: number;
  readonly maxOutputTokens: number;
  readonly sampling: Sampling;
  readonly stop: readonly string[];
  readonly topLogprobs: number | undefined;
  readonly mode: 'stream' | 'unary';
  readonly includeUsage: boolean;
}

const TEXT_MAX_CHARS = 8_388_608;
const TOP_LOGPROBS_MAX = 5;

const PROMPT = z.string().min(1).max(TEXT_MAX_CHARS);

const SCHEMA = z.object({
  model: z.string().min(1).max(MODEL_ID_MAX_CHARS),
  prompt: z.union([PROMPT, z.array(PROMPT).min(1).max(CHOICES_MAX)]),
  max_tokens: TOKENS,
  logprobs: z.int().min(0).max(TOP_LOGPROBS_MAX).nullish(),
  best_of: z.int().min(1).max(CHOICES_MAX).nullish(),
  ...SAMPLING_FIELDS,
  ...IDENTITY_FIELDS,
});
type Fields = z.infer<typeof SCHEMA>;

const RULES: BodyRules<Fields> = {
  schema: SCHEMA,
  known: new Set(Object.keys(SCHEMA.shape)),
  neutralOnly: { echo: z.literal(false), suffix: z.literal('') },
  never: new Set(),
};

/** `body` is untrusted JSON. What it refuses it names, never with the value that came. */
export function decodeTextRequest(body: unknown): Decision<TextRequest> {
  if (hasTokensAt(body, 'prompt')) return refuse('unsupported_parameter', 'prompt');
  const decoded = decodeBody(body, RULES);
  if (decoded.outcome === 'refused') return decoded;
  const { fields } = decoded;
  const prompts = typeof fields.prompt === 'string' ? [fields.prompt] : fields.prompt;
  const choices = fields.n ?? 1;
  if (prompts.length * choices > CHOICES_MAX) return refuse('invalid_value', 'n');
  // Drawing more than are shown and choosing among them: nobody here does.
  const drawn = fields.best_of ?? choices;
  if (drawn < choices) return refuse('invalid_value', 'best_of');
  if (drawn > choices) return refuse('unsupported_parameter', 'best_of');
  const conflict = streamConflict(fields);
  if (conflict !== undefined) return refuse('invalid_value', conflict);
  return {
    outcome: 'decoded',
    request: {
      model: fields.model,
      prompts,
      choices,
      maxOutputTokens: fields.max_tokens ?? TEXT_COMPLETION_TOKENS,
      sampling: samplingOf(fields),
      stop: stopsOf(fields),
      topLogprobs: fields.logprobs ?? undefined,
      mode: fields.stream === true ? 'stream' : 'unary',
      includeUsage: fields.stream_options?.include_usage === true,
    },
  };
}

const TOKENS_OR_LISTS = z.array(z.union([z.number(), z.array(z.number())])).min(1);

/** The older API takes prompts and inputs as token numbers too, one list or a list of lists. */
export function hasTokensAt(body: unknown, member: 'prompt' | 'input'): boolean {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, member)) return false;
  const value: unknown = Reflect.get(body, member);
  return TOKENS_OR_LISTS.safeParse(value).success;
}
