/**
 * How many tokens a prompt is, before it runs: by the upstream's own tokenizer where it has one to ask. Elsewhere a byte
 * stands for a token, because a token is at least a byte; some servers cut what is too long without a word. Spec:
 * openai-gateway-and-engine §2.6, §6.
 * @module
 */

import { z } from 'zod';
import { utf8 } from '../../../core/bytes.ts';
import { VeilError } from '../../../core/errors.ts';
import { COMPLETIONS_PATH } from '../../../protocol/openai/endpoints.ts';
import type { GenerateJob } from '../../engine.ts';
import { upstreamError } from './errors.ts';
import { COUNT_MAX_BYTES, TEMPLATE_TOKENS } from './limits.ts';
import { refusalOf } from './refusal.ts';
import { promptOf } from './request-body.ts';
import { ask, type Upstream } from './upstream.ts';

export interface PromptCount {
  /** Certainly no more than this. */
  readonly atMost: number;
  /** Absent: nobody has counted. */
  readonly counted: number | undefined;
}

type CountedJob = Pick<GenerateJob, 'prompts' | 'templateArguments'>;

const COUNT = z.union([
  z.object({ count: z.int().min(0) }).transform(({ count }) => count),
  z.object({ input_tokens: z.int().min(0) }).transform(({ input_tokens: count }) => count),
  z.object({ tokens: z.array(z.unknown()) }).transform(({ tokens }) => tokens.length),
]);

/** Throws `engine.upstream`, `http.aborted`. */
export async function countPrompt(
  upstream: Upstream,
  job: CountedJob,
  signal: AbortSignal,
): Promise<PromptCount> {
  const { path, body } = promptOf(job.prompts);
  const byBytes = utf8(JSON.stringify(body)).length + TEMPLATE_TOKENS;
  if (upstream.kind.counting === 'bytes') return { atMost: byBytes, counted: undefined };
  const texts = path === COMPLETIONS_PATH ? textsOf(job) : undefined;
  const questions = texts?.map((text) => textQuestion(upstream, text)) ?? [
    chatQuestion(upstream, { ...body, ...templateBody(job) }),
  ];
  let counted = 0;
  for (const { at, json } of questions) counted += await counting(upstream, { at, json, signal });
  return { atMost: counted, counted };
}

/** Of texts without a template, all together. Undefined where nobody counts. */
export async function countTexts(
  upstream: Upstream,
  texts: readonly string[],
  signal: AbortSignal,
): Promise<PromptCount> {
  if (upstream.kind.counting === 'bytes') {
    const atMost = texts.reduce((sum, text) => sum + utf8(text).length, 0) + TEMPLATE_TOKENS;
    return { atMost, counted: undefined };
  }
  const prompts = texts.map((text) => ({ kind: 'text' as const, text }));
  return countPrompt(upstream, { prompts }, signal);
}

function textsOf({ prompts }: CountedJob): readonly string[] {
  return prompts.map((prompt) => (prompt.kind === 'text' ? prompt.text : ''));
}

function templateBody({ templateArguments }: CountedJob): object {
  return templateArguments === undefined ? {} : { chat_template_kwargs: templateArguments };
}

interface Question {
  readonly at: string;
  readonly json: object;
}

function chatQuestion({ kind, config }: Upstream, body: object): Question {
  const json = { model: config.model, ...body };
  return kind.counting === 'vllm'
    ? { at: '/tokenize', json: { ...json, add_generation_prompt: true } }
    : { at: '/v1/chat/completions/input_tokens', json };
}

function textQuestion({ kind, config }: Upstream, text: string): Question {
  return kind.counting === 'vllm'
    ? { at: '/tokenize', json: { model: config.model, prompt: text } }
    : { at: '/tokenize', json: { content: text, add_special: true, parse_special: true } };
}

async function counting(
  upstream: Upstream,
  { at, json, signal }: Question & { readonly signal: AbortSignal },
): Promise<number> {
  try {
    const answer = await ask(upstream, at, { json, signal, maxBytes: COUNT_MAX_BYTES });
    const count = COUNT.safeParse(answer.json);
    if (answer.status === 200 && count.success) return count.data;
    if (answer.status !== 200) throw refusalOf(answer.status, utf8(JSON.stringify(answer.json)));
  } catch (cause) {
    const isOurs = cause instanceof VeilError && cause.code.startsWith('engine.');
    if (signal.aborted || isOurs) throw cause;
    throw upstreamError('count', cause);
  }
  throw upstreamError('count');
}
