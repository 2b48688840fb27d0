/** An app that pays a gateway in memory from a channel, with OpenAI's SDK on top. @module */

import OpenAI from 'openai';
import type { TestContext } from 'node:test';
import {
  sealedFetch,
  type HeldBack,
  type PayFault,
  type PayMemory,
  type Settlement,
} from '../../client/index.ts';
import type { ClientOptions } from '../../client/open-session.ts';
import type { ChannelParts, PayTerms } from '../../client/pay/open-payer.ts';
import { decodePayState, type PayState } from '../../client/pay/pay-state.ts';
import { TEST_PRICES } from './attested-key.ts';
import type { MemoryBooks } from './memory-books.ts';
import {
  memoryGateway,
  MODEL,
  PROMPT,
  type MemoryGateway,
  type WorkerInput,
} from './memory-gateway.ts';

/** What the tests' one request costs: base and 5 prompt and 2 completion tokens of TEST_PRICES. */
export const COST = 1026n;

/** Keeps every state that was saved, so that a test can go back to any. */
export class TestMemory implements PayMemory {
  readonly saved: Uint8Array[] = [];
  readonly bills: Uint8Array[] = [];
  /** Waited for before a save is one. */
  before: () => Promise<void> = () => Promise.resolve();

  constructor(state?: Uint8Array) {
    if (state !== undefined) this.saved.push(state);
  }

  load = (): Promise<Uint8Array | undefined> => Promise.resolve(this.saved.at(-1));

  save = async (state: Uint8Array): Promise<void> => {
    await this.before();
    this.saved.push(state);
  };

  keepBill = (_: Uint8Array, bill: Uint8Array): Promise<string> => {
    this.bills.push(bill);
    return Promise.resolve('kept');
  };
}

export interface PayingApp {
  readonly memory: TestMemory;
  readonly faults: PayFault[];
  readonly heldBack: HeldBack[];
  readonly settled: Settlement[];
  readonly sdk: OpenAI;
  readonly ask: () => Promise<string>;
  readonly stream: (maxTokens?: number) => Promise<string>;
  readonly close: () => Promise<void>;
  readonly state: () => PayState;
}

export interface PayingOptions {
  readonly pay?: Partial<PayTerms>;
  readonly memory?: TestMemory;
  readonly client?: Partial<ClientOptions>;
}

export async function paidGateway(
  context: TestContext,
  worker: WorkerInput = {},
  known: 'funded' | 'fresh' = 'funded',
): Promise<MemoryGateway & { readonly books: MemoryBooks }> {
  const gateway = await memoryGateway([{ prices: TEST_PRICES, ...worker }], known);
  const { books } = gateway;
  if (books === undefined) throw new Error('asked for books');
  context.after(() => books.end());
  return { ...gateway, books };
}

export type PaidGateway = Awaited<ReturnType<typeof paidGateway>>;

export function channelParts({ books, aud }: PaidGateway, memory: PayMemory): ChannelParts {
  return {
    channel: books.channel,
    terms: books.terms,
    secretKey: books.payerKeys.secretKey,
    gateway: aud,
    memory,
  };
}

export function payingApp(gateway: PaidGateway, options: PayingOptions = {}): PayingApp {
  const { fetch, policy, clock, books } = gateway;
  const { memory = new TestMemory() } = options;
  const faults: PayFault[] = [];
  const heldBack: HeldBack[] = [];
  const settled: Settlement[] = [];
  const paying = sealedFetch({
    fetch,
    policy,
    clock,
    onSettled: (settlement) => void settled.push(settlement),
    pay: {
      ...channelParts(gateway, memory),
      onFault: (fault) => void faults.push(fault),
      onHeldBack: (held) => void heldBack.push(held),
      ...options.pay,
    },
    ...options.client,
  });
  const sdk = new OpenAI({
    baseURL: 'https://gateway.test/v1',
    apiKey: 'none needed',
    maxRetries: 0,
    fetch: paying,
  });
  const messages = [{ role: 'user' as const, content: PROMPT }];
  return {
    memory,
    faults,
    heldBack,
    settled,
    sdk,
    ask: async () => {
      const answer = await sdk.chat.completions.create({ model: MODEL, messages });
      return answer.choices[0]?.message.content ?? '';
    },
    stream: async (maxTokens) => {
      let text = '';
      const stream = await sdk.chat.completions.create({
        model: MODEL,
        messages,
        stream: true,
        ...(maxTokens !== undefined && { max_completion_tokens: maxTokens }),
      });
      for await (const part of stream) text += part.choices[0]?.delta.content ?? '';
      return text;
    },
    close: () => paying.close(),
    state: () => {
      const bytes = memory.saved.at(-1);
      if (bytes === undefined) throw new Error('nothing saved');
      return decodePayState(bytes, books.channel);
    },
  };
}
