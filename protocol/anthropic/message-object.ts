/**
 * The `message` object and its blocks. Spec: Anthropic API reference "Create a Message".
 * @module
 */

import { utf8 } from '../../core/bytes.ts';
import { parseJson } from '../../core/json.ts';
import {
  chatAnswerError,
  readCompletion,
  type AnsweredCall,
  type ChatCounts,
  type ChatEnd,
  type ChatHead,
} from '../openai/chat-answer.ts';
import { ANSWER_MAX_CHARS } from '../openai/chat-json.ts';
import { FREE_OBJECT, isBounded, type FreeObject } from '../judge-request.ts';

/** A character of the text is at most three bytes. */
const INPUT_MAX_BYTES = 3 * ANSWER_MAX_CHARS;

export type StopReason = 'end_turn' | 'max_tokens' | 'stop_sequence' | 'tool_use' | 'refusal';

export interface MessageStop {
  readonly stop_reason: StopReason;
  readonly stop_sequence: string | null;
  readonly stop_details: null;
}

/** `stops` are those of the request: chat says that a stop string ended the answer only where it says which. */
export function stopOf(
  { reason, stop }: ChatEnd,
  calls: number,
  stops: readonly string[],
): MessageStop {
  const matched = reason === 'stop' && stop !== undefined && stops.includes(stop) ? stop : null;
  return {
    stop_reason: reasonOf(reason, calls, matched),
    stop_sequence: matched,
    stop_details: null,
  };
}

function reasonOf(reason: ChatEnd['reason'], calls: number, matched: string | null): StopReason {
  if (reason === 'length') return 'max_tokens';
  if (reason === 'content_filter') return 'refusal';
  if (matched !== null) return 'stop_sequence';
  // A forced call ends some chats with `stop`.
  return calls > 0 ? 'tool_use' : 'end_turn';
}

export function textBlock(text: string): object {
  return { type: 'text', text, citations: null };
}

export function callBlock(
  call: { readonly id: string; readonly name: string },
  input: object,
): object {
  const caller = { type: 'direct' } as const;
  return { type: 'tool_use', id: call.id, name: call.name, input, caller };
}

/** Cached tokens are apart from the rest of the prompt here, not within it. */
export function countsJson({ prompt, cached, completion, reasoning }: ChatCounts): object {
  return {
    input_tokens: prompt - cached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: completion,
    output_tokens_details: { thinking_tokens: reasoning },
    server_tool_use: null,
  };
}

const NO_STOP = { stop_reason: null, stop_sequence: null, stop_details: null } as const;
const NO_COUNTS: ChatCounts = { prompt: 0, cached: 0, completion: 0, reasoning: 0 };

/** As a stream begins it: what it used is known at the end only. */
export function startedMessage(head: ChatHead): object {
  return messageObject(head, [], NO_STOP, NO_COUNTS);
}

function messageObject(
  head: ChatHead,
  content: readonly object[],
  stop: MessageStop | typeof NO_STOP,
  counts: ChatCounts,
): object {
  return {
    id: `msg_${head.id.replace(/^chatcmpl-/, '')}`,
    type: 'message',
    role: 'assistant',
    model: head.model,
    content,
    ...stop,
    container: null,
    diagnostics: null,
    usage: {
      ...countsJson(counts),
      cache_creation: null,
      inference_geo: null,
      service_tier: 'standard',
      speed: null,
    },
  };
}

/** Throws `chat.answer`. */
export function wholeMessage(stops: readonly string[], completion: unknown): object {
  const { head, text, calls, end, counts } = readCompletion(completion);
  const said = text === '' ? [] : [textBlock(text)];
  const last = end.reason === 'length' ? calls.at(-1) : undefined;
  const called = calls
    .filter((call) => call !== last || isWhole(call))
    .map((call) => callBlock(call, inputOf(call)));
  return messageObject(head, [...said, ...called], stopOf(end, calls.length, stops), counts);
}

/** Nobody may run a call of which a part is missing. */
function isWhole(call: AnsweredCall): boolean {
  return call.arguments.trim() !== '' && parsedInput(call) !== undefined;
}

/** Throws `chat.answer`. */
function inputOf(call: AnsweredCall): FreeObject {
  const input = call.arguments.trim() === '' ? {} : parsedInput(call);
  if (input === undefined) throw chatAnswerError('chat.answer', 'arguments');
  return input;
}

function parsedInput({ arguments: text }: AnsweredCall): FreeObject | undefined {
  try {
    const { success, data } = FREE_OBJECT.safeParse(parseJson(utf8(text), INPUT_MAX_BYTES));
    return success && isBounded(data) ? data : undefined;
  } catch {
    // The text is the model's; that it is no JSON is all that may be said of it.
    return undefined;
  }
}
