/**
 * A surface in front of chat completions: it turns its own requests into chat requests and chat's answers into its own.
 * Pure, so that it runs wherever the plaintext is. Spec: openai-gateway-and-engine §2.1.
 * @module
 */

import type { FreeObject, RefusalCode } from '../judge-request.ts';
import type { TypedEvent } from '../typed-event.ts';
import type { ChatFailure } from './chat-answer.ts';
import type { FrontPath } from './endpoints.ts';
import type { OpenAiFailure } from './errors.ts';

/** A refusal in the surface's own shape. */
export interface FrontFailure {
  readonly status: number;
  readonly body: object;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

export interface FrontRequest {
  /** The body of the chat request that stands for it. */
  readonly chat: FreeObject;
  readonly mode: 'stream' | 'unary';
  /** From a `chat.completion`. Throws `chat.answer`. */
  whole(completion: unknown): object;
  /** For one answer, once. */
  stream(): FrontStream;
}

/**
 * One answer on its way. After `end` and `fail`, and after a chunk that could not belong to it, it says nothing more. Only
 * `end` behind a finish reason and the usage says that the answer is complete.
 */
export interface FrontStream {
  /** A `chat.completion.chunk`, or the error object that stands in place of the end. */
  push(chunk: unknown): readonly TypedEvent[];
  /** Where chat says `[DONE]`. */
  end(): readonly TypedEvent[];
  fail(failure: ChatFailure): readonly TypedEvent[];
}

export type FrontDecision =
  | { readonly outcome: 'decoded'; readonly request: FrontRequest }
  | {
      readonly outcome: 'refused';
      readonly code: RefusalCode;
      readonly failure: FrontFailure;
    };

export interface Front {
  readonly path: FrontPath;
  decode(body: unknown): FrontDecision;
  /** What the chat surface, the worker or the way to it refused, in this surface's shape and with its names. */
  refusal(failure: OpenAiFailure): FrontFailure;
  /** Sent while the model is silent. */
  readonly ping: Uint8Array;
}

/** The first pattern that fits renames; a name without one is the same on both sides. */
export function renamed(
  name: string,
  names: readonly (readonly [pattern: RegExp, name: string])[],
): string {
  const fitting = names.find(([pattern]) => pattern.test(name));
  return fitting === undefined ? name : name.replace(...fitting);
}

/** Of a stream that ended without saying that it is complete, or that said what it must not. */
export const BROKEN_ANSWER: ChatFailure = {
  message: 'The answer broke off before it was complete.',
  type: 'server_error',
  param: null,
  code: 'answer_broken',
};
