/**
 * Server-sent events whose name is the `type` of their data, as OpenAI's Responses and Anthropic's Messages have them.
 * Spec: WHATWG HTML §9.2; openai-gateway-and-engine §2.7.
 * @module
 */

import { utf8 } from '../core/bytes.ts';

export interface TypedEvent {
  /** Written by us, never taken from what came in. */
  readonly type: string;
  readonly [member: string]: unknown;
}

/** JSON escapes line breaks, so one event is always one `data:` line. */
export function typedEvents(events: readonly TypedEvent[]): Uint8Array {
  return utf8(
    events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(''),
  );
}
