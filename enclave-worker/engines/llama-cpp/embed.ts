/**
 * Texts to vectors of length one, each evaluated alone and forgotten. Runs in the engine process.
 * Spec: openai-gateway-and-engine §5.3 "embeddings".
 * @module
 */

import type { LlamaEmbeddingContext, Token } from 'node-llama-cpp';
import { engineError } from '../../errors.ts';
import type { RunningJob } from './choice.ts';
import type { EmbedMessage, FromChild } from './messages.ts';
import type { LoadedModel } from './model.ts';
import { assertCanFit } from './prompt.ts';

/** Throws `engine.prompt_too_long` before anything runs. */
export async function embed(
  loaded: LoadedModel,
  message: EmbedMessage,
  job: RunningJob,
  send: (message: FromChild) => void,
): Promise<void> {
  const { id } = message;
  const { context, inputs } = inputsOf(loaded, message);
  send({ kind: 'started', id, promptTokens: 0 });
  let promptTokens = 0;
  for (const { tokens, count } of inputs) {
    if (job.aborted) break;
    const { vector } = await context.getEmbeddingFor(tokens);
    promptTokens += count;
    send({ kind: 'vector', id, vector: unit(vector), promptTokens });
  }
  send({ kind: 'end', id, reason: job.aborted ? 'aborted' : 'stop', completionTokens: 0 });
}

interface Input {
  readonly tokens: Token[];
  /** With those that the model wants around an input. */
  readonly count: number;
}

function inputsOf(
  loaded: LoadedModel,
  message: EmbedMessage,
): { readonly context: LlamaEmbeddingContext; readonly inputs: readonly Input[] } {
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
  return { context, inputs };
}

function unit(vector: readonly number[]): number[] {
  const length = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  return length === 0 ? [...vector] : vector.map((value) => Math.fround(value / length));
}
