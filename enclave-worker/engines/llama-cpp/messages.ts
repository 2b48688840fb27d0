/**
 * What the worker and its engine process say to each other over the IPC channel. Both sides decode what they
 * receive: the child runs a large native library and is not trusted to be well.
 * @module
 */

import { z } from 'zod';
import { ENGINE_ENDPOINTS } from '../../../protocol/openai/endpoints.ts';
import { CHOICES_MAX } from '../../../protocol/openai/envelope.ts';
import { GRAMMAR_MAX_CHARS } from '../../grammar/limits.ts';

const TEXT_MAX = 32 * 1024 * 1024;
/** Limits of cards and preludes are u32. */
const COUNT = z.int().min(0).max(0xffffffff);
const JOB_ID = z.int().min(1);
const CAPABILITIES = ENGINE_ENDPOINTS.map(({ capability }) => capability);
const TOP_LOGPROBS_MAX = 20;
/** Tokens whose text waited together for a stop string that did not come, or for the end of a character. */
const TOKENS_MAX = 8192;
/** No vocabulary that we know has a longer token (the longest are runs of spaces). */
export const TOKEN_BYTES_MAX = 1024;
const DIMENSIONS_MAX = 65_536;
/** llama.cpp takes 32 bits, and the last of those values asks it for a random seed. */
export const SEEDS = 0xffffffff;
const SEED = z
  .int()
  .min(0)
  .max(SEEDS - 1);

const TURN = z.strictObject({
  role: z.enum(['system', 'user', 'assistant']),
  content: z.string().max(TEXT_MAX),
});

const LOAD = z.strictObject({
  kind: z.literal('load'),
  modelPath: z.string().max(4096),
  modelSha256Hex: z.string().length(64),
  /** A directory that only this process pair uses; the verified copy of the model goes there. */
  privateDir: z.string().max(4096),
  gpu: z.union([z.literal('auto'), z.literal(false), z.literal('cuda')]),
  threads: z.int().min(1).max(1024),
  contextTokens: COUNT,
  sequences: z.int().min(1).max(256),
  prefillTokens: z.int().min(1).max(4096),
  /** What the model is loaded for: a template for chats, a second context for embeddings. */
  serves: z.array(z.enum(CAPABILITIES)).min(1).max(CAPABILITIES.length),
  beatMs: z.int().min(10),
});

const PROMPT = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('chat'), messages: z.array(TURN).max(4096) }),
  z.strictObject({ kind: z.literal('text'), text: z.string().max(TEXT_MAX) }),
]);

const GENERATE = z.strictObject({
  kind: z.literal('generate'),
  id: JOB_ID,
  prompts: z.array(PROMPT).min(1).max(CHOICES_MAX),
  /** Of each prompt. */
  choices: z.int().min(1).max(CHOICES_MAX),
  maxPromptTokens: COUNT,
  maxOutputTokens: COUNT,
  temperature: z.number().min(0).max(2),
  topP: z.number().min(0).max(1),
  frequencyPenalty: z.number().min(-2).max(2),
  presencePenalty: z.number().min(-2).max(2),
  topK: z.int().min(0).max(1_000_000).optional(),
  minP: z.number().min(0).max(1).optional(),
  repetitionPenalty: z.number().gt(0).max(2).optional(),
  logitBias: z.array(z.tuple([COUNT, z.number().min(-100).max(100)])).max(1024),
  /** Whose earlier prompts may be gone on with, and who may go on with these. Absent: nobody. */
  namespace: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional(),
  /** Of the first choice; each one after it has the next. */
  seed: SEED,
  stop: z.array(z.string().max(4096)).max(16),
  topLogprobs: z.int().min(0).max(TOP_LOGPROBS_MAX).optional(),
  grammar: z.string().max(GRAMMAR_MAX_CHARS).optional(),
});

const EMBED = z.strictObject({
  kind: z.literal('embed'),
  id: JOB_ID,
  inputs: z.array(z.string().max(TEXT_MAX)).min(1).max(2048),
  maxPromptTokens: COUNT,
});

export const TO_CHILD = z.discriminatedUnion('kind', [
  LOAD,
  GENERATE,
  EMBED,
  z.strictObject({ kind: z.literal('abort'), id: JOB_ID }),
  /** The reader has taken `count` text messages: the child may send as many more. */
  z.strictObject({ kind: z.literal('taken'), id: JOB_ID, count: COUNT }),
]);
export type ToChild = z.infer<typeof TO_CHILD>;
export type LoadMessage = z.infer<typeof LOAD>;
export type GenerateMessage = z.infer<typeof GENERATE>;
export type EmbedMessage = z.infer<typeof EMBED>;

export const CHILD_ERRORS = [
  'engine.digest',
  'engine.copy',
  'engine.load',
  'engine.template',
  'engine.failed',
  'engine.prompt_too_long',
  'engine.logit_bias',
  'engine.logprobs',
] as const;
export type ChildError = (typeof CHILD_ERRORS)[number];

const CHOICE = z
  .int()
  .min(0)
  .max(CHOICES_MAX - 1);
const BYTES = z.array(z.int().min(0).max(255)).max(TOKEN_BYTES_MAX);
const LOGPROB = z.number().max(0);
const TOKEN = z.strictObject({
  bytes: BYTES,
  logprob: LOGPROB,
  top: z.array(z.strictObject({ bytes: BYTES, logprob: LOGPROB })).max(TOP_LOGPROBS_MAX),
});
export type TokenMessage = z.infer<typeof TOKEN>;

export const FROM_CHILD = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('beat') }),
  z.strictObject({ kind: z.literal('ready') }),
  z.strictObject({ kind: z.literal('load-failed'), code: z.enum(CHILD_ERRORS) }),
  z.strictObject({
    kind: z.literal('started'),
    id: JOB_ID,
    promptTokens: COUNT,
    /** So many of them were not evaluated. */
    cachedTokens: COUNT,
  }),
  /** `text` may be empty: the count is what matters then. `completionTokens` is cumulative. */
  z.strictObject({
    kind: z.literal('text'),
    id: JOB_ID,
    choice: CHOICE,
    text: z.string().max(TEXT_MAX),
    tokens: z.array(TOKEN).max(TOKENS_MAX).optional(),
    completionTokens: COUNT,
  }),
  z.strictObject({
    kind: z.literal('choice-end'),
    id: JOB_ID,
    choice: CHOICE,
    reason: z.enum(['stop', 'length']),
    completionTokens: COUNT,
  }),
  /** Of an embed job: the inputs in order, and after the last one an `end`. */
  z.strictObject({
    kind: z.literal('vector'),
    id: JOB_ID,
    vector: z.array(z.number()).min(1).max(DIMENSIONS_MAX),
    /** Cumulative. */
    promptTokens: COUNT,
  }),
  z.strictObject({
    kind: z.literal('end'),
    id: JOB_ID,
    reason: z.enum(['stop', 'length', 'aborted']),
    completionTokens: COUNT,
  }),
  z.strictObject({ kind: z.literal('failed'), id: JOB_ID, code: z.enum(CHILD_ERRORS) }),
]);
export type FromChild = z.infer<typeof FROM_CHILD>;

/** Text messages the child may be ahead of the reader. */
export const WINDOW_MESSAGES = 64;
