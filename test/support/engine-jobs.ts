/** Jobs for engines, and what became of them. @module */

import type { ChatTurn, Engine, GenerateJob, Generation } from '../../enclave-worker/engine.ts';
import type { TokenLogprob } from '../../protocol/openai/logprobs.ts';
import type { Sampling } from '../../protocol/openai/sampling.ts';

export interface JobMore extends Partial<Omit<GenerateJob, 'sampling'>>, Partial<Sampling> {
  readonly messages?: readonly ChatTurn[];
}

/** Greedy, one choice, a question of one turn. */
export function generateJob(prompt: string, more: JobMore = {}): GenerateJob {
  const { messages = [{ role: 'user', content: prompt }], ...rest } = more;
  const { temperature = 0, topP = 1, frequencyPenalty = 0, presencePenalty = 0 } = rest;
  const { logitBias = [], seed, topK, minP, repetitionPenalty } = rest;
  return {
    prompts: rest.prompts ?? [{ kind: 'chat', messages }],
    choices: rest.choices ?? 1,
    maxPromptTokens: rest.maxPromptTokens ?? 256,
    maxOutputTokens: rest.maxOutputTokens ?? 60,
    sampling: {
      temperature,
      topP,
      frequencyPenalty,
      presencePenalty,
      logitBias,
      seed,
      topK,
      minP,
      repetitionPenalty,
    },
    stop: rest.stop ?? [],
    topLogprobs: rest.topLogprobs,
    grammar: rest.grammar,
    reasoningEffort: rest.reasoningEffort,
    templateArguments: rest.templateArguments,
    cacheNamespace: rest.cacheNamespace,
  };
}

export interface FinishedChoice {
  readonly text: string;
  readonly reason: string;
  readonly tokens: readonly TokenLogprob[];
}

export interface FinishedJob {
  readonly choices: readonly FinishedChoice[];
  readonly prompt: number;
  readonly completion: number;
}

/** Of every choice, in order. */
export async function finishAll(generation: Generation): Promise<FinishedJob> {
  const texts = new Map<number, string>();
  const tokens = new Map<number, TokenLogprob[]>();
  const reasons = new Map<number, string>();
  let last = '';
  for await (const event of generation.events) {
    if (event.kind === 'text') {
      const { choice = 0 } = event;
      texts.set(choice, (texts.get(choice) ?? '') + event.text);
      tokens.set(choice, [...(tokens.get(choice) ?? []), ...(event.tokens ?? [])]);
    }
    if (event.kind === 'choice-end') reasons.set(event.choice, event.reason);
    if (event.kind === 'end') last = event.reason;
  }
  const count = Math.max(1, ...[...texts.keys(), ...reasons.keys()].map((choice) => choice + 1));
  const choices = Array.from({ length: count }, (_, choice) => ({
    text: texts.get(choice) ?? '',
    reason: reasons.get(choice) ?? last,
    tokens: tokens.get(choice) ?? [],
  }));
  const { prompt, completion } = generation.usage();
  return { choices, prompt, completion };
}

export const NEVER: AbortSignal = new AbortController().signal;

export function runJob(engine: Engine, job: GenerateJob): Promise<FinishedJob> {
  return finishAll(engine.generate(job, NEVER));
}
