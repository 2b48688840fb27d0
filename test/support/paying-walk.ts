/** Somebody who pays in every way there is, and keeps what was said to it on the way. @module */

import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import OpenAI, { APIError } from 'openai';
import { sealedFetch } from '../../client/index.ts';
import type { Fetch } from '../../client/fetch-bounded.ts';
import type { ClientOptions } from '../../client/open-session.ts';
import { systemClock } from '../../core/clock.ts';
import { amount } from '../../settlement/money.ts';
import { signPass, type Caveat, type Pass } from '../../settlement/pass.ts';
import { formatToken, signToken } from '../../settlement/token.ts';
import { signVoucher, type Voucher } from '../../settlement/voucher.ts';
import { paymentHeaders } from '../../settlement/x402.ts';
import type { PaidStack } from './paid-stack.ts';
import { STACK_MODEL } from './stack.ts';

const QUESTION = 'What is remote attestation?';
const MAX_TOKENS = 40;
const DEPTH = 8;

export interface SealedApp {
  readonly sdk: OpenAI;
  /** Gives the channel file back. */
  readonly close: () => Promise<void>;
}

export class PayingWalk {
  readonly paid: PaidStack;
  /** Errors, headers and what else a payer was told. */
  readonly said: string[] = [];
  /** What anybody could look at. */
  readonly pages: string[] = [];
  readonly answers: string[] = [];
  readonly tokens: string[] = [];
  readonly vouchers: Voucher[] = [];
  readonly passes: Pass[] = [];
  readonly requestIds: string[] = [];
  readonly refusals = new Set<string>();
  readonly #canary: string;

  constructor(paid: PaidStack, canary: string) {
    this.paid = paid;
    this.#canary = canary;
  }

  say(what: unknown): void {
    this.said.push(typeof what === 'string' ? what : inspect(what, { depth: DEPTH }));
  }

  /** Of the channel, as its payer signs them. */
  voucher(ceiling: bigint, epoch = 0): Voucher {
    const { kept, payerKey } = this.paid;
    const terms = { channel: kept.channel.id, epoch, ceiling: amount(ceiling) };
    const voucher = signVoucher(payerKey, terms);
    this.vouchers.push(voucher);
    return voucher;
  }

  token(voucher: Voucher, caveats: readonly Caveat[]): string {
    const token = signToken(this.paid.payerKey, voucher, caveats);
    this.passes.push(token.pass);
    return formatToken(token);
  }

  headersOf(voucher: Voucher): Readonly<Record<string, string>> {
    const { kept, payerKey } = this.paid;
    const notAfterMs = systemClock() + 60_000;
    const pass = signPass(payerKey, kept.channel.id, [{ kind: 'expiry', notAfterMs }]);
    this.passes.push(pass);
    return paymentHeaders({ voucher, pass });
  }

  sealed(options: Partial<ClientOptions>): SealedApp {
    const { baseUrl: baseURL, rootFile } = this.paid.stack;
    const fetch = sealedFetch({ policy: { root: rootFile }, ...options });
    const sdk = new OpenAI({ baseURL, apiKey: 'none needed', maxRetries: 0, fetch });
    return { sdk, close: () => fetch.close() };
  }

  plain(token: string): OpenAI {
    this.tokens.push(token);
    return this.paid.stack.plain().withOptions({ apiKey: token });
  }

  /** Whole and in pieces: a question with an answer that can be looked for, and the canary. */
  async converse(app: OpenAI): Promise<void> {
    for (const prompt of [QUESTION, this.#canary]) {
      await this.#whole(app, prompt);
      await this.#pieces(app, prompt);
    }
  }

  async ask(app: OpenAI): Promise<void> {
    await this.#whole(app, this.#canary);
  }

  async refused(app: OpenAI): Promise<void> {
    for (const stream of [false, true]) {
      try {
        await app.chat.completions.create({ ...bodyOf(this.#canary), stream });
      } catch (error) {
        assert.ok(error instanceof APIError);
        this.say(error);
        this.say(error.headers);
        this.refusals.add(`${error.status} ${error.code}`);
        continue;
      }
      assert.fail('it was served');
    }
  }

  async shown(url: string, init: RequestInit = {}): Promise<string> {
    const response = await fetch(url, init);
    const text = await response.text();
    this.pages.push(`${response.status} ${inspect(response.headers)} ${text}`);
    return text;
  }

  /** What a model makes of a canary is often a word or two, which are found anywhere. */
  #heard(prompt: string, answer: string): void {
    if (prompt === QUESTION) this.answers.push(answer);
  }

  async #whole(app: OpenAI, prompt: string): Promise<void> {
    const { data, response } = await app.chat.completions.create(bodyOf(prompt)).withResponse();
    this.#heard(prompt, data.choices[0]?.message.content ?? '');
    this.requestIds.push(data.id);
    this.say(response.headers);
    this.say({ ...data, choices: [] });
  }

  async #pieces(app: OpenAI, prompt: string): Promise<void> {
    const stream = await app.chat.completions.create({ ...bodyOf(prompt), stream: true });
    let text = '';
    for await (const part of stream) {
      text += part.choices[0]?.delta.content ?? '';
      if (part.choices.length === 0) this.say(part);
    }
    this.#heard(prompt, text);
  }
}

function bodyOf(prompt: string) {
  const messages = [{ role: 'user' as const, content: prompt }];
  return { model: STACK_MODEL, messages, max_tokens: MAX_TOKENS, temperature: 0 };
}

const LINE = 'VGS1';
const LINE_BYTES = 166;

/** A transport that changes a bit of the signature of each ledger line. */
export const bendingLines: Fetch = async (url, init) => {
  const { body, ...rest } = init;
  const sent = body === undefined ? {} : { body: Uint8Array.from(body) };
  const response = await fetch(url, { ...rest, ...sent, headers: { ...init.headers } });
  if (!url.endsWith('/sx/v1/exchange')) return response;
  const bytes = new Uint8Array(await response.arrayBuffer());
  const at = Buffer.from(bytes).indexOf(LINE);
  if (at !== -1) bytes[at + LINE_BYTES] = (bytes[at + LINE_BYTES] ?? 0) ^ 1;
  return new Response(bytes, { status: response.status, headers: response.headers });
};
