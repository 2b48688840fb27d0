/**
 * A chat request as this product serves it: honoured exactly or refused with the name of what cannot be honoured,
 * never served with a part of it ignored in silence. Spec: OpenAI API reference "Create chat completion";
 * openai-gateway-and-engine §2.2.
 * @module
 */

import { z } from 'zod';
import { openAiFailure, type OpenAiFailure } from './errors.ts';

export interface ChatTurn {
  readonly role: 'system' | 'user' | 'assistant';
  /** Always text, never markup: control tokens spelled out in it stay text. */
  readonly content: string;
}

export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatTurn[];
  /** Absent: whatever room there is. */
  readonly maxOutputTokens: number | undefined;
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number | undefined;
  readonly stop: readonly string[];
  readonly mode: 'stream' | 'unary';
  readonly includeUsage: boolean;
}

/** What a worker card may promise and an engine can do. A request that needs more is refused, never trimmed. */
export const CHAT_CAPABILITIES = ['chat'] as const;
export type ChatCapability = (typeof CHAT_CAPABILITIES)[number];

export type ChatDecision =
  | { readonly outcome: 'decoded'; readonly request: ChatRequest }
  | { readonly outcome: 'refused'; readonly failure: OpenAiFailure };

const MESSAGES_MAX = 4096;
const PARTS_MAX = 1024;
/** The sealed request is at most 8 MiB, so no text in it is longer. */
const TEXT_MAX_CHARS = 8_388_608;
const MODEL_MAX_CHARS = 256;
const STOPS_MAX = 4;
const STOP_MAX_CHARS = 256;
const OUTPUT_TOKENS_MAX = 0x7fffffff;
const TEMPERATURE_MAX = 2;
const PARAM_MAX_CHARS = 96;

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
    content: CONTENT,
    // Apps send our own answer back as it was; these members are in it and say nothing.
    refusal: z.null().optional(),
    tool_calls: EMPTY.nullish(),
    annotations: EMPTY.nullish(),
  }),
]);

const TOKENS = z.int().min(1).max(OUTPUT_TOKENS_MAX);

const HONOURED = {
  model: z.string().min(1).max(MODEL_MAX_CHARS),
  messages: z.array(MESSAGE).min(1).max(MESSAGES_MAX),
  max_completion_tokens: TOKENS.nullish(),
  max_tokens: TOKENS.nullish(),
  temperature: z.number().min(0).max(TEMPERATURE_MAX).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  seed: z.int().nullish(),
  stop: z
    .union([
      z.string().min(1).max(STOP_MAX_CHARS),
      z.array(z.string().min(1).max(STOP_MAX_CHARS)).max(STOPS_MAX),
    ])
    .nullish(),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({
      include_usage: z.boolean().nullish(),
      include_obfuscation: z.boolean().nullish(),
    })
    .nullish(),
};

/** Accepted because they change nothing in the answer; their values are bounded and then dropped. */
const WITHOUT_EFFECT = {
  user: z.string().max(1024).nullish(),
  safety_identifier: z.string().max(1024).nullish(),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  service_tier: z.enum(['auto', 'default']).nullish(),
  verbosity: z.enum(['low', 'medium', 'high']).nullish(),
  prediction: z.unknown().optional(),
  store: z.literal(false).nullish(),
  prompt_cache_key: z.string().max(1024).nullish(),
  prompt_cache_retention: z.string().max(64).nullish(),
  prompt_cache_options: z.unknown().optional(),
};

const REQUEST = z.object({ ...HONOURED, ...WITHOUT_EFFECT });

/** Parameters that no engine here honours yet, each with the values that ask for nothing. */
const NEUTRAL_ONLY: Readonly<Record<string, z.ZodType>> = {
  n: z.literal(1),
  frequency_penalty: z.literal(0),
  presence_penalty: z.literal(0),
  logit_bias: z.strictObject({}),
  logprobs: z.literal(false),
  top_logprobs: z.literal(0),
  response_format: z.strictObject({ type: z.literal('text') }),
  tools: EMPTY,
  tool_choice: z.enum(['none', 'auto']),
  parallel_tool_calls: z.boolean(),
  reasoning_effort: z.literal('none'),
  modalities: z.array(z.literal('text')).max(1),
};

/** Known to OpenAI's API and served by nobody here. */
const NEVER = new Set(['audio', 'web_search_options', 'moderation', 'functions', 'function_call']);

const KNOWN = new Set([...Object.keys(HONOURED), ...Object.keys(WITHOUT_EFFECT)]);

/** `body` is untrusted JSON. What it refuses it names, never with the value that came. */
export function decodeChatRequest(body: unknown): ChatDecision {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    return refuse('invalid_value');
  }
  const unserved = firstUnserved(Object.entries(body));
  if (unserved !== undefined) return unserved;
  const parsed = REQUEST.safeParse(body);
  if (!parsed.success) return refuseIssue(parsed.error.issues[0]);
  const fields = parsed.data;
  const conflict = firstConflict(fields);
  if (conflict !== undefined) return refuse('invalid_value', conflict);
  return {
    outcome: 'decoded',
    request: {
      model: fields.model,
      messages: fields.messages.map(turnOf),
      maxOutputTokens: fields.max_completion_tokens ?? fields.max_tokens ?? undefined,
      temperature: fields.temperature ?? 1,
      topP: fields.top_p ?? 1,
      seed: fields.seed ?? undefined,
      stop: stopsOf(fields.stop),
      mode: fields.stream === true ? 'stream' : 'unary',
      includeUsage: fields.stream_options?.include_usage === true,
    },
  };
}

type Fields = z.infer<typeof REQUEST>;

function firstUnserved(members: readonly (readonly [string, unknown])[]): ChatDecision | undefined {
  for (const [name, value] of members) {
    if (KNOWN.has(name)) {
      if (name === 'store' && value === true) return refuse('unsupported_parameter', name);
      continue;
    }
    if (NEVER.has(name)) {
      if (value !== null) return refuse('unsupported_parameter', name);
      continue;
    }
    const neutral = Object.hasOwn(NEUTRAL_ONLY, name) ? NEUTRAL_ONLY[name] : undefined;
    if (neutral === undefined) return refuse('unknown_parameter', name);
    if (value !== null && !neutral.safeParse(value).success) {
      return refuse('unsupported_parameter', name);
    }
  }
  return undefined;
}

function firstConflict(fields: Fields): string | undefined {
  const { max_tokens: older, max_completion_tokens: newer } = fields;
  if (typeof older === 'number' && typeof newer === 'number' && older !== newer) {
    return 'max_tokens';
  }
  if (fields.stream_options !== null && fields.stream_options !== undefined) {
    return fields.stream === true ? undefined : 'stream_options';
  }
  return undefined;
}

function turnOf(message: Fields['messages'][number]): ChatTurn {
  const { role, content } = message;
  const text = typeof content === 'string' ? content : content.map((part) => part.text).join('');
  return { role: role === 'developer' ? 'system' : role, content: text };
}

function stopsOf(stop: Fields['stop']): readonly string[] {
  if (stop === null || stop === undefined) return [];
  return typeof stop === 'string' ? [stop] : stop;
}

function refuse(
  code: 'invalid_value' | 'unknown_parameter' | 'unsupported_parameter',
  param?: string,
): ChatDecision {
  const named = param === undefined || !isParamName(param) ? {} : { param };
  return { outcome: 'refused', failure: openAiFailure(code, named) };
}

/** A parameter's name goes back to the sender; text that could be content does not. */
function isParamName(param: string): boolean {
  return param.length <= PARAM_MAX_CHARS && /^[A-Za-z0-9_.-]+$/.test(param);
}

/** Members of a message or a part that exist in OpenAI's API and that nobody here can honour. */
const UNSERVED_MEMBERS = new Set(['name', 'audio', 'tool_calls', 'function_call', 'tool_call_id']);
const UNSERVED_ROLES = /^messages\.\d+\.role$/;
const UNSERVED_PARTS = /^messages\.\d+\.content\.\d+\.type$/;

function refuseIssue(issue: z.core.$ZodIssue | undefined): ChatDecision {
  if (issue === undefined) return refuse('invalid_value');
  const deepest = deepestIssue(issue);
  const path = deepest.path.map(String).join('.');
  if (deepest.code === 'unrecognized_keys') {
    const [key = ''] = deepest.keys;
    const code = UNSERVED_MEMBERS.has(key) ? 'unsupported_parameter' : 'unknown_parameter';
    return refuse(code, path === '' ? key : `${path}.${key}`);
  }
  if (UNSERVED_ROLES.test(path) || UNSERVED_PARTS.test(path)) {
    return refuse('unsupported_parameter', path);
  }
  return refuse('invalid_value', path);
}

interface FoundIssue {
  readonly code: string;
  readonly path: readonly PropertyKey[];
  readonly keys: readonly string[];
}

/** A union reports each branch; the branch that got furthest is the one that was meant. */
function deepestIssue(issue: z.core.$ZodIssue): FoundIssue {
  const here: FoundIssue = {
    code: issue.code,
    path: issue.path,
    keys: issue.code === 'unrecognized_keys' ? issue.keys : [],
  };
  if (issue.code !== 'invalid_union') return here;
  const inner = issue.errors
    .flat()
    .map(deepestIssue)
    .map((found) => ({ ...found, path: [...issue.path, ...found.path] }));
  return inner.reduce((best, found) => (found.path.length > best.path.length ? found : best), here);
}
