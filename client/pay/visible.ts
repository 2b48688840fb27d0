/**
 * The texts of an answer that the app sees, whatever surface it comes in; what only repeats them or counts is left out.
 * Spec: OpenAI API reference "The chat completion object", "The completion object", "The response object", "Streaming
 * events"; Anthropic API reference "Create a Message", "Streaming messages".
 * @module
 */

import { z } from 'zod';

/** Of one choice. A call's texts are its name and its arguments. */
export interface Visible {
  readonly choice: number;
  readonly texts: readonly (string | null | undefined)[];
  /** Calls of tools that begin here. */
  readonly calls: number;
}

const TEXT = z.string().nullish();
const PART = z.looseObject({
  content: TEXT,
  refusal: TEXT,
  reasoning_content: TEXT,
  reasoning: TEXT,
  tool_calls: z
    .array(z.looseObject({ function: z.looseObject({ name: TEXT, arguments: TEXT }).nullish() }))
    .nullish(),
});
const CHAT = z.looseObject({
  choices: z.array(
    z.looseObject({
      index: z.number().nullish(),
      message: PART.nullish(),
      delta: PART.nullish(),
      text: TEXT,
      finish_reason: TEXT,
    }),
  ),
});

const ITEM = z.looseObject({
  type: z.string(),
  name: TEXT,
  arguments: TEXT,
  content: z.array(z.looseObject({ text: TEXT, refusal: TEXT })).nullish(),
});
const RESPONSE = z.looseObject({ object: z.literal('response'), output: z.array(ITEM) });

const BLOCK = z.looseObject({
  type: z.string(),
  text: TEXT,
  name: TEXT,
  input: z.unknown().optional(),
});
const MESSAGE = z.looseObject({ type: z.literal('message'), content: z.array(BLOCK) });

const EVENT = z.discriminatedUnion('type', [
  z.looseObject({ type: z.literal('response.output_text.delta'), delta: z.string() }),
  z.looseObject({ type: z.literal('response.function_call_arguments.delta'), delta: z.string() }),
  z.looseObject({ type: z.literal('response.output_item.added'), item: ITEM }),
  z.looseObject({ type: z.literal('content_block_start'), content_block: BLOCK }),
  z.looseObject({
    type: z.literal('content_block_delta'),
    delta: z.looseObject({ text: TEXT, partial_json: TEXT, thinking: TEXT }),
  }),
]);

/** Events that repeat what others have said, or say how the answer stands. */
const QUIET = new Set([
  'response.created',
  'response.in_progress',
  'response.content_part.added',
  'response.output_text.done',
  'response.content_part.done',
  'response.function_call_arguments.done',
  'response.output_item.done',
  'response.completed',
  'response.incomplete',
  'response.failed',
  'message_start',
  'content_block_stop',
  'message_delta',
  'message_stop',
  'ping',
]);
const TYPED = z.looseObject({ type: z.string() });

const CUT = z.union([
  z.looseObject({ object: z.literal('response'), status: z.literal('incomplete') }),
  z.looseObject({ type: z.literal('message'), stop_reason: z.literal('max_tokens') }),
]);

/** Whether a whole answer, or a choice in it, says that the bound on its length ended it. */
export function isCutShort(json: unknown): boolean {
  const chat = CHAT.safeParse(json);
  if (!chat.success) return CUT.safeParse(json).success;
  return chat.data.choices.some(({ finish_reason: reason }) => reason === 'length');
}

/** Undefined: of no form that is known here. */
export function visibleIn(json: unknown): readonly Visible[] | undefined {
  const chat = CHAT.safeParse(json);
  if (chat.success) return chat.data.choices.flatMap(ofChoice);
  const event = EVENT.safeParse(json);
  if (event.success) return [ofEvent(event.data)];
  const response = RESPONSE.safeParse(json);
  if (response.success) return response.data.output.map(ofItem);
  const message = MESSAGE.safeParse(json);
  if (message.success) return message.data.content.map(ofBlock);
  const typed = TYPED.safeParse(json);
  return typed.success && QUIET.has(typed.data.type) ? [] : undefined;
}

function ofChoice({
  index,
  message,
  delta,
  text,
}: z.output<typeof CHAT>['choices'][number]): readonly Visible[] {
  const choice = index ?? 0;
  const parts = [message, delta].flatMap((part) => (part ? [ofPart(choice, part)] : []));
  return typeof text === 'string' ? [...parts, { choice, texts: [text], calls: 0 }] : parts;
}

function ofPart(choice: number, part: z.output<typeof PART>): Visible {
  const called = (part.tool_calls ?? []).map((call) => call.function ?? {});
  return {
    choice,
    texts: [
      part.content,
      part.refusal,
      part.reasoning_content,
      part.reasoning,
      ...called.flatMap(({ name, arguments: given }) => [name, given]),
    ],
    calls: called.filter(({ name }) => typeof name === 'string' && name !== '').length,
  };
}

function ofItem({ type, name, arguments: given, content }: z.output<typeof ITEM>): Visible {
  const said = (content ?? []).flatMap(({ text, refusal }) => [text, refusal]);
  return { choice: 0, texts: [name, given, ...said], calls: type === 'function_call' ? 1 : 0 };
}

function ofBlock({ type, text, name, input }: z.output<typeof BLOCK>): Visible {
  // An input that has not begun is an empty object; it comes piece by piece.
  const isInput = typeof input === 'object' && input !== null && Object.keys(input).length > 0;
  const texts = [text, name, isInput ? asLongAsWritten(input) : undefined];
  return { choice: 0, texts, calls: type === 'tool_use' ? 1 : 0 };
}

/** The model's own text is not in the answer, and may have had a space at every place and an escape for every character. */
function asLongAsWritten(input: object): string {
  return JSON.stringify(input, undefined, 1).replaceAll(/[\u0080-\uffff]/g, '\\u0000');
}

function ofEvent(event: z.output<typeof EVENT>): Visible {
  if (event.type === 'response.output_item.added') return ofItem(event.item);
  if (event.type === 'content_block_start') return ofBlock(event.content_block);
  if (event.type !== 'content_block_delta') return { choice: 0, texts: [event.delta], calls: 0 };
  const { text, partial_json: input, thinking } = event.delta;
  return { choice: 0, texts: [text, input, thinking], calls: 0 };
}
