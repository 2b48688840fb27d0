/**
 * The SDKs that apps use, each read as its documentation shows, down to what an app would know in the end: a whole answer, or
 * an error. @module
 */

import Anthropic from '@anthropic-ai/sdk';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI } from '@langchain/openai';
import { generateText, streamText, type LanguageModel } from 'ai';
import OpenAI from 'openai';

/** Where an SDK is pointed at. */
export interface SdkTarget {
  /** With `/v1`. */
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly model: string;
  readonly fetch: typeof globalThis.fetch;
}

/** `text` is what the app had when it ended. */
export type SdkSeen =
  | { readonly outcome: 'whole'; readonly text: string }
  | { readonly outcome: 'error'; readonly text: string; readonly reason: string };

type Told = (text: string) => void;
type Read = (target: SdkTarget, told: Told) => Promise<void>;

export interface SdkReader {
  readonly name: string;
  readonly mode: 'stream' | 'unary';
  readonly surface: 'chat' | 'responses' | 'messages';
  read(target: SdkTarget): Promise<SdkSeen>;
}

const PROMPT = 'What is remote attestation?';
const TOKENS = 6;
const MESSAGES = [{ role: 'user' as const, content: PROMPT }];

function openAi({ baseUrl, apiKey, fetch }: SdkTarget): OpenAI {
  return new OpenAI({ baseURL: baseUrl, apiKey, fetch, maxRetries: 0 });
}

function anthropic({ baseUrl, apiKey, fetch }: SdkTarget): Anthropic {
  return new Anthropic({ baseURL: new URL(baseUrl).origin, apiKey, fetch, maxRetries: 0 });
}

function compatible({ baseUrl, apiKey, fetch, model }: SdkTarget): LanguageModel {
  return createOpenAICompatible({ name: 'veilgate', baseURL: baseUrl, apiKey, fetch })(model);
}

function aiResponses({ baseUrl, apiKey, fetch, model }: SdkTarget): LanguageModel {
  return createOpenAI({ baseURL: baseUrl, apiKey, fetch }).responses(model);
}

function langChain({ baseUrl, apiKey, fetch, model }: SdkTarget): ChatOpenAI {
  return new ChatOpenAI({
    model,
    apiKey,
    maxTokens: TOKENS,
    maxRetries: 0,
    configuration: { baseURL: baseUrl, fetch },
  });
}

function ai(model: LanguageModel) {
  return { model, prompt: PROMPT, maxOutputTokens: TOKENS, maxRetries: 0 };
}

/** Every part, as an app that shows errors reads it. */
async function aiParts(model: LanguageModel, told: Told): Promise<void> {
  const { fullStream } = streamText({ ...ai(model), onError: () => undefined });
  for await (const part of fullStream) {
    if (part.type === 'text-delta') told(part.text);
    if (part.type === 'error') throw new Error('an error part', { cause: part.error });
  }
}

/** The text alone, and then whether it had ended well, as the SDK's examples do. */
async function aiText(model: LanguageModel, told: Told): Promise<void> {
  const result = streamText({ ...ai(model), onError: () => undefined });
  // Each of them rejects where the stream has failed, and the loop below would leave them unheard.
  const ended = Promise.allSettled([result.text, result.finishReason]);
  for await (const text of result.textStream) told(text);
  const [whole, reason] = await ended;
  if (whole.status === 'rejected') throw whole.reason;
  if (reason.status === 'rejected') throw reason.reason;
  if (reason.value === 'error') throw new Error('finishReason is error');
}

const READS: readonly (readonly [
  name: string,
  mode: SdkReader['mode'],
  surface: SdkReader['surface'],
  read: Read,
])[] = [
  [
    'openai, chat, for await',
    'stream',
    'chat',
    async (target, told) => {
      const { chat } = openAi(target);
      const { model } = target;
      const asked = { model, messages: MESSAGES, max_tokens: TOKENS, stream: true } as const;
      for await (const part of await chat.completions.create(asked)) {
        told(part.choices[0]?.delta.content ?? '');
      }
    },
  ],
  [
    'openai, chat, .stream()',
    'stream',
    'chat',
    async (target, told) => {
      const { chat } = openAi(target);
      const { model } = target;
      const stream = chat.completions.stream({ model, messages: MESSAGES, max_tokens: TOKENS });
      const { choices } = await stream.finalChatCompletion();
      told(choices[0]?.message.content ?? '');
    },
  ],
  [
    'openai, responses, for await',
    'stream',
    'responses',
    async (target, told) => {
      const { model } = target;
      const asked = { model, input: PROMPT, max_output_tokens: 16, stream: true } as const;
      for await (const event of await openAi(target).responses.create(asked)) {
        if (event.type === 'response.output_text.delta') told(event.delta);
      }
    },
  ],
  [
    'openai, responses, .stream()',
    'stream',
    'responses',
    async (target, told) => {
      const { model } = target;
      const asked = { model, input: PROMPT, max_output_tokens: 16 };
      const { output_text: text } = await openAi(target).responses.stream(asked).finalResponse();
      told(text);
    },
  ],
  [
    'anthropic, for await',
    'stream',
    'messages',
    async (target, told) => {
      const { model } = target;
      const asked = { model, messages: MESSAGES, max_tokens: TOKENS, stream: true } as const;
      for await (const event of await anthropic(target).messages.create(asked)) {
        if (event.type !== 'content_block_delta') continue;
        if (event.delta.type === 'text_delta') told(event.delta.text);
      }
    },
  ],
  [
    'anthropic, .stream()',
    'stream',
    'messages',
    async (target, told) => {
      const { model } = target;
      const asked = { model, messages: MESSAGES, max_tokens: TOKENS };
      const { content } = await anthropic(target).messages.stream(asked).finalMessage();
      for (const block of content) if (block.type === 'text') told(block.text);
    },
  ],
  [
    'ai with openai-compatible, fullStream',
    'stream',
    'chat',
    (target, told) => aiParts(compatible(target), told),
  ],
  [
    'ai with openai-compatible, textStream',
    'stream',
    'chat',
    (target, told) => aiText(compatible(target), told),
  ],
  [
    'ai with openai (responses), fullStream',
    'stream',
    'responses',
    (target, told) => aiParts(aiResponses(target), told),
  ],
  [
    'ai with openai (responses), textStream',
    'stream',
    'responses',
    (target, told) => aiText(aiResponses(target), told),
  ],
  [
    'langchain, stream',
    'stream',
    'chat',
    async (target, told) => {
      for await (const part of await langChain(target).stream(PROMPT)) told(part.text);
    },
  ],
  [
    'openai, chat',
    'unary',
    'chat',
    async (target, told) => {
      const { model } = target;
      const asked = { model, messages: MESSAGES, max_tokens: TOKENS };
      const { choices } = await openAi(target).chat.completions.create(asked);
      told(choices[0]?.message.content ?? '');
    },
  ],
  [
    'anthropic',
    'unary',
    'messages',
    async (target, told) => {
      const { model } = target;
      const asked = { model, messages: MESSAGES, max_tokens: TOKENS };
      const { content } = await anthropic(target).messages.create(asked);
      for (const block of content) if (block.type === 'text') told(block.text);
    },
  ],
  [
    'ai with openai-compatible, generateText',
    'unary',
    'chat',
    async (target, told) => told((await generateText(ai(compatible(target)))).text),
  ],
  [
    'langchain, invoke',
    'unary',
    'chat',
    async (target, told) => told((await langChain(target).invoke(PROMPT)).text),
  ],
];

export const SDK_READERS: readonly SdkReader[] = READS.map(([name, mode, surface, read]) => ({
  name,
  mode,
  surface,
  read: async (target) => {
    let text = '';
    try {
      await read(target, (more) => (text += more));
      return { outcome: 'whole', text };
    } catch (error) {
      return { outcome: 'error', text, reason: String(error) };
    }
  },
}));
