/**
 * The JSON of chat completions as the surfaces in front of it write it, and the bounds of what they read of it. The chat
 * surface judges what it is given; these surfaces only translate. Spec: OpenAI API reference "Create chat completion",
 * "The chat completion object", "The chat completion chunk object".
 * @module
 */

import { z } from 'zod';
import type { FreeObject } from '../judge-request.ts';
import { MODEL_ID_MAX_CHARS } from './envelope.ts';

export interface ChatCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

export type ChatMessage =
  | { readonly role: 'system' | 'developer' | 'user'; readonly content: string }
  | {
      readonly role: 'assistant';
      readonly content: string | null;
      readonly tool_calls?: readonly ChatCall[];
    }
  | { readonly role: 'tool'; readonly tool_call_id: string; readonly content: string };

export interface ChatTool {
  readonly type: 'function';
  readonly function: {
    readonly name: string;
    readonly description?: string;
    readonly parameters?: FreeObject;
    readonly strict?: boolean;
  };
}

export type ChatToolChoice =
  | 'none'
  | 'auto'
  | 'required'
  | { readonly type: 'function'; readonly function: { readonly name: string } };

export type ChatResponseFormat =
  | { readonly type: 'json_object' }
  | {
      readonly type: 'json_schema';
      readonly json_schema: {
        readonly name: string;
        readonly description?: string;
        readonly schema: FreeObject;
        readonly strict?: boolean;
      };
    };

/** What a request to chat completions may have; `chatJson` makes its body. */
export interface ChatBody {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly max_completion_tokens: number | undefined;
  readonly temperature: number | undefined;
  readonly top_p: number | undefined;
  readonly top_k?: number | undefined;
  readonly stop?: readonly string[] | undefined;
  readonly tools: readonly ChatTool[] | undefined;
  readonly tool_choice: ChatToolChoice | undefined;
  readonly parallel_tool_calls: boolean | undefined;
  readonly response_format: ChatResponseFormat | undefined;
  readonly reasoning_effort: string | undefined;
  readonly prompt_cache_key?: string | undefined;
}

/** Usage is always asked for: these surfaces always tell it. */
const STREAMED = { stream: true, stream_options: { include_usage: true } } as const;

/** Members that were not asked for are not there, so that nothing but what was asked is judged. */
export function chatJson(body: ChatBody, mode: 'stream' | 'unary'): FreeObject {
  const asked = Object.entries(body).filter(([, value]) => value !== undefined);
  return { ...Object.fromEntries(asked), ...(mode === 'stream' && STREAMED) };
}

/** Of an answer, text and arguments together: it is told several times over, and held until it ends. */
export const ANSWER_MAX_CHARS = 8_388_608;
export const CALLS_MAX = 128;
const NAME_MAX_CHARS = 256;

const NAME = z.string().max(NAME_MAX_CHARS);
const PIECE = z.string().max(ANSWER_MAX_CHARS);
const COUNT = z.int().min(0);

export const CHAT_USAGE = z.object({
  prompt_tokens: COUNT,
  completion_tokens: COUNT,
  prompt_tokens_details: z.object({ cached_tokens: COUNT.nullish() }).nullish(),
  completion_tokens_details: z.object({ reasoning_tokens: COUNT.nullish() }).nullish(),
});

const FINISH = z.enum(['stop', 'length', 'tool_calls', 'content_filter']);
export type ChatFinish = z.infer<typeof FINISH>;

const HEAD = {
  id: NAME.min(1),
  created: COUNT,
  model: z.string().min(1).max(MODEL_ID_MAX_CHARS),
};

export const CHAT_COMPLETION = z.object({
  ...HEAD,
  choices: z.tuple([
    z.object({
      index: z.literal(0),
      message: z.object({
        role: z.literal('assistant'),
        content: PIECE.nullish(),
        refusal: z.null().optional(),
        tool_calls: z
          .array(
            z.object({
              id: NAME.min(1),
              type: z.literal('function'),
              function: z.object({ name: NAME.min(1), arguments: PIECE }),
            }),
          )
          .max(CALLS_MAX)
          .nullish(),
      }),
      finish_reason: FINISH,
      stop_reason: z.unknown().optional(),
    }),
  ]),
  usage: CHAT_USAGE,
});

const CHOICE_CHUNK = z.object({
  index: z.literal(0),
  delta: z.object({
    role: z.literal('assistant').nullish(),
    content: PIECE.nullish(),
    refusal: z.null().optional(),
    tool_calls: z
      .array(
        z.object({
          index: z
            .int()
            .min(0)
            .max(CALLS_MAX - 1),
          id: NAME.nullish(),
          type: z.literal('function').nullish(),
          function: z.object({ name: NAME.nullish(), arguments: PIECE.nullish() }).nullish(),
        }),
      )
      .max(CALLS_MAX)
      .nullish(),
  }),
  finish_reason: FINISH.nullish(),
  stop_reason: z.unknown().optional(),
});

export const CHAT_CHUNK = z.object({
  ...HEAD,
  choices: z.array(CHOICE_CHUNK).max(1),
  usage: CHAT_USAGE.nullish(),
});

/** What a chat stream says in place of its end. */
export const CHAT_ERROR = z.object({
  error: z.object({
    message: z.string(),
    type: z.string(),
    param: z.string().nullish(),
    code: z.string().nullish(),
  }),
});
