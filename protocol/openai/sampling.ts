/**
 * The members that say how text is drawn and where it ends, the same for chat and text completions. Spec: OpenAI API
 * reference; openai-gateway-and-engine §2.2.
 * @module
 */

import { z } from 'zod';
import { CHOICES_MAX, OUTPUT_TOKENS_MAX } from './envelope.ts';

export interface Sampling {
  /** 0 is greedy. */
  readonly temperature: number;
  readonly topP: number;
  /** Taken off the logit of a token for each time it stands in the answer so far. */
  readonly frequencyPenalty: number;
  /** Taken off once, if it stands there at all. */
  readonly presencePenalty: number;
  /** Added to the logits, by the model's own token numbers. */
  readonly logitBias: readonly (readonly [token: number, bias: number])[];
  /** Absent: a fresh random seed. The same seed gives the same text only as best effort (batching). */
  readonly seed: number | undefined;
  /** Only the so many likeliest tokens; 0: all. Absent, as the two below: not asked for. */
  readonly topK?: number | undefined;
  /** Only tokens at least this likely, as a part of the likeliest one's probability; 0: all. */
  readonly minP?: number | undefined;
  /** Divides the logits of what stands in the prompt or the answer already; 1: nothing. */
  readonly repetitionPenalty?: number | undefined;
}

const TEMPERATURE_MAX = 2;
const PENALTY_MAX = 2;
const BIAS_MAX = 100;
const BIASES_MAX = 1024;
const TOP_K_MAX = 1_000_000;
const REPETITION_MAX = 2;
const STOPS_MAX = 4;
const STOP_MAX_CHARS = 256;

const PENALTY = z.number().min(-PENALTY_MAX).max(PENALTY_MAX).nullish();
const STOP = z.string().min(1).max(STOP_MAX_CHARS);

export const TOKENS = z.int().min(1).max(OUTPUT_TOKENS_MAX).nullish();

export const SAMPLING_FIELDS = {
  n: z.int().min(1).max(CHOICES_MAX).nullish(),
  temperature: z.number().min(0).max(TEMPERATURE_MAX).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  stop: z.union([STOP, z.array(STOP).max(STOPS_MAX)]).nullish(),
  frequency_penalty: PENALTY,
  presence_penalty: PENALTY,
  logit_bias: z
    .record(z.string().regex(/^(?:0|[1-9]\d{0,8})$/), z.number().min(-BIAS_MAX).max(BIAS_MAX))
    .refine((biases) => Object.keys(biases).length <= BIASES_MAX)
    .nullish(),
  // Not of OpenAI's: which engines take them is in enclave-worker/engine-members.ts. -1 is how some say "all".
  top_k: z.int().min(-1).max(TOP_K_MAX).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().gt(0).max(REPETITION_MAX).nullish(),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({
      include_usage: z.boolean().nullish(),
      include_obfuscation: z.boolean().nullish(),
    })
    .nullish(),
};

const SAMPLING = z.object(SAMPLING_FIELDS);
type SamplingFields = z.infer<typeof SAMPLING>;

export function samplingOf(fields: SamplingFields): Sampling {
  const { top_k: topK, min_p: minP, repetition_penalty: repetitionPenalty } = fields;
  return {
    ...(typeof topK === 'number' && { topK: Math.max(0, topK) }),
    ...(typeof minP === 'number' && { minP }),
    ...(typeof repetitionPenalty === 'number' && { repetitionPenalty }),
    temperature: fields.temperature ?? 1,
    topP: fields.top_p ?? 1,
    frequencyPenalty: fields.frequency_penalty ?? 0,
    presencePenalty: fields.presence_penalty ?? 0,
    logitBias: Object.entries(fields.logit_bias ?? {}).map(([token, bias]) => [
      Number(token),
      bias,
    ]),
    seed: fields.seed ?? undefined,
  };
}

export function stopsOf({ stop }: Pick<SamplingFields, 'stop'>): readonly string[] {
  if (stop === null || stop === undefined) return [];
  return typeof stop === 'string' ? [stop] : stop;
}

/** The name of a member that stands without what it needs. */
export function streamConflict({
  stream,
  stream_options: options,
}: SamplingFields): string | undefined {
  if (options === null || options === undefined) return undefined;
  return stream === true ? undefined : 'stream_options';
}

/** Accepted because they change nothing in the answer; their values are bounded and then dropped. */
export const IDENTITY_FIELDS = {
  user: z.string().max(1024).nullish(),
  safety_identifier: z.string().max(1024).nullish(),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  service_tier: z.enum(['auto', 'default']).nullish(),
  store: z.literal(false).nullish(),
};
