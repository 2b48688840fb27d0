/**
 * Reads what chat completions answers, whole or chunk by chunk, for the surfaces in front of it. Strict: one choice, calls
 * one after the other, one end, and usage behind it; whatever else comes is no answer. Spec: openai-gateway-and-engine
 * §2.3, §2.4.
 * @module
 */

import type { z } from 'zod';
import { defineErrors } from '../../core/errors.ts';
import {
  ANSWER_MAX_CHARS,
  CALLS_MAX,
  CHAT_CHUNK,
  CHAT_COMPLETION,
  CHAT_ERROR,
  type CHAT_USAGE,
  type ChatFinish,
} from './chat-json.ts';

export const chatAnswerError = defineErrors({
  'chat.answer': {
    status: 502,
    recovery: 'stop',
    public: 'The answer of the model is not of the form that was agreed on.',
  },
});

export interface ChatHead {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}

export interface ChatCounts {
  /** Cached ones included. */
  readonly prompt: number;
  readonly cached: number;
  /** Reasoning included. */
  readonly completion: number;
  readonly reasoning: number;
}

export interface ChatEnd {
  readonly reason: ChatFinish;
  /** The stop string that ended it, where the chat surface says which. */
  readonly stop: string | undefined;
}

export interface AnsweredCall {
  readonly id: string;
  readonly name: string;
  /** JSON as text, cut where the answer was cut. */
  readonly arguments: string;
}

export interface ChatAnswer {
  readonly head: ChatHead;
  readonly text: string;
  readonly calls: readonly AnsweredCall[];
  readonly end: ChatEnd;
  readonly counts: ChatCounts;
}

/** Throws `chat.answer`. */
export function readCompletion(completion: unknown): ChatAnswer {
  const decoded = CHAT_COMPLETION.safeParse(completion);
  if (!decoded.success) throw chatAnswerError('chat.answer');
  const { id, created, model, choices, usage } = decoded.data;
  const [{ message, finish_reason: reason, stop_reason: stop }] = choices;
  const calls = (message.tool_calls ?? []).map((call) => ({ id: call.id, ...call.function }));
  const text = message.content ?? '';
  const chars = calls.reduce((sum, call) => sum + call.arguments.length, text.length);
  if (chars > ANSWER_MAX_CHARS) throw chatAnswerError('chat.answer', 'size');
  return {
    head: { id, created, model },
    text,
    calls,
    end: { reason, stop: typeof stop === 'string' ? stop : undefined },
    counts: countsOf(usage),
  };
}

function countsOf(usage: z.infer<typeof CHAT_USAGE>): ChatCounts {
  const { prompt_tokens: prompt, completion_tokens: completion } = usage;
  const cached = usage.prompt_tokens_details?.cached_tokens ?? 0;
  const reasoning = usage.completion_tokens_details?.reasoning_tokens ?? 0;
  if (cached > prompt || reasoning > completion) throw chatAnswerError('chat.answer', 'usage');
  return { prompt, cached, completion, reasoning };
}

export type ChatStep =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'call'; readonly id: string; readonly name: string }
  /** Of the call that began last. */
  | { readonly kind: 'arguments'; readonly text: string };

export interface ChatFailure {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

/** The error object that a chat stream ends with when it fails; undefined for any other chunk. */
export function readFailure(chunk: unknown): ChatFailure | undefined {
  const decoded = CHAT_ERROR.safeParse(chunk);
  if (!decoded.success) return undefined;
  const { message, type, param, code } = decoded.data.error;
  return { message, type, param: param ?? null, code: code ?? null };
}

type ChunkChoice = z.infer<typeof CHAT_CHUNK>['choices'][number];
type CallDelta = NonNullable<ChunkChoice['delta']['tool_calls']>[number];

/** One chat stream. Each `push` throws `chat.answer` when the chunk cannot belong to it. */
export class ChatStreamReader {
  #head: ChatHead | undefined;
  #end: ChatEnd | undefined;
  #counts: ChatCounts | undefined;
  #call: { readonly id: string; readonly name: string } | undefined;
  #calls = 0;
  /** Whether the call that began last may still grow: text behind it closes it. */
  #inCall = false;
  #chars = 0;

  get head(): ChatHead | undefined {
    return this.#head;
  }

  /** Undefined until the answer said that it is complete and what it used: whatever ends before that is cut. */
  get ending(): { readonly end: ChatEnd; readonly counts: ChatCounts } | undefined {
    if (this.#end === undefined || this.#counts === undefined) return undefined;
    return { end: this.#end, counts: this.#counts };
  }

  push(chunk: unknown): readonly ChatStep[] {
    const decoded = CHAT_CHUNK.safeParse(chunk);
    if (!decoded.success) throw chatAnswerError('chat.answer');
    const { id, created, model, choices, usage } = decoded.data;
    this.#head ??= { id, created, model };
    const steps = choices.flatMap((choice) => this.#choice(choice));
    if (usage !== null && usage !== undefined) this.#counts = countsOf(usage);
    return steps;
  }

  #choice({ delta, finish_reason: reason, stop_reason: stop }: ChunkChoice): readonly ChatStep[] {
    const steps: ChatStep[] = [];
    if (delta.content !== null && delta.content !== undefined && delta.content !== '') {
      this.#inCall = false;
      steps.push({ kind: 'text', text: this.#counted(delta.content) });
    }
    for (const call of delta.tool_calls ?? []) steps.push(...this.#callDelta(call));
    if (this.#end !== undefined && steps.length > 0) throw chatAnswerError('chat.answer', 'end');
    if (reason === null || reason === undefined) return steps;
    if (this.#end !== undefined) throw chatAnswerError('chat.answer', 'end');
    this.#end = { reason, stop: typeof stop === 'string' ? stop : undefined };
    return steps;
  }

  #callDelta({ index, id, function: called }: CallDelta): readonly ChatStep[] {
    const steps: ChatStep[] = [];
    if (index === this.#calls && index < CALLS_MAX) {
      steps.push(this.#beginCall(id, called?.name));
    } else if (!this.#inCall || index !== this.#calls - 1 || !this.#isSame(id, called?.name)) {
      throw chatAnswerError('chat.answer', 'call');
    }
    const text = called?.arguments ?? '';
    if (text !== '') steps.push({ kind: 'arguments', text: this.#counted(text) });
    return steps;
  }

  #beginCall(id: string | null | undefined, name: string | null | undefined): ChatStep {
    if (!isSaid(id) || !isSaid(name)) throw chatAnswerError('chat.answer', 'call');
    this.#calls++;
    this.#inCall = true;
    this.#call = { id, name };
    return { kind: 'call', id, name };
  }

  #isSame(id: string | null | undefined, name: string | null | undefined): boolean {
    const call = this.#call;
    return (!isSaid(id) || id === call?.id) && (!isSaid(name) || name === call?.name);
  }

  #counted(text: string): string {
    this.#chars += text.length;
    if (this.#chars > ANSWER_MAX_CHARS) throw chatAnswerError('chat.answer', 'size');
    return text;
  }
}

function isSaid(text: string | null | undefined): text is string {
  return text !== null && text !== undefined && text !== '';
}
