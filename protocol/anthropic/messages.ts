/**
 * POST /v1/messages in front of chat completions: text and tools, whole and streamed, honoured exactly or refused with the
 * path. What the chat surface has to judge it judges itself; its refusals come back with the names of this surface.
 * Spec: Anthropic API reference "Create a Message"; openai-gateway-and-engine §2.1.
 * @module
 */

import { z } from 'zod';
import {
  FREE_OBJECT,
  judgeRequest,
  type Judged,
  type RequestRefusal,
  type RequestRules,
} from '../judge-request.ts';
import {
  renamed,
  type Front,
  type FrontDecision,
  type FrontFailure,
} from '../openai/chat-front.ts';
import {
  chatJson,
  type ChatBody,
  type ChatTool,
  type ChatToolChoice,
} from '../openai/chat-json.ts';
import { MESSAGES_PATH } from '../openai/endpoints.ts';
import { MODEL_ID_MAX_CHARS } from '../openai/envelope.ts';
import { openAiFailure, type OpenAiFailure } from '../openai/errors.ts';
import { typedEvents } from '../typed-event.ts';
import { anthropicFailure } from './errors.ts';
import { MessageEvents } from './message-events.ts';
import { wholeMessage } from './message-object.ts';
import { CACHE_CONTROL, conversationOf, refusedTurn, TEXT, TEXT_BLOCKS, TURNS } from './turns.ts';

const TOKENS_MAX = 0x7fff_ffff;
const TOOLS_MAX = 1024;
const NAME_MAX_CHARS = 256;
const STOPS_MAX = 256;
const STOP_MAX_CHARS = 1024;

const NAME = z.string().min(1).max(NAME_MAX_CHARS);

const TOOL = z.strictObject({
  type: z.literal('custom').nullish(),
  name: NAME,
  description: TEXT.nullish(),
  input_schema: FREE_OBJECT,
  strict: z.boolean().nullish(),
  cache_control: CACHE_CONTROL,
  // The input of every tool is streamed as it is written.
  eager_input_streaming: z.boolean().nullish(),
});

const ONE_AT_A_TIME = z.boolean().nullish();
const TOOL_CHOICE = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('auto'), disable_parallel_tool_use: ONE_AT_A_TIME }),
  z.strictObject({ type: z.literal('any'), disable_parallel_tool_use: ONE_AT_A_TIME }),
  z.strictObject({
    type: z.literal('tool'),
    name: NAME,
    disable_parallel_tool_use: ONE_AT_A_TIME,
  }),
  z.strictObject({ type: z.literal('none') }),
]);

const HONOURED = {
  model: z.string().min(1).max(MODEL_ID_MAX_CHARS),
  messages: TURNS,
  max_tokens: z.int().min(1).max(TOKENS_MAX),
  system: z.union([TEXT, TEXT_BLOCKS]).nullish(),
  stop_sequences: z.array(z.string().min(1).max(STOP_MAX_CHARS)).max(STOPS_MAX).nullish(),
  temperature: z.number().min(0).max(1).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  // The chat surface honours or refuses it.
  top_k: z.int().min(0).max(TOKENS_MAX).nullish(),
  tools: z.array(TOOL).max(TOOLS_MAX).nullish(),
  tool_choice: TOOL_CHOICE.nullish(),
  output_config: z
    .strictObject({
      effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).nullish(),
      format: z
        .discriminatedUnion('type', [
          z.strictObject({ type: z.literal('json_schema'), schema: FREE_OBJECT }),
        ])
        .nullish(),
    })
    .nullish(),
  stream: z.boolean().nullish(),
};

/** Accepted because they change nothing in the answer; their values are bounded and then dropped. */
const WITHOUT_EFFECT = {
  metadata: z.strictObject({ user_id: z.string().max(1024).nullish() }).nullish(),
  service_tier: z.enum(['auto', 'standard_only']).nullish(),
  cache_control: CACHE_CONTROL,
};

const SCHEMA = z.object({ ...HONOURED, ...WITHOUT_EFFECT });
type Fields = z.infer<typeof SCHEMA>;

const NOTHING = z.null();
const RULES: RequestRules<Fields> = {
  schema: SCHEMA,
  known: new Set(Object.keys(SCHEMA.shape)),
  neutralOnly: {
    thinking: z.strictObject({ type: z.literal('disabled') }),
    speed: z.literal('standard'),
    container: NOTHING,
    context_management: NOTHING,
    mcp_servers: z.array(z.unknown()).max(0),
    inference_geo: NOTHING,
    diagnostics: NOTHING,
    output_format: NOTHING,
    user_profile_id: NOTHING,
    workspace_id: NOTHING,
  },
};

function decodeFields(body: unknown): Judged<Fields> {
  const judged = judgeRequest(body, RULES);
  if (judged.outcome === 'refused') return judged;
  return refusedTurn(judged.fields.messages) ?? judged;
}

/** `body` is untrusted JSON. */
function decodeMessagesRequest(body: unknown): FrontDecision {
  const judged = decodeFields(body);
  if (judged.outcome === 'refused') {
    return { outcome: 'refused', code: judged.code, failure: failureOf(judged) };
  }
  const { fields } = judged;
  const mode = fields.stream === true ? 'stream' : 'unary';
  const stops = fields.stop_sequences ?? [];
  return {
    outcome: 'decoded',
    request: {
      chat: chatJson(chatBodyOf(fields), mode),
      mode,
      whole: (completion) => wholeMessage(stops, completion),
      stream: () => new MessageEvents(stops),
    },
  };
}

function failureOf({ code, path }: RequestRefusal): FrontFailure {
  return anthropicFailure(openAiFailure(code), path ?? null);
}

function chatBodyOf(fields: Fields): ChatBody {
  const { tool_choice: choice, output_config: output } = fields;
  return {
    model: fields.model,
    messages: conversationOf(fields.system, fields.messages),
    max_completion_tokens: fields.max_tokens,
    temperature: fields.temperature ?? undefined,
    top_p: fields.top_p ?? undefined,
    top_k: fields.top_k ?? undefined,
    stop: fields.stop_sequences?.length === 0 ? undefined : (fields.stop_sequences ?? undefined),
    tools: fields.tools?.map(chatTool),
    tool_choice: chatToolChoice(choice),
    parallel_tool_calls: isOneAtATime(choice) ? false : undefined,
    response_format: output?.format
      ? {
          type: 'json_schema',
          json_schema: { name: 'output', schema: output.format.schema, strict: true },
        }
      : undefined,
    reasoning_effort: output?.effort ?? undefined,
  };
}

function chatTool({
  name,
  description,
  input_schema: parameters,
  strict,
}: z.infer<typeof TOOL>): ChatTool {
  return {
    type: 'function',
    function: {
      name,
      ...(typeof description === 'string' && { description }),
      parameters,
      ...(typeof strict === 'boolean' && { strict }),
    },
  };
}

function chatToolChoice(choice: Fields['tool_choice']): ChatToolChoice | undefined {
  if (choice === null || choice === undefined) return undefined;
  if (choice.type === 'tool') return { type: 'function', function: { name: choice.name } };
  return choice.type === 'any' ? 'required' : choice.type;
}

function isOneAtATime(choice: Fields['tool_choice']): boolean {
  if (choice === null || choice === undefined || choice.type === 'none') return false;
  return choice.disable_parallel_tool_use === true;
}

/** What the chat surface names, in the words of this one. */
const NAMES = [
  [/^messages\b.*/, 'messages'],
  [/^max_completion_tokens$/, 'max_tokens'],
  [/^stop\b/, 'stop_sequences'],
  [/^tools\.(\d+)\.function\.parameters\b/, 'tools.$1.input_schema'],
  [/^tools\.(\d+)\.function\b/, 'tools.$1'],
  [/^tool_choice\.function\b/, 'tool_choice'],
  [/^parallel_tool_calls$/, 'tool_choice.disable_parallel_tool_use'],
  [/^response_format\.json_schema\b/, 'output_config.format'],
  [/^response_format\b/, 'output_config.format'],
  [/^reasoning_effort$/, 'output_config.effort'],
] as const;

function refusal(failure: OpenAiFailure): FrontFailure {
  const { param } = failure.body.error;
  return anthropicFailure(failure, param === null ? null : renamed(param, NAMES));
}

export const messagesFront: Front = {
  path: MESSAGES_PATH,
  decode: decodeMessagesRequest,
  refusal,
  ping: typedEvents([{ type: 'ping' }]),
};
