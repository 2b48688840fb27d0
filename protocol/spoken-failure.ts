/**
 * A failure in the words of the surface that was asked, for whoever has to speak in place of a worker: the client, a gateway.
 * Spec: openai-gateway-and-engine §2.5; docs/surfaces.md.
 * @module
 */

import { utf8 } from '../core/bytes.ts';
import { anthropicError, anthropicFailure, typeInStream } from './anthropic/errors.ts';
import type { FrontFailure } from './openai/chat-front.ts';
import { MESSAGES_PATH, RESPONSES_PATH } from './openai/endpoints.ts';
import type { OpenAiFailure } from './openai/errors.ts';
import { sseEvent } from './openai/sse.ts';
import { typedEvents } from './typed-event.ts';

/** Before an answer has begun. The names of its parameters are the app's own already. */
export function spokenFailure(path: string, failure: OpenAiFailure): FrontFailure {
  return path === MESSAGES_PATH ? anthropicFailure(failure, failure.body.error.param) : failure;
}

/** In a stream, in place of its end. */
export function spokenEnd(path: string, { body }: OpenAiFailure): Uint8Array {
  const { message, type, param, code } = body.error;
  if (path === MESSAGES_PATH) {
    return typedEvents([{ ...anthropicError(typeInStream(type, code), message) }]);
  }
  if (path === RESPONSES_PATH) return typedEvents([{ type: 'error', code, message, param }]);
  return sseEvent(body);
}

/** What the money did, before a stream ends: a comment, because OpenAI's helper throws at an event that it does not know. */
export function spokenSettlement(settlement: object): Uint8Array {
  return utf8(`: x_settlement ${JSON.stringify(settlement)}\n\n`);
}
