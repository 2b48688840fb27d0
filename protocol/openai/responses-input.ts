/**
 * The input of a Responses request, item by item, and the conversation that it tells. Nothing is kept between requests, so
 * items that point at what was kept are refused. Spec: OpenAI API reference "Create a model response";
 * openai-gateway-and-engine §2.7.
 * @module
 */

import { z } from 'zod';
import type { ChatMessage } from './chat-json.ts';
import { ChatTurns } from './chat-turns.ts';

const ITEMS_MAX = 4096;
const PARTS_MAX = 1024;
/** Of one text; a request may hold several. */
const TEXT_MAX_CHARS = 8_388_608;
const ID_MAX_CHARS = 256;

export const TEXT = z.string().max(TEXT_MAX_CHARS);
const ID = z.string().min(1).max(ID_MAX_CHARS);
const STATUS = z.enum(['in_progress', 'completed', 'incomplete']).nullish();
const EMPTY = z.array(z.unknown()).max(0);
/** What the SDK adds to our own answer; apps send it back with the rest. */
const PARSED = z.unknown().optional();

const INPUT_TEXT = z.strictObject({ type: z.literal('input_text'), text: TEXT });
const OUTPUT_TEXT = z.strictObject({
  type: z.literal('output_text'),
  text: TEXT,
  annotations: EMPTY.nullish(),
  logprobs: EMPTY.nullish(),
  parsed: PARSED,
});
const PARTS = z
  .array(z.discriminatedUnion('type', [INPUT_TEXT, OUTPUT_TEXT]))
  .min(1)
  .max(PARTS_MAX);

const MESSAGE = z.strictObject({
  type: z.literal('message').optional(),
  role: z.enum(['user', 'assistant', 'system', 'developer']),
  content: z.union([TEXT, PARTS]),
  id: ID.nullish(),
  status: STATUS,
  phase: z.enum(['commentary', 'final_answer']).nullish(),
});
const CALL = z.strictObject({
  type: z.literal('function_call'),
  call_id: ID,
  name: ID,
  arguments: TEXT,
  id: ID.nullish(),
  status: STATUS,
  parsed_arguments: PARSED,
});
const CALL_OUTPUT = z.strictObject({
  type: z.literal('function_call_output'),
  call_id: ID,
  output: z.union([TEXT, z.array(INPUT_TEXT).min(1).max(PARTS_MAX)]),
  id: ID.nullish(),
  status: STATUS,
});

export const INPUT = z.union([
  TEXT,
  z
    .array(z.discriminatedUnion('type', [MESSAGE, CALL, CALL_OUTPUT]))
    .min(1)
    .max(ITEMS_MAX),
]);
export type ResponsesInput = z.infer<typeof INPUT>;
type Item = Exclude<ResponsesInput, string>[number];

export function conversationOf(
  instructions: string | null | undefined,
  input: ResponsesInput,
): readonly ChatMessage[] {
  const turns = new ChatTurns();
  if (instructions !== null && instructions !== undefined) turns.say('system', instructions);
  if (typeof input === 'string') turns.say('user', input);
  if (typeof input !== 'string') for (const item of input) tell(turns, item);
  return turns.messages();
}

function tell(turns: ChatTurns, item: Item): void {
  switch (item.type) {
    case 'function_call':
      turns.call(item.call_id, item.name, item.arguments);
      return;
    case 'function_call_output':
      turns.result(item.call_id, textOf(item.output));
      return;
    case 'message':
    case undefined:
      turns.say(item.role, textOf(item.content));
  }
}

function textOf(content: string | readonly { readonly text: string }[]): string {
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('');
}
