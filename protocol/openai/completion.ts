/**
 * What a chat request is answered with, whole or in chunks. Spec: OpenAI API reference "The chat completion object" and
 * "The chat completion chunk object"; openai-gateway-and-engine §2.3, §2.4.
 * @module
 */

import { toHex } from '../../core/bytes.ts';
import type { JsonObject } from '../../core/json.ts';
import {
  openAiUsage,
  type AnswerIdentity,
  type AnswerShape,
  type CallPiece,
  type FinishReason,
  type OpenAiUsage,
} from './answer-shape.ts';
import { COMPLETIONS_PATH, type EndpointPath } from './endpoints.ts';
import { chatLogprobs, type ChatLogprobs, type TokenLogprob } from './logprobs.ts';
import type { ToolCall } from './tools.ts';

/** The id shown to the app is the exchange's msg_id, so that app, receipt and ledger speak of the same thing. */
export function completionId(path: EndpointPath, msgId: Uint8Array): string {
  return `${path === COMPLETIONS_PATH ? 'cmpl' : 'chatcmpl'}-${toHex(msgId)}`;
}

export interface ToolCallJson {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

/** Id and name come once: SDKs throw when they change. */
export type ToolCallDelta =
  | (ToolCallJson & { readonly index: number })
  | { readonly index: number; readonly function: { readonly arguments: string } };

export interface ChatCompletion {
  readonly id: string;
  readonly object: 'chat.completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly {
    readonly index: number;
    readonly message: {
      readonly role: 'assistant';
      /** Null when there are calls and no words. */
      readonly content: string | null;
      readonly refusal: null;
      /** As DeepSeek's API names it, and most SDKs read it. Not of OpenAI's. */
      readonly reasoning_content?: string;
      readonly tool_calls?: readonly ToolCallJson[];
    };
    readonly logprobs: ChatLogprobs | null;
    readonly finish_reason: FinishReason;
  }[];
  readonly usage: OpenAiUsage;
  readonly system_fingerprint: string;
}

export interface ChatChunk {
  readonly id: string;
  readonly object: 'chat.completion.chunk';
  readonly created: number;
  readonly model: string;
  readonly system_fingerprint: string;
  readonly choices: readonly {
    readonly index: number;
    readonly delta: {
      readonly role?: 'assistant';
      readonly content?: string;
      readonly reasoning_content?: string;
      readonly tool_calls?: readonly ToolCallDelta[];
    };
    readonly logprobs: ChatLogprobs | null;
    readonly finish_reason: FinishReason | null;
  }[];
  readonly usage?: OpenAiUsage | null;
}

type ChunkChoice = ChatChunk['choices'][number];

export function chatShape(answer: AnswerIdentity, topLogprobs: number | undefined): AnswerShape {
  const logprobsOf = (tokens: readonly TokenLogprob[]): ChatLogprobs | null =>
    topLogprobs === undefined ? null : chatLogprobs(tokens);
  return {
    // Always first: SDK helpers throw when no role came.
    begin: (index) =>
      chunk(answer, {
        index,
        delta: { role: 'assistant', content: '' },
        logprobs: null,
        finish_reason: null,
      }),
    piece: (index, { text, tokens }) =>
      chunk(answer, {
        index,
        delta: { content: text },
        logprobs: logprobsOf(tokens),
        finish_reason: null,
      }),
    reasoning: (index, text) =>
      chunk(answer, {
        index,
        delta: { reasoning_content: text },
        logprobs: null,
        finish_reason: null,
      }),
    call: (index, piece) =>
      chunk(answer, {
        index,
        delta: { tool_calls: [callDelta(piece)] },
        logprobs: null,
        finish_reason: null,
      }),
    finish: (index, reason) =>
      chunk(answer, { index, delta: {}, logprobs: null, finish_reason: reason }),
    usage: (usage) => ({ ...chunk(answer), usage: openAiUsage(usage) }),
    whole: (choices, usage): ChatCompletion => ({
      id: answer.id,
      object: 'chat.completion',
      created: answer.created,
      model: answer.model,
      choices: choices.map(({ text, tokens, calls, reasoning, finishReason }, index) => ({
        index,
        message: { ...messageOf(text, calls), ...(reasoning && { reasoning_content: reasoning }) },
        logprobs: logprobsOf(tokens),
        finish_reason: finishReason,
      })),
      usage: openAiUsage(usage),
      system_fingerprint: answer.systemFingerprint,
    }),
  };
}

function callDelta(piece: CallPiece): ToolCallDelta {
  const { index } = piece;
  if (piece.kind === 'arguments') return { index, function: { arguments: piece.text } };
  const { id, name } = piece;
  return { index, id, type: 'function', function: { name, arguments: '' } };
}

function messageOf(
  text: string,
  calls: readonly ToolCall[],
): ChatCompletion['choices'][number]['message'] {
  if (calls.length === 0) return { role: 'assistant', content: text, refusal: null };
  return {
    role: 'assistant',
    content: text === '' ? null : text,
    refusal: null,
    tool_calls: calls.map(({ id, name, arguments: given }) => ({
      id,
      type: 'function',
      function: { name, arguments: given },
    })),
  };
}

function chunk(answer: AnswerIdentity, ...choices: readonly ChunkChoice[]): ChatChunk {
  return {
    id: answer.id,
    object: 'chat.completion.chunk',
    created: answer.created,
    model: answer.model,
    system_fingerprint: answer.systemFingerprint,
    choices,
  };
}

/** What a request cost, before `[DONE]`: a chunk without choices, as the one with the usage is. Not of OpenAI's. */
export interface SettlementChunk {
  readonly id: string;
  readonly object: 'chat.completion.chunk' | 'text_completion';
  readonly created: number;
  readonly model: string;
  readonly choices: readonly [];
  readonly x_settlement: JsonObject;
}

export function settlementChunk(
  path: EndpointPath,
  { id, created, model }: Omit<AnswerIdentity, 'systemFingerprint'>,
  settlement: JsonObject,
): SettlementChunk {
  const object = path === COMPLETIONS_PATH ? 'text_completion' : 'chat.completion.chunk';
  return { id, object, created, model, choices: [], x_settlement: settlement };
}
