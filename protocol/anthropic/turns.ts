/**
 * The turns of a Messages request, block by block, and the conversation that they tell. Spec: Anthropic API reference
 * "Create a Message"; openai-gateway-and-engine §2.1.
 * @module
 */

import { z } from 'zod';
import { FREE_OBJECT, refuseAt, type RequestRefusal } from '../judge-request.ts';
import type { ChatMessage } from '../openai/chat-json.ts';
import { ChatTurns } from '../openai/chat-turns.ts';

const TURNS_MAX = 4096;
const BLOCKS_MAX = 1024;
/** Of one text; a request may hold several. */
const TEXT_MAX_CHARS = 8_388_608;
const ID_MAX_CHARS = 256;

export const TEXT = z.string().max(TEXT_MAX_CHARS);
const ID = z.string().min(1).max(ID_MAX_CHARS);

/** A hint about prices and speed: the answer is the same with and without. */
export const CACHE_CONTROL = z
  .strictObject({ type: z.literal('ephemeral'), ttl: z.enum(['5m', '1h']).nullish() })
  .nullish();

const TEXT_BLOCK = z.strictObject({
  type: z.literal('text'),
  text: TEXT,
  cache_control: CACHE_CONTROL,
  citations: z.array(z.unknown()).max(0).nullish(),
});
export const TEXT_BLOCKS = z.array(z.discriminatedUnion('type', [TEXT_BLOCK])).max(BLOCKS_MAX);

const CALL_BLOCK = z.strictObject({
  type: z.literal('tool_use'),
  id: ID,
  name: ID,
  input: FREE_OBJECT,
  cache_control: CACHE_CONTROL,
  // Our own answer says so, and apps send it back.
  caller: z.strictObject({ type: z.literal('direct') }).nullish(),
});
const RESULT_BLOCK = z.strictObject({
  type: z.literal('tool_result'),
  tool_use_id: ID,
  content: z.union([TEXT, TEXT_BLOCKS]).nullish(),
  is_error: z.boolean().nullish(),
  cache_control: CACHE_CONTROL,
});

const USER = z.strictObject({
  role: z.literal('user'),
  content: z.union([
    TEXT,
    z
      .array(z.discriminatedUnion('type', [TEXT_BLOCK, RESULT_BLOCK]))
      .min(1)
      .max(BLOCKS_MAX),
  ]),
});
const ASSISTANT = z.strictObject({
  role: z.literal('assistant'),
  content: z.union([
    TEXT,
    z.array(z.discriminatedUnion('type', [TEXT_BLOCK, CALL_BLOCK])).max(BLOCKS_MAX),
  ]),
});

export const TURNS = z
  .array(z.discriminatedUnion('role', [USER, ASSISTANT]))
  .min(1)
  .max(TURNS_MAX);
type Turn = z.infer<typeof TURNS>[number];
type UserTurn = Extract<Turn, { role: 'user' }>;
type AssistantTurn = Extract<Turn, { role: 'assistant' }>;
type Result = z.infer<typeof RESULT_BLOCK>;

export type SystemPrompt = string | z.infer<typeof TEXT_BLOCKS> | null | undefined;

/** What the schema cannot say: whose turn is last, and what stands first in one. */
export function refusedTurn(turns: readonly Turn[]): RequestRefusal | undefined {
  // A model that is given the beginning of its own answer would have to go on from there; chat starts a new turn.
  if (turns.at(-1)?.role === 'assistant') {
    return refuseAt('unsupported_parameter', `messages.${turns.length - 1}.role`);
  }
  for (const [at, turn] of turns.entries()) {
    if (turn.role !== 'user' || typeof turn.content === 'string') continue;
    const late = turn.content.findLastIndex(({ type }) => type === 'tool_result');
    const early = turn.content.findIndex(({ type }) => type === 'text');
    if (early !== -1 && early < late) {
      return refuseAt('invalid_value', `messages.${at}.content.${late}`);
    }
  }
  return undefined;
}

export function conversationOf(
  system: SystemPrompt,
  turns: readonly Turn[],
): readonly ChatMessage[] {
  const chat = new ChatTurns();
  const instructions = textOf(system);
  if (instructions !== '') chat.say('system', instructions);
  for (const turn of turns) {
    if (turn.role === 'user') tellUser(chat, turn);
    if (turn.role === 'assistant') tellAssistant(chat, turn);
  }
  return chat.messages();
}

function tellUser(chat: ChatTurns, { content }: UserTurn): void {
  if (typeof content === 'string') {
    chat.say('user', content);
    return;
  }
  const said = content.filter((block) => block.type === 'text');
  for (const block of content) {
    if (block.type === 'tool_result') chat.result(block.tool_use_id, resultText(block));
  }
  if (said.length > 0) chat.say('user', textOf(said));
}

/** Chat has no mark for a call that failed, so the text says it. */
function resultText({ content, is_error: failed }: Result): string {
  const text = textOf(content);
  return failed === true ? `Error: ${text}` : text;
}

function tellAssistant(chat: ChatTurns, { content }: AssistantTurn): void {
  if (typeof content === 'string') {
    chat.say('assistant', content);
    return;
  }
  const said = content.filter((block) => block.type === 'text');
  const calls = content.filter((block) => block.type === 'tool_use');
  if (said.length > 0 || calls.length === 0) chat.say('assistant', textOf(said));
  for (const { id, name, input } of calls) chat.call(id, name, JSON.stringify(input));
}

function textOf(content: SystemPrompt): string {
  if (content === null || content === undefined) return '';
  return typeof content === 'string' ? content : content.map(({ text }) => text).join('');
}
