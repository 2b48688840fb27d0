/**
 * How an answer is said on the path that was asked: as chat and text completions say it, or through a surface in front of
 * chat. One for each answer. Spec: openai-gateway-and-engine §2.1, §2.4.
 * @module
 */

import type { StreamObject } from '../protocol/openai/answer-shape.ts';
import { chatAnswerError } from '../protocol/openai/chat-answer.ts';
import type { Front, FrontFailure, FrontRequest } from '../protocol/openai/chat-front.ts';
import type { OpenAiFailure } from '../protocol/openai/errors.ts';
import { SSE_DONE, SSE_PING, sseEvent } from '../protocol/openai/sse.ts';
import { typedEvents } from '../protocol/typed-event.ts';

export interface AnswerVoice {
  /** Throws `chat.answer`. */
  whole(answer: object): object;
  object(said: StreamObject): Uint8Array;
  /** Throws `chat.answer`. */
  done(): Uint8Array;
  readonly ping: Uint8Array;
  /** Before the status is out. */
  refusal(failure: OpenAiFailure): FrontFailure;
  /** After it. */
  failed(failure: OpenAiFailure): Uint8Array;
}

export const OPENAI_VOICE: AnswerVoice = {
  whole: (answer) => answer,
  object: sseEvent,
  done: () => SSE_DONE,
  ping: SSE_PING,
  refusal: (failure) => failure,
  failed: ({ body }) => sseEvent(body),
};

export function frontVoice(front: Front, request: FrontRequest): AnswerVoice {
  const stream = request.stream();
  return {
    whole: (answer) => request.whole(answer),
    object: (said) => typedEvents(stream.push(said)),
    done: () => {
      const events = stream.end();
      // It has failed before, and said so: nobody pays for it as for a whole answer.
      if (events.length === 0) throw chatAnswerError('chat.answer');
      return typedEvents(events);
    },
    ping: front.ping,
    refusal: (failure) => front.refusal(failure),
    failed: ({ body }) => typedEvents(stream.fail(body.error)),
  };
}
