/**
 * Texts to vectors of length one, each evaluated alone and forgotten. Runs in the engine process.
 * Spec: openai-gateway-and-engine §5.3 "embeddings".
 * @module
 */

import type { Token } from 'node-llama-cpp';
import { engineError } from '../../errors.ts';
import type { RunningJob } from './choice.ts';
import type { EmbedMessage, FromChild } from './messages.ts';
import type { Embedder, LoadedModel } from './model.ts';
import { assertCanFit } from './prompt.ts';

/** Throws `engine.prompt_too_long` before anything runs. */
export async function embed(
  loaded: LoadedModel,
  message: EmbedMessage,
  job: RunningJob,
  send: (message: FromChild) => void,
): Promise<void> {
  const { id } = message;
  const { embedder, inputs } = inputsOf(loaded, message);
  send({ kind: 'started', id, promptTokens: 0, cachedTokens: 0 });
  let promptTokens = 0;
  for (const { tokens, count } of inputs) {
    const vector = await evaluated(embedder, tokens, job);
    if (vector === undefined) break;
    promptTokens += count;
    send({ kind: 'vector', id, vector: unit(vector), promptTokens });
  }
  send({ kind: 'end', id, reason: job.aborted ? 'aborted' : 'stop', completionTokens: 0 });
}

/** One after another. Undefined after an abort, at once: what is being evaluated then ends in its own time. */
async function evaluated(
  embedder: Embedder,
  tokens: Token[],
  job: RunningJob,
): Promise<readonly number[] | undefined> {
  const aborted = abortOf(job);
  while (embedder.running !== undefined && !job.aborted) {
    await Promise.race([embedder.running, aborted]);
  }
  if (job.aborted) return undefined;
  const evaluation = embedder.context.getEmbeddingFor(tokens);
  const running = evaluation
    .catch(() => undefined) // told to whoever asked
    .finally(() => {
      embedder.running = undefined;
    });
  embedder.running = running;
  const embedding = await Promise.race([evaluation, aborted]);
  return embedding?.vector;
}

function abortOf(job: RunningJob): Promise<undefined> {
  if (job.aborted) return Promise.resolve(undefined);
  return new Promise((resolve) => {
    job.wake = () => resolve(undefined);
  });
}

interface Input {
  readonly tokens: Token[];
  /** With those that the model wants around an input. */
  readonly count: number;
}

function inputsOf(
  loaded: LoadedModel,
  message: EmbedMessage,
): { readonly embedder: Embedder; readonly inputs: readonly Input[] } {
  const { model, embedder } = loaded;
  if (embedder === undefined) throw engineError('engine.failed', 'no embeddings');
  const { context, inputTokensMax } = embedder;
  assertCanFit(loaded, message.inputs, message.maxPromptTokens);
  const inputs = message.inputs.map((text): Input => {
    const tokens = model.tokenize(text);
    return { tokens, count: context.calculateInputLength(tokens) };
  });
  const total = inputs.reduce((sum, { count }) => sum + count, 0);
  if (total > message.maxPromptTokens || inputs.some(({ count }) => count > inputTokensMax)) {
    throw engineError('engine.prompt_too_long', '', { facts: { tokens: total } });
  }
  if (inputs.some(({ count }) => count === 0)) throw engineError('engine.failed', 'no tokens');
  return { embedder, inputs };
}

function unit(vector: readonly number[]): number[] {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? [...vector] : vector.map((value) => Math.fround(value / length));
}
