/**
 * One generation: its prompts one after another, and for each its choices, on one sequence; a prompt is evaluated once for all
 * its choices. What another request has left is gone on with only in the same namespace: sequence-pool.ts.
 * Spec: openai-gateway-and-engine §5.3, §5.4.
 * @module
 */

import type { LlamaContextSequence, LlamaGrammar, Token, TokenBias } from 'node-llama-cpp';
import { engineError } from '../../errors.ts';
import { runChoice, type ChoiceEnd, type RunningJob } from './choice.ts';
import type { FromChild, GenerateMessage } from './messages.ts';
import type { LoadedModel } from './model.ts';
import { lastOf, promptTokens } from './prompt.ts';
import { biasOf, grammarOf } from './sampling-options.ts';
import type { TakenSequence } from './sequence-pool.ts';

type Send = (message: FromChild) => void;

/** Throws `engine.prompt_too_long`, `engine.logit_bias`, `engine.logprobs` before anything runs. */
export async function generate(
  loaded: LoadedModel,
  message: GenerateMessage,
  job: RunningJob,
  send: Send,
): Promise<void> {
  const prompts = promptTokens(loaded, message);
  const bias = biasOf(loaded, message);
  const grammar = await grammarOf(loaded, message);
  const { pool } = loaded;
  const { namespace } = message;
  const taken = await pool.take(namespace, prompts[0] ?? []);
  if (taken === undefined) throw engineError('engine.failed', 'no free sequence');
  const { sequence, reused } = taken;
  let ended: Ended;
  let kept: string | undefined;
  try {
    if (message.topLogprobs !== undefined && sequence.needsCheckpoints) {
      throw engineError('engine.logprobs');
    }
    const count = prompts.reduce((sum, tokens) => sum + tokens.length, 0);
    send({ kind: 'started', id: message.id, promptTokens: count, cachedTokens: reused });
    ended = await generateOn(taken, prompts, { loaded, message, job, send, bias, grammar });
    // Nothing of it could be gone on with.
    if (!sequence.needsCheckpoints) kept = namespace;
  } finally {
    if (kept === undefined) pool.empty(sequence);
    else pool.keep(sequence, kept, performance.now());
  }
  // Whoever hears of the end may send the next job at once, and that needs the sequence.
  send({ kind: 'end', id: message.id, ...ended });
}

interface Ended {
  readonly reason: ChoiceEnd;
  readonly completionTokens: number;
}

interface Run {
  readonly loaded: LoadedModel;
  readonly message: GenerateMessage;
  readonly job: RunningJob;
  readonly send: Send;
  readonly bias: TokenBias | undefined;
  readonly grammar: LlamaGrammar | undefined;
}

async function generateOn(
  { sequence, reused }: TakenSequence,
  prompts: readonly (readonly Token[])[],
  run: Run,
): Promise<Ended> {
  const { message, loaded, send } = run;
  const { id, choices, maxOutputTokens } = message;
  const count = { tokens: 0 };
  const total = prompts.length * choices;
  let choice = 0;
  for (const [place, prompt] of prompts.entries()) {
    if (place > 0) await sequence.clearHistory();
    let tail = await prefill(sequence, prompt.slice(place > 0 ? 0 : reused), run);
    const limit = Math.min(loaded.contextTokens - prompt.length, maxOutputTokens);
    for (let at = 0; at < choices; at++) {
      if (at > 0) tail = await backToPrompt(sequence, prompt);
      const reason = await end(run, { ...run, sequence, choice, tail, limit, count });
      choice++;
      const completionTokens = count.tokens;
      if (reason === 'aborted' || choice === total) return { reason, completionTokens };
      send({ kind: 'choice-end', id, choice: choice - 1, reason, completionTokens });
    }
  }
  return { reason: 'aborted', completionTokens: count.tokens };
}

function end({ job }: Run, choice: Parameters<typeof runChoice>[0]): Promise<ChoiceEnd> {
  return job.aborted ? Promise.resolve('aborted') : runChoice(choice);
}

/** Evaluates all but the last slice of what is left of the prompt, in slices, so that an abort is noticed in between. */
async function prefill(
  sequence: LlamaContextSequence,
  left: readonly Token[],
  { loaded, job }: Run,
): Promise<Token[]> {
  let at = 0;
  while (!job.aborted && left.length - at > loaded.prefillTokens) {
    await sequence.evaluateWithoutGeneratingNewTokens(left.slice(at, at + loaded.prefillTokens));
    at += loaded.prefillTokens;
  }
  return left.slice(at);
}

/** All of the prompt but its last token, which the next choice begins with. */
async function backToPrompt(
  sequence: LlamaContextSequence,
  prompt: readonly Token[],
): Promise<Token[]> {
  const start = prompt.length - 1;
  await sequence.eraseContextTokenRanges([{ start, end: sequence.nextTokenIndex }]);
  return [lastOf(prompt)];
}
