/**
 * What a chat request is answered with, whole or in chunks. Spec: OpenAI API reference "The chat completion object" and
 * "The chat completion chunk object"; openai-gateway-and-engine §2.3, §2.4.
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import type { JsonObject } from '../../core/json.ts';
import { sha256 } from '#primitives';
import type { Usage } from '../receipt.ts';

export type FinishReason = 'stop' | 'length';

export interface AnswerIdentity {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
  readonly systemFingerprint: string;
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

/** The id shown to the app is the exchange's msg_id, so that app, receipt and ledger speak of the same thing. */
export function completionId(msgId: Uint8Array): string {
  return `chatcmpl-${toHex(msgId)}`;
}

export interface ChatCompletion {
  readonly id: string;
  readonly object: 'chat.completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly [
    {
      readonly index: 0;
      readonly message: {
        readonly role: 'assistant';
        readonly content: string;
        readonly refusal: null;
      };
      readonly logprobs: null;
      readonly finish_reason: FinishReason;
    },
  ];
  readonly usage: OpenAiUsage;
  readonly system_fingerprint: string;
}

export function chatCompletion(
  answer: AnswerIdentity,
  content: string,
  finishReason: FinishReason,
  usage: Usage,
): ChatCompletion {
  return {
    id: answer.id,
    object: 'chat.completion',
    created: answer.created,
    model: answer.model,
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content, refusal: null },
        logprobs: null,
        finish_reason: finishReason,
      },
    ],
    usage: openAiUsage(usage),
    system_fingerprint: answer.systemFingerprint,
  };
}

export interface ChatChunk {
  readonly id: string;
  readonly object: 'chat.completion.chunk';
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
  readonly choices: readonly {
    readonly index: 0;
    readonly delta: { readonly role?: 'assistant'; readonly content?: string };
    readonly logprobs: null;
    readonly finish_reason: FinishReason | null;
  }[];
  readonly usage?: OpenAiUsage | null;
}

function chunk(answer: AnswerIdentity, choices: ChatChunk['choices']): ChatChunk {
  return {
    id: answer.id,
    object: 'chat.completion.chunk',
    created: answer.created,
    model: answer.model,
    system_fingerprint: answer.systemFingerprint,
    choices,
  };
}

/** Always first: SDK helpers throw when no role came. */
export function roleChunk(answer: AnswerIdentity): ChatChunk {
  const delta = { role: 'assistant', content: '' } as const;
  return chunk(answer, [{ index: 0, delta, logprobs: null, finish_reason: null }]);
}

export function textChunk(answer: AnswerIdentity, content: string): ChatChunk {
  return chunk(answer, [{ index: 0, delta: { content }, logprobs: null, finish_reason: null }]);
}

/** The last chunk with a choice: what SDKs take as "this answer is complete". */
export function finishChunk(answer: AnswerIdentity, finishReason: FinishReason): ChatChunk {
  return chunk(answer, [{ index: 0, delta: {}, logprobs: null, finish_reason: finishReason }]);
}

/** Only when asked for, after `finishChunk`. `choices` is there and empty: several SDKs throw without it. */
export function usageChunk(answer: AnswerIdentity, usage: Usage): ChatChunk {
  return { ...chunk(answer, []), usage: openAiUsage(usage) };
}

/** What a request cost, before `[DONE]`: a chunk without choices, as the one with the usage is. Not of OpenAI's. */
export interface SettlementChunk extends Omit<ChatChunk, 'system_fingerprint' | 'choices'> {
  readonly choices: readonly [];
  readonly x_settlement: JsonObject;
}

export function settlementChunk(
  { id, created, model }: Omit<AnswerIdentity, 'systemFingerprint'>,
  settlement: JsonObject,
): SettlementChunk {
  const object = 'chat.completion.chunk';
  return { id, object, created, model, choices: [], x_settlement: settlement };
}
