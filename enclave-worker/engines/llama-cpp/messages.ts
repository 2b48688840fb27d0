/**
 * What the worker and its engine process say to each other over the IPC channel. Both sides decode what they
 * receive: the child runs a large native library and is not trusted to be well.
 * @module
 */

import { z } from 'zod';

const TEXT_MAX = 32 * 1024 * 1024;
/** Limits of cards and preludes are u32. */
const COUNT = z.int().min(0).max(0xffffffff);
const JOB_ID = z.int().min(1);

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
  beatMs: z.int().min(10),
});

const GENERATE = z.strictObject({
  kind: z.literal('generate'),
  id: JOB_ID,
  messages: z.array(TURN).max(4096),
  maxPromptTokens: COUNT,
  maxOutputTokens: COUNT,
  temperature: z.number().min(0).max(2),
  topP: z.number().min(0).max(1),
  seed: z.int().min(0).max(0xffffffff),
  stop: z.array(z.string().max(4096)).max(16),
});

export const TO_CHILD = z.discriminatedUnion('kind', [
  LOAD,
  GENERATE,
  z.strictObject({ kind: z.literal('abort'), id: JOB_ID }),
  /** The reader has taken `count` text messages: the child may send as many more. */
  z.strictObject({ kind: z.literal('taken'), id: JOB_ID, count: COUNT }),
]);
export type ToChild = z.infer<typeof TO_CHILD>;
export type LoadMessage = z.infer<typeof LOAD>;
export type GenerateMessage = z.infer<typeof GENERATE>;

export const CHILD_ERRORS = [
  'engine.digest',
  'engine.copy',
  'engine.load',
  'engine.template',
  'engine.failed',
  'engine.prompt_too_long',
] as const;
export type ChildError = (typeof CHILD_ERRORS)[number];

export const FROM_CHILD = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('beat') }),
  z.strictObject({ kind: z.literal('ready') }),
  z.strictObject({ kind: z.literal('load-failed'), code: z.enum(CHILD_ERRORS) }),
  z.strictObject({ kind: z.literal('started'), id: JOB_ID, promptTokens: COUNT }),
  /** `text` may be empty: the count is what matters then. `completionTokens` is cumulative. */
  z.strictObject({
    kind: z.literal('text'),
    id: JOB_ID,
    text: z.string().max(TEXT_MAX),
    completionTokens: COUNT,
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
