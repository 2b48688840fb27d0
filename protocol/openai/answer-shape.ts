/**
 * How generated text is put into words for one endpoint, whole or in chunks. What generates knows nothing of it.
 * Spec: OpenAI API reference; openai-gateway-and-engine §2.3, §2.4.
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import { sha256 } from '#primitives';
import type { Usage } from '../receipt.ts';
import type { TokenLogprob } from './logprobs.ts';
import type { ToolCall } from './tools.ts';

export type FinishReason = 'stop' | 'length' | 'tool_calls' | 'content_filter';

export interface AnswerIdentity {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  readonly systemFingerprint: string;
}

export interface AnswerPiece {
  readonly text: string;
  /** Empty unless they were asked for. Their bytes are those of the text. */
  readonly tokens: readonly TokenLogprob[];
}

/** A call begins with its name; its arguments come after it, piece by piece. */
export type CallPiece =
  | { readonly kind: 'call'; readonly index: number; readonly id: string; readonly name: string }
  | { readonly kind: 'arguments'; readonly index: number; readonly text: string };

export interface WholeChoice extends AnswerPiece {
  readonly calls: readonly ToolCall[];
  /** What the model thought, where it tells. */
  readonly reasoning?: string;
  readonly finishReason: FinishReason;
}

/** One object of a stream. */
export type StreamObject = object;

export interface AnswerShape {
  /** Before anything else of the choice; undefined where the endpoint has no such object. */
  begin(choice: number): StreamObject | undefined;
  piece(choice: number, piece: AnswerPiece): StreamObject;
  /** Undefined where the endpoint has no place for what the model thinks. */
  reasoning(choice: number, text: string): StreamObject | undefined;
  /** Only where tools can be given. */
  call(choice: number, piece: CallPiece): StreamObject;
  /** The last object of the choice: what SDKs take as "this answer is complete". */
  finish(choice: number, reason: FinishReason): StreamObject;
  /** Only when asked for, after every choice. `choices` is there and empty: several SDKs throw without it. */
  usage(usage: Usage): StreamObject;
  whole(choices: readonly WholeChoice[], usage: Usage): object;
}

export interface OpenAiUsage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
  readonly completion_tokens_details: { readonly reasoning_tokens: number };
}

/** OpenAI counts cached within prompt and reasoning within completion; a receipt keeps the four apart. */
export function openAiUsage(usage: Usage): OpenAiUsage {
  const prompt = usage.prompt + usage.cached;
  const completion = usage.completion + usage.reasoning;
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: usage.cached },
    completion_tokens_details: { reasoning_tokens: usage.reasoning },
  };
}

const FINGERPRINT_BYTES = 6;

/** Binds the standard field to what served: the machine's image and the weights. */
export function systemFingerprint(imageDigest: Uint8Array, modelDigest: Uint8Array): string {
  return `fp_${toHex(sha256(imageDigest, modelDigest).subarray(0, FINGERPRINT_BYTES))}`;
}
