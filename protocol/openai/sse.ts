/**
 * Server-sent events as OpenAI's API uses them. Spec: WHATWG HTML §9.2; openai-gateway-and-engine §2.4.
 * @module
 */

import { utf8 } from '../../core/bytes.ts';
import type { StreamObject } from './answer-shape.ts';

export const SSE_HEADERS = [
  ['content-type', 'text/event-stream; charset=utf-8'],
  ['cache-control', 'no-cache, no-transform'],
  ['x-accel-buffering', 'no'],
] as const satisfies readonly (readonly [string, string])[];

/** JSON escapes line breaks, so one event is always one `data:` line. */
export function sseEvent(data: StreamObject): Uint8Array {
  return utf8(`data: ${JSON.stringify(data)}\n\n`);
}

/** Exactly this text ends a stream that is complete, and only such a stream. */
export const SSE_DONE: Uint8Array = utf8('data: [DONE]\n\n');

/** A comment that readers skip; sent while the model is silent, because idle connections are cut. */
export const SSE_PING: Uint8Array = utf8(': ping\n\n');
