/**
 * The client's own count of what it was billed for. It has the prompt and the answer in clear, so it can say how many tokens
 * they can be at most: every token of a text is at least one byte of it, and a tokenizer of the app's says it closer. What
 * the client never sees, reasoning that stays with the worker, it cannot count. Spec: ton-settlement §4.3 "Client check".
 * @module
 */

import { z } from 'zod';
import { Gatherer, utf8 } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseJson } from '../../core/json.ts';
import type { PriceList } from '../../attestation/verdict.ts';
import type { Meter } from '../../protocol/meter.ts';
import { ceilingOf } from '../../protocol/price.ts';
import type { Usage } from '../../protocol/receipt.ts';
import { clientError } from '../errors.ts';
import {
  ANSWER_MAX_BYTES,
  RETOKENIZED_PER_MILLE,
  SPECIAL_TOKENS_PER_CHOICE,
  SPECIAL_TOKENS_PER_TOOL_CALL,
  TEMPLATE_TOKENS,
  UNSEEN_TOKENS_MAX,
} from '../limits.ts';
import { Tally, type CountTokens } from './tally.ts';
import { isCutShort, visibleIn } from './visible.ts';

export type { CountTokens } from './tally.ts';

/** The most tokens that the texts can be. Numbers only. */
export interface TokenBounds {
  readonly prompt: number;
  readonly completion: number;
}

export interface RecountInput {
  readonly body: Uint8Array;
  readonly choices: number;
  readonly countTokens?: CountTokens | undefined;
}

/** Reads along. What it cannot read counts byte by byte. */
export class Recount {
  readonly #input: RecountInput;
  readonly #texts = new Map<number, string[]>();
  readonly #tallies = new Map<number, Tally>();
  #prompt: number | undefined;
  #visibleBytes = 0;
  #toolCalls = 0;
  #isStream = false;
  #isCutShort = false;
  #asked: Asked | undefined;
  #waiting = new Gatherer();

  constructor(input: RecountInput) {
    this.#input = input;
  }

  head(contentType: string): void {
    this.#isStream = /^text\/event-stream\b/i.test(contentType);
  }

  push(bytes: Uint8Array): void {
    if (this.#waiting.size + bytes.length > ANSWER_MAX_BYTES) {
      this.#unreadable(this.#waiting.bytes());
      this.#waiting = new Gatherer();
    }
    this.#waiting.push(bytes.slice());
    if (this.#isStream && bytes.includes(LINE_FEED)) this.#readLines();
  }

  /** Once, after the last piece. Throws `client.option` when the app's tokenizer counts no tokens. */
  bounds(): TokenBounds {
    const rest = this.#waiting.bytes();
    if (this.#isStream) this.#readLine(rest);
    else if (rest.length > 0) this.#readJson(rest);
    const bounds = this.#boundsBy((count) => {
      const texts = [...this.#texts.values()].map((pieces) => pieces.join(''));
      return texts.reduce((sum, text) => sum + atMost(text, count), 0);
    });
    return this.#hasUnseenCall() ? { ...bounds, completion: UNSEEN_TOKENS_MAX } : bounds;
  }

  /**
   * A call that broke off stands in no whole answer, because nobody could act on it; its tokens were written all the same.
   * What is left then is the bound that the request had.
   */
  #hasUnseenCall(): boolean {
    const { tools, stopBytes } = this.#ofRequest();
    return !this.#isStream && tools.length > 0 && (this.#isCutShort || stopBytes > 0);
  }

  #ofRequest(): Asked {
    this.#asked ??= askedIn(this.#input.body);
    return this.#asked;
  }

  /** Of the events that have arrived whole. Cheap enough for every step of a long answer. Throws as `bounds` does. */
  soFar(): TokenBounds {
    return this.#boundsBy((count) => {
      const tallies = [...this.#tallies.values()];
      return tallies.reduce((sum, tally) => sum + tally.tokens((text) => atMost(text, count)), 0);
    });
  }

  #boundsBy(visible: (countTokens: CountTokens) => number): TokenBounds {
    const { body, choices, countTokens } = this.#input;
    const perChoice = SPECIAL_TOKENS_PER_CHOICE + this.#ofRequest().stopBytes;
    const special =
      Math.min(choices, Math.max(1, this.#texts.size)) * perChoice +
      this.#toolCalls * SPECIAL_TOKENS_PER_TOOL_CALL;
    if (countTokens === undefined) {
      return { prompt: body.length + TEMPLATE_TOKENS, completion: this.#visibleBytes + special };
    }
    const completion = visible(countTokens) + special;
    this.#prompt ??= this.#promptTokens(countTokens);
    return { prompt: this.#prompt, completion };
  }

  /** Templates write tools beside the rest and in a form of their own, some with an indent. */
  #promptTokens(countTokens: CountTokens): number {
    const tools = this.#ofRequest().tools.map((tool) => JSON.stringify(tool, undefined, 4));
    return [new TextDecoder().decode(this.#input.body), ...tools]
      .map((text) => atMost(text, countTokens))
      .reduce((sum, tokens) => sum + tokens, TEMPLATE_TOKENS);
  }

  #readLines(): void {
    const bytes = this.#waiting.bytes();
    this.#waiting = new Gatherer();
    let start = 0;
    for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, start)) {
      this.#readLine(bytes.subarray(start, end));
      start = end + 1;
    }
    this.#waiting.push(bytes.slice(start));
  }

  #readLine(line: Uint8Array): void {
    const text = new TextDecoder().decode(line).trim();
    if (!text.startsWith('data:')) return;
    const data = text.slice('data:'.length).trim();
    if (data === '[DONE]' || data === '') return;
    this.#readJson(utf8(data));
  }

  #readJson(bytes: Uint8Array): void {
    const json = readableIn(bytes);
    const visible = visibleIn(json);
    if (visible === undefined) {
      this.#unreadable(bytes);
      return;
    }
    if (!this.#isStream) this.#isCutShort = isCutShort(json);
    for (const { choice, texts, calls } of visible) {
      this.#toolCalls += calls;
      this.#count(choice, texts);
    }
  }

  /** A choice that nobody asked for is counted with the first: whoever makes them up must not have us remember each. */
  #count(said: number, texts: readonly (string | null | undefined)[]): void {
    const index = this.#input.choices > said && said > 0 ? Math.trunc(said) : 0;
    const pieces = this.#texts.get(index) ?? [];
    const tally = this.#tallies.get(index) ?? new Tally();
    for (const text of texts) {
      if (typeof text !== 'string' || text === '') continue;
      this.#visibleBytes += utf8(text).length;
      if (this.#input.countTokens === undefined) continue;
      pieces.push(text);
      tally.push(text);
    }
    this.#texts.set(index, pieces);
    this.#tallies.set(index, tally);
  }

  #unreadable(bytes: Uint8Array): void {
    this.#count(0, [new TextDecoder().decode(bytes)]);
  }
}

const LINE_FEED = 0x0a;

/** Of no form that is known where it is no JSON: the caller counts its bytes. */
function readableIn(bytes: Uint8Array): unknown {
  try {
    return parseJson(bytes, ANSWER_MAX_BYTES);
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return undefined;
  }
}

/** What of a request says which tokens of its prompt and its answer nobody sees. */
interface Asked {
  readonly tools: readonly unknown[];
  /** Of the longest stop string, which is cut away: a token is at least one of them. */
  readonly stopBytes: number;
}

const STOPS = z.union([z.string().transform((stop) => [stop]), z.array(z.string())]).nullish();
const ASKED = z.looseObject({
  tools: z.array(z.unknown()).nullish(),
  stop: STOPS.catch(null),
  stop_sequences: STOPS.catch(null),
});

function askedIn(body: Uint8Array): Asked {
  const { success, data } = ASKED.safeParse(readableIn(body));
  if (!success) return { tools: [], stopBytes: 0 };
  const stops = [...(data.stop ?? []), ...(data.stop_sequences ?? [])];
  return {
    tools: data.tools ?? [],
    stopBytes: Math.max(0, ...stops.map((stop) => utf8(stop).length)),
  };
}

/** No number is more than what is not one: a tokenizer that fails must not let every bill pass. */
function atMost(text: string, countTokens: CountTokens): number {
  const count = countTokens(text);
  if (!Number.isSafeInteger(count) || count < 0) {
    throw clientError('client.option', 'pay.countTokens: want a whole number');
  }
  return Math.ceil((count * (1000 + RETOKENIZED_PER_MILLE)) / 1000);
}

/** Reasoning is left out: most of it is never shown. */
export function exceeds(usage: Usage, bounds: TokenBounds): boolean {
  return usage.prompt + usage.cached > bounds.prompt || usage.completion > bounds.completion;
}

/** The fault of a METER that is ahead of its answer. */
export const METERED = 'metered';

/**
 * The same for a METER and what had arrived when it came. It counts reasoning in, and what is not shown this client cannot
 * follow: it may be told apart only at the end.
 */
export function meterExceeds(
  { completion, amount }: Pick<Meter, 'completion' | 'amount'>,
  bounds: TokenBounds,
  prices: PriceList,
): boolean {
  return completion > bounds.completion || amount > ceilingOf(prices, bounds.prompt, completion);
}
