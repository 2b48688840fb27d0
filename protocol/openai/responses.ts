/**
 * POST /v1/responses in front of chat completions: a stateless subset, honoured exactly or refused by name. What the chat
 * surface has to judge it judges itself; its refusals come back with the names of this surface. Spec: OpenAI API reference
 * "Create a model response"; openai-gateway-and-engine §2.7.
 * @module
 */

import { z } from 'zod';
import {
  FREE_OBJECT,
  judgeRequest,
  refuseAt,
  type Judged,
  type RequestRefusal,
  type RequestRules,
} from '../judge-request.ts';
import { renamed, type Front, type FrontDecision } from './chat-front.ts';
import {
  chatJson,
  type ChatBody,
  type ChatResponseFormat,
  type ChatTool,
  type ChatToolChoice,
} from './chat-json.ts';
import { RESPONSES_PATH } from './endpoints.ts';
import { MODEL_ID_MAX_CHARS } from './envelope.ts';
import { openAiFailure, type OpenAiFailure } from './errors.ts';
import { SSE_PING } from './sse.ts';
import { ResponseEvents } from './response-events.ts';
import { wholeResponse, type ResponseEcho } from './response-object.ts';
import { conversationOf, INPUT, TEXT } from './responses-input.ts';

const TOKENS_MAX = 0x7fff_ffff;
const TOOLS_MAX = 1024;
const NAME_MAX_CHARS = 256;
const METADATA_MAX = 16;
const INCLUDES_MAX = 16;
const TEMPERATURE_MAX = 2;

const NAME = z.string().min(1).max(NAME_MAX_CHARS);
const SHORT = z.string().max(1024).nullish();

const FORMAT = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  z.strictObject({ type: z.literal('json_object') }),
  z.strictObject({
    type: z.literal('json_schema'),
    name: NAME,
    description: TEXT.nullish(),
    schema: FREE_OBJECT,
    strict: z.boolean().nullish(),
  }),
]);

type Format = z.infer<typeof FORMAT>;

const TOOL = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('function'),
    name: NAME,
    description: TEXT.nullish(),
    parameters: FREE_OBJECT.nullish(),
    strict: z.boolean().nullish(),
  }),
]);

type FunctionTool = z.infer<typeof TOOL>;

const TOOL_CHOICE = z.union([
  z.enum(['none', 'auto', 'required']),
  z.strictObject({ type: z.literal('function'), name: NAME }),
]);

const HONOURED = {
  model: z.string().min(1).max(MODEL_ID_MAX_CHARS),
  input: INPUT,
  instructions: TEXT.nullish(),
  max_output_tokens: z.int().min(1).max(TOKENS_MAX).nullish(),
  temperature: z.number().min(0).max(TEMPERATURE_MAX).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  tools: z.array(TOOL).max(TOOLS_MAX).nullish(),
  tool_choice: TOOL_CHOICE.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: z
    .strictObject({
      format: FORMAT.nullish(),
      verbosity: z.enum(['low', 'medium', 'high']).nullish(),
    })
    .nullish(),
  reasoning: z
    .strictObject({
      effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).nullish(),
      // Asks for a summary if there is one; there is none.
      summary: z.literal('auto').nullish(),
    })
    .nullish(),
  stream: z.boolean().nullish(),
  stream_options: z.strictObject({ include_obfuscation: z.boolean().nullish() }).nullish(),
  prompt_cache_key: SHORT,
  metadata: z
    .record(z.string().max(64), z.string().max(512))
    .refine((members) => Object.keys(members).length <= METADATA_MAX)
    .nullish(),
};

/** Accepted because they change nothing in the answer; their values are bounded and then dropped. */
const WITHOUT_EFFECT = {
  user: SHORT,
  safety_identifier: SHORT,
  prompt_cache_retention: SHORT,
  service_tier: z.enum(['auto', 'default']).nullish(),
  /** Counts calls of hosted tools, and there are none. */
  max_tool_calls: z.int().min(1).max(TOKENS_MAX).nullish(),
};

const SCHEMA = z.object({ ...HONOURED, ...WITHOUT_EFFECT });
type Fields = z.infer<typeof SCHEMA>;

const NOTHING = z.null();
const RULES: RequestRules<Fields> = {
  schema: SCHEMA,
  known: new Set(Object.keys(SCHEMA.shape)),
  neutralOnly: {
    store: z.literal(false),
    background: z.literal(false),
    previous_response_id: NOTHING,
    conversation: NOTHING,
    prompt: NOTHING,
    truncation: z.literal('disabled'),
    top_logprobs: z.literal(0),
    // There are no reasoning items, so none lacks its encrypted form.
    include: z.array(z.literal('reasoning.encrypted_content')).max(INCLUDES_MAX),
    context_management: NOTHING,
    prompt_cache_options: NOTHING,
    moderation: NOTHING,
    access_programs: NOTHING,
    image: NOTHING,
  },
};

function decodeFields(body: unknown): Judged<Fields> {
  const judged = judgeRequest(body, RULES);
  if (judged.outcome === 'refused') return judged;
  const { stream, stream_options: options } = judged.fields;
  if (options === null || options === undefined || stream === true) return judged;
  return refuseAt('invalid_value', 'stream_options');
}

/** `body` is untrusted JSON. */
function decodeResponsesRequest(body: unknown): FrontDecision {
  const judged = decodeFields(body);
  if (judged.outcome === 'refused') {
    return { outcome: 'refused', code: judged.code, failure: failureOf(judged, body) };
  }
  const { fields } = judged;
  const mode = fields.stream === true ? 'stream' : 'unary';
  const echo = echoOf(fields);
  return {
    outcome: 'decoded',
    request: {
      chat: chatJson(chatBodyOf(fields), mode),
      mode,
      whole: (completion) => wholeResponse(echo, completion),
      stream: () => new ResponseEvents(echo),
    },
  };
}

const NO_MEMORY =
  'Nothing is kept here between requests: send the whole conversation as items, with store: false.';
const NEEDS_MEMORY = new Set(['store', 'background', 'previous_response_id', 'conversation']);
const HAS_REFERENCES = z.looseObject({
  input: z.array(z.unknown()).refine((items) => items.some(isReference)),
});

/** What SDKs send unless they are told that nothing is stored. */
function isReference(item: unknown): boolean {
  return (
    typeof item === 'object' && item !== null && 'type' in item && item.type === 'item_reference'
  );
}

function failureOf({ code, path: param }: RequestRefusal, body: unknown): OpenAiFailure {
  if (param === undefined) return openAiFailure(code);
  const isReferred = /^input\.\d+\.type$/.test(param) && HAS_REFERENCES.safeParse(body).success;
  const needsMemory = code === 'unsupported_parameter' && (isReferred || NEEDS_MEMORY.has(param));
  return openAiFailure(code, needsMemory ? { param, message: NO_MEMORY } : { param });
}

function chatBodyOf(fields: Fields): ChatBody {
  return {
    model: fields.model,
    messages: conversationOf(fields.instructions, fields.input),
    max_completion_tokens: fields.max_output_tokens ?? undefined,
    temperature: fields.temperature ?? undefined,
    top_p: fields.top_p ?? undefined,
    tools: fields.tools?.map(chatTool),
    tool_choice: chatToolChoice(fields.tool_choice),
    parallel_tool_calls: fields.parallel_tool_calls ?? undefined,
    response_format: chatFormat(fields.text?.format),
    reasoning_effort: fields.reasoning?.effort ?? undefined,
    prompt_cache_key: fields.prompt_cache_key ?? undefined,
  };
}

function chatTool({ name, description, parameters, strict }: FunctionTool): ChatTool {
  return {
    type: 'function',
    function: {
      name,
      ...(typeof description === 'string' && { description }),
      ...(parameters && { parameters }),
      ...(typeof strict === 'boolean' && { strict }),
    },
  };
}

function chatToolChoice(choice: Fields['tool_choice']): ChatToolChoice | undefined {
  if (typeof choice !== 'object' || choice === null) return choice ?? undefined;
  return { type: 'function', function: { name: choice.name } };
}

function chatFormat(format: Format | null | undefined): ChatResponseFormat | undefined {
  if (format === null || format === undefined || format.type === 'text') return undefined;
  if (format.type === 'json_object') return { type: 'json_object' };
  const { name, description, schema, strict } = format;
  return {
    type: 'json_schema',
    json_schema: {
      name,
      ...(typeof description === 'string' && { description }),
      schema,
      ...(typeof strict === 'boolean' && { strict }),
    },
  };
}

function echoOf(fields: Fields): ResponseEcho {
  return {
    instructions: fields.instructions ?? null,
    metadata: fields.metadata ?? {},
    max_output_tokens: fields.max_output_tokens ?? null,
    temperature: fields.temperature ?? 1,
    top_p: fields.top_p ?? 1,
    tools: fields.tools ?? [],
    tool_choice: fields.tool_choice ?? 'auto',
    parallel_tool_calls: fields.parallel_tool_calls ?? true,
    text: { format: fields.text?.format ?? { type: 'text' } },
    reasoning: { effort: fields.reasoning?.effort ?? null, summary: null },
  };
}

/** What the chat surface names, in the words of this one. */
const NAMES = [
  [/^messages\b.*/, 'input'],
  [/^max_(?:completion_)?tokens$/, 'max_output_tokens'],
  [/^tools\.(\d+)\.function\b/, 'tools.$1'],
  [/^tool_choice\.function\b/, 'tool_choice'],
  [/^response_format\.json_schema\b/, 'text.format'],
  [/^response_format\b/, 'text.format'],
  [/^reasoning_effort$/, 'reasoning.effort'],
] as const;

function refusal(failure: OpenAiFailure): OpenAiFailure {
  const { error } = failure.body;
  const param = error.param === null ? null : renamed(error.param, NAMES);
  return { ...failure, body: { error: { ...error, param } } };
}

export const responsesFront: Front = {
  path: RESPONSES_PATH,
  decode: decodeResponsesRequest,
  refusal,
  ping: SSE_PING,
};
