/**
 * A chat request as this product serves it: honoured exactly or refused with the name of what cannot be honoured,
 * never served with a part of it ignored in silence. Spec: OpenAI API reference "Create chat completion";
 * openai-gateway-and-engine §2.2.
 * @module
 */

import { z } from 'zod';
import { decodeBody, refuse, type BodyRules, type Decision } from './decode-body.ts';
import { MODEL_ID_MAX_CHARS } from './envelope.ts';
import { REASONING_EFFORT, TEMPLATE_ARGUMENTS, type TemplateArguments } from './reasoning.ts';
import {
  IDENTITY_FIELDS,
  SAMPLING_FIELDS,
  samplingOf,
  stopsOf,
  streamConflict,
  TOKENS,
  type Sampling,
} from './sampling.ts';
import {
  TOOL_CALL_ID,
  TOOL_CALLS,
  TOOL_FIELDS,
  toolConflict,
  toolingOf,
  type ToolCall,
  type Tooling,
} from './tools.ts';

/** Content is always text, never markup: control tokens spelled out in it stay text. */
export type ChatMessage =
  | { readonly role: 'system' | 'user'; readonly content: string }
  | {
      readonly role: 'assistant';
      readonly content: string;
      readonly toolCalls: readonly ToolCall[];
      /** What it thought, as an earlier answer told it. */
      readonly reasoning?: string;
    }
  /** What a tool answered to the call of that id, which is in the assistant's message before. */
  | { readonly role: 'tool'; readonly content: string; readonly toolCallId: string };

export interface ChatRequest extends Tooling {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly choices: number;
  /** Of each choice. Absent: whatever room there is. */
  readonly maxOutputTokens: number | undefined;
  readonly sampling: Sampling;
  readonly stop: readonly string[];
  /** So many of the likeliest tokens are told beside the one that was drawn; absent: nothing is told. */
  readonly topLogprobs: number | undefined;
  /** Absent: whatever the model does of itself. */
  readonly reasoningEffort?: string;
  /** Variables of the model's own template. */
  readonly templateArguments?: TemplateArguments;
  readonly mode: 'stream' | 'unary';
  readonly includeUsage: boolean;
  /** Divides what a client lets a worker reuse of its own earlier prompts. */
  readonly cacheKey: string | undefined;
}

export type ChatDecision = Decision<ChatRequest>;

const MESSAGES_MAX = 4096;
const PARTS_MAX = 1024;
/** Of one text; a request may hold several. */
const TEXT_MAX_CHARS = 8_388_608;
const TOP_LOGPROBS_MAX = 20;
const NAME_MAX_CHARS = 256;

const TEXT = z.string().max(TEXT_MAX_CHARS);
const PART = z.strictObject({ type: z.literal('text'), text: TEXT });
const CONTENT = z.union([TEXT, z.array(PART).min(1).max(PARTS_MAX)]);
const EMPTY = z.array(z.unknown()).max(0);

const MESSAGE = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content: CONTENT }),
  z.strictObject({ role: z.literal('developer'), content: CONTENT }),
  z.strictObject({ role: z.literal('user'), content: CONTENT }),
  z.strictObject({
    role: z.literal('assistant'),
    content: CONTENT.nullish(),
    // Apps send our own answer back as it was; these members are in it and say nothing.
    refusal: z.null().optional(),
    annotations: EMPTY.nullish(),
    reasoning_content: TEXT.nullish(),
    tool_calls: TOOL_CALLS.nullish(),
  }),
  z.strictObject({
    role: z.literal('tool'),
    content: CONTENT,
    tool_call_id: TOOL_CALL_ID,
    // Of the tool, as some SDKs say it; the id says it already.
    name: z.string().max(NAME_MAX_CHARS).nullish(),
  }),
]);

const HONOURED = {
  model: z.string().min(1).max(MODEL_ID_MAX_CHARS),
  messages: z.array(MESSAGE).min(1).max(MESSAGES_MAX),
  max_completion_tokens: TOKENS,
  max_tokens: TOKENS,
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(TOP_LOGPROBS_MAX).nullish(),
  reasoning_effort: REASONING_EFFORT.nullish(),
  chat_template_kwargs: TEMPLATE_ARGUMENTS.nullish(),
  ...SAMPLING_FIELDS,
  ...TOOL_FIELDS,
  prompt_cache_key: z.string().max(1024).nullish(),
};

/** Accepted because they change nothing in the answer; their values are bounded and then dropped. */
const WITHOUT_EFFECT = {
  ...IDENTITY_FIELDS,
  verbosity: z.enum(['low', 'medium', 'high']).nullish(),
  prediction: z.unknown().optional(),
  prompt_cache_retention: z.string().max(64).nullish(),
  prompt_cache_options: z.unknown().optional(),
};

const SCHEMA = z.object({ ...HONOURED, ...WITHOUT_EFFECT });
type Fields = z.infer<typeof SCHEMA>;

const RULES: BodyRules<Fields> = {
  schema: SCHEMA,
  known: new Set(Object.keys(SCHEMA.shape)),
  neutralOnly: {
    modalities: z.array(z.literal('text')).max(1),
  },
  never: new Set(['audio', 'web_search_options', 'moderation', 'functions', 'function_call']),
};

/** `body` is untrusted JSON. What it refuses it names, never with the value that came. */
export function decodeChatRequest(body: unknown): ChatDecision {
  const decoded = decodeBody(body, RULES);
  if (decoded.outcome === 'refused') return decoded;
  const { fields } = decoded;
  const { reasoning_effort: effort, chat_template_kwargs: template } = fields;
  const conflict = firstConflict(fields);
  if (conflict !== undefined) return refuse('invalid_value', conflict);
  return {
    outcome: 'decoded',
    request: {
      model: fields.model,
      messages: fields.messages.map(messageOf),
      choices: fields.n ?? 1,
      maxOutputTokens: fields.max_completion_tokens ?? fields.max_tokens ?? undefined,
      sampling: samplingOf(fields),
      stop: stopsOf(fields),
      topLogprobs: fields.logprobs === true ? (fields.top_logprobs ?? 0) : undefined,
      mode: fields.stream === true ? 'stream' : 'unary',
      includeUsage: fields.stream_options?.include_usage === true,
      ...(typeof effort === 'string' && { reasoningEffort: effort }),
      ...(template !== null && template !== undefined && { templateArguments: template }),
      cacheKey: fields.prompt_cache_key ?? undefined,
      ...toolingOf(fields),
    },
  };
}

function firstConflict(fields: Fields): string | undefined {
  const { max_tokens: older, max_completion_tokens: newer } = fields;
  if (typeof older === 'number' && typeof newer === 'number' && older !== newer) {
    return 'max_tokens';
  }
  if ((fields.top_logprobs ?? 0) > 0 && fields.logprobs !== true) return 'top_logprobs';
  return streamConflict(fields) ?? toolConflict(fields) ?? messageConflict(fields.messages);
}

/** Every call is answered once, right after it, and nothing else is. */
function messageConflict(messages: Fields['messages']): string | undefined {
  const open = new Set<string>();
  for (const [at, message] of messages.entries()) {
    if (message.role === 'tool') {
      if (!open.delete(message.tool_call_id)) return `messages.${at}.tool_call_id`;
      continue;
    }
    if (open.size > 0) return `messages.${at}.role`;
    if (message.role !== 'assistant') continue;
    const calls = message.tool_calls ?? [];
    if (calls.length === 0 && (message.content ?? undefined) === undefined) {
      return `messages.${at}.content`;
    }
    for (const { id } of calls) {
      if (open.has(id)) return `messages.${at}.tool_calls`;
      open.add(id);
    }
  }
  return open.size > 0 ? `messages.${messages.length - 1}.role` : undefined;
}

function messageOf(message: Fields['messages'][number]): ChatMessage {
  const content = textOf(message.content);
  if (message.role === 'tool') return { role: 'tool', content, toolCallId: message.tool_call_id };
  if (message.role !== 'assistant') {
    return { role: message.role === 'developer' ? 'system' : message.role, content };
  }
  const toolCalls = (message.tool_calls ?? []).map(({ id, function: call }) => ({ id, ...call }));
  const { reasoning_content: reasoning } = message;
  return { role: 'assistant', content, toolCalls, ...(reasoning && { reasoning }) };
}

function textOf(content: Fields['messages'][number]['content']): string {
  if (content === null || content === undefined) return '';
  return typeof content === 'string' ? content : content.map((part) => part.text).join('');
}
