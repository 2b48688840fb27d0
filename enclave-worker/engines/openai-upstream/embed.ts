/**
 * Vectors from an upstream: as many as there were texts, in their order, of one length, brought to length one. Spec:
 * OpenAI API reference "Create embeddings"; openai-gateway-and-engine §2.8, §6.
 * @module
 */

import { z } from 'zod';
import { utf8 } from '../../../core/bytes.ts';
import { hasCode, VeilError } from '../../../core/errors.ts';
import { EMBEDDINGS_PATH } from '../../../protocol/openai/endpoints.ts';
import type { Usage } from '../../../protocol/receipt.ts';
import type { EmbedJob, Embedding } from '../../engine.ts';
import { engineError } from '../../errors.ts';
import { brokenBy, upstreamError } from './errors.ts';
import { COUNT_SLACK, DIMENSIONS_MAX, EMBEDDINGS_MAX_BYTES } from './limits.ts';
import { countTexts } from './prompt-count.ts';
import { refusalOf } from './refusal.ts';
import { ask, type Upstream } from './upstream.ts';

const ANSWER = z.object({
  data: z.array(
    z.object({
      index: z.int().min(0),
      embedding: z.array(z.number()).min(1).max(DIMENSIONS_MAX),
    }),
  ),
  usage: z.object({ prompt_tokens: z.int().min(0) }).nullish(),
});

export interface EmbedContext {
  readonly upstream: Upstream;
  readonly onOver: (error: VeilError | undefined) => void;
}

export function startEmbedding(
  { upstream, onOver }: EmbedContext,
  job: EmbedJob,
  signal: AbortSignal,
): Embedding {
  let usage: Usage = { prompt: 0, cached: 0, completion: 0, reasoning: 0 };
  const work = async (): Promise<readonly Float32Array[]> => {
    try {
      const embedded = await embed(upstream, job, signal);
      usage = { ...usage, prompt: embedded.prompt };
      onOver(undefined);
      return embedded.vectors;
    } catch (error) {
      const failure = signal.aborted ? engineError('engine.aborted') : failureOf(error);
      onOver(failure);
      throw failure;
    }
  };
  const vectors = work();
  // Whoever asked looks at it in time, or has gone.
  vectors.catch(() => undefined);
  return { vectors, usage: () => usage };
}

interface Embedded {
  readonly vectors: readonly Float32Array[];
  readonly prompt: number;
}

async function embed(
  upstream: Upstream,
  { inputs, maxPromptTokens }: EmbedJob,
  signal: AbortSignal,
): Promise<Embedded> {
  const { atMost, counted } = await countTexts(upstream, inputs, signal);
  if (counted !== undefined && counted > maxPromptTokens)
    throw engineError('engine.prompt_too_long');
  const { status, json } = await ask(upstream, EMBEDDINGS_PATH, {
    json: { model: upstream.config.model, input: inputs, encoding_format: 'float' },
    maxBytes: EMBEDDINGS_MAX_BYTES,
    timeoutMs: upstream.config.queueMs,
    signal,
  });
  if (status !== 200) throw refusalOf(status, utf8(JSON.stringify(json)));
  const answer = ANSWER.safeParse(json);
  if (!answer.success) throw upstreamError('vectors');
  const { data, usage } = answer.data;
  const said = usage?.prompt_tokens ?? 0;
  // Nobody could count before it ran, so nobody pays for it.
  if (counted === undefined && said > maxPromptTokens && said <= atMost) {
    throw engineError('engine.prompt_too_long');
  }
  const prompt = Math.min(said, atMost + COUNT_SLACK, maxPromptTokens);
  return { vectors: vectorsOf(data, inputs.length), prompt };
}

function vectorsOf(data: z.output<typeof ANSWER>['data'], count: number): readonly Float32Array[] {
  const byIndex = new Map(data.map(({ index, embedding }) => [index, embedding]));
  const dimensions = data[0]?.embedding.length;
  const isWhole = data.length === count && byIndex.size === count;
  return Array.from({ length: count }, (_, at) => {
    const numbers = byIndex.get(at);
    if (!isWhole || numbers === undefined || numbers.length !== dimensions) {
      throw upstreamError('vectors');
    }
    return unit(numbers);
  });
}

function unit(numbers: readonly number[]): Float32Array {
  const length = Math.hypot(...chunked(numbers));
  if (!Number.isFinite(length) || length === 0) throw upstreamError('vectors');
  return Float32Array.from(numbers, (number) => number / length);
}

/** The lengths of pieces: a call takes only so many arguments. */
function chunked(numbers: readonly number[]): readonly number[] {
  const pieces: number[] = [];
  for (let at = 0; at < numbers.length; at += PIECE) {
    pieces.push(Math.hypot(...numbers.slice(at, at + PIECE)));
  }
  return pieces;
}

const PIECE = 4096;

function failureOf(error: unknown): VeilError {
  if (hasCode(error, 'http.size'))
    return engineError('engine.answer_too_large', '', { cause: error });
  if (!(error instanceof VeilError)) return engineError('engine.failed', '', { cause: error });
  return error.code.startsWith('engine.') ? error : brokenBy(error);
}
