/** One way from a client to the engine, as a row's cells see it. @module */

import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { ChatOpenAI, OpenAIEmbeddings, type ChatOpenAIFields } from '@langchain/openai';
import OpenAI, { type ClientOptions } from 'openai';

export type PathName = 'engine' | 'plain' | 'sealed';

/** What a worker says of an exchange when it has ended. */
export interface Ended {
  readonly outcome: string;
  readonly prompt: number;
  readonly completion: number;
}

export interface Way {
  readonly path: PathName;
  readonly baseURL: string;
  readonly apiKey: string;
  readonly model: string;
  readonly fetch: typeof globalThis.fetch;
  /** Of every exchange of this way's worker, in order of their ends. */
  readonly ended: readonly Ended[];
  /** What the account was charged in all; undefined where nobody keeps books. */
  readonly charged: () => Promise<bigint | undefined>;
}

export function openAi(way: Way, more: ClientOptions = {}): OpenAI {
  const { baseURL, apiKey, fetch } = way;
  return new OpenAI({ baseURL, apiKey, fetch, maxRetries: 0, ...more });
}

/** As docs/clients.md says to set it up. */
export function aiSdk(
  { baseURL, apiKey, fetch }: Way,
  more: { readonly includeUsage?: boolean } = {},
) {
  return createOpenAICompatible({
    name: 'veilgate',
    baseURL,
    apiKey,
    fetch,
    includeUsage: true,
    supportsStructuredOutputs: true,
    ...more,
  });
}

export function aiSdkResponses({ baseURL, apiKey, fetch }: Way) {
  return createOpenAI({ name: 'veilgate', baseURL, apiKey, fetch });
}

export function langChain(way: Way, more: Partial<ChatOpenAIFields> = {}): ChatOpenAI {
  const { baseURL, apiKey, model, fetch } = way;
  return new ChatOpenAI({
    model,
    apiKey,
    maxRetries: 0,
    configuration: { baseURL, fetch },
    ...more,
  });
}

export function langChainEmbeddings({ baseURL, apiKey, model, fetch }: Way): OpenAIEmbeddings {
  return new OpenAIEmbeddings({ model, apiKey, maxRetries: 0, configuration: { baseURL, fetch } });
}
