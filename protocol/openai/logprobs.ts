/**
 * How likely each token of an answer was, in the two shapes that OpenAI's API has for it. Probabilities are the model's own,
 * before temperature, penalties and bias. Spec: OpenAI API reference "The chat completion object", "The completion object";
 * openai-gateway-and-engine §2.3.
 * @module
 */

import { toHex } from '../../core/bytes.ts';

export interface TokenChance {
  /** What the token adds to the text: a character may be spread over several tokens. */
  readonly bytes: Uint8Array;
  /** Natural logarithm, at most 0. */
  readonly logprob: number;
}

export interface TokenLogprob extends TokenChance {
  /** The likeliest, first one first; empty when none were asked for. */
  readonly top: readonly TokenChance[];
}

export interface ChanceJson {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

export interface ChatLogprobs {
  readonly content: readonly (ChanceJson & { readonly top_logprobs: readonly ChanceJson[] })[];
  readonly refusal: null;
}

export function chatLogprobs(tokens: readonly TokenLogprob[]): ChatLogprobs {
  return {
    content: tokens.map((token) => ({
      ...chanceJson(token),
      top_logprobs: token.top.map(chanceJson),
    })),
    refusal: null,
  };
}

function chanceJson({ bytes, logprob }: TokenChance): ChanceJson {
  return { token: tokenText(bytes), logprob, bytes: [...bytes] };
}

/** A piece of a character has no text of its own; OpenAI writes such tokens as escaped bytes. */
function tokenText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return `bytes:${[...bytes].map((byte) => `\\x${toHex(Uint8Array.of(byte))}`).join('')}`;
  }
}

/** Of text completions: parallel lists, with each token's place in the text in characters. */
export interface TextLogprobs {
  readonly tokens: readonly string[];
  readonly token_logprobs: readonly number[];
  readonly top_logprobs: readonly Readonly<Record<string, number>>[] | null;
  readonly text_offset: readonly number[];
}

/** Of one choice, piece after piece. */
export class TextLogprobsWriter {
  readonly #withTop: boolean;
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  #offset = 0;

  constructor(topLogprobs: number) {
    this.#withTop = topLogprobs > 0;
  }

  write(tokens: readonly TokenLogprob[]): TextLogprobs {
    const offsets = tokens.map(({ bytes }) => {
      const at = this.#offset;
      this.#offset += Array.from(this.#decoder.decode(bytes, { stream: true })).length;
      return at;
    });
    return {
      tokens: tokens.map(({ bytes }) => tokenText(bytes)),
      token_logprobs: tokens.map(({ logprob }) => logprob),
      top_logprobs: this.#withTop ? tokens.map(({ top }) => chancesByText(top)) : null,
      text_offset: offsets,
    };
  }
}

/** Two tokens may spell the same text; the likelier one stands for both. */
function chancesByText(top: readonly TokenChance[]): Readonly<Record<string, number>> {
  const chances = new Map<string, number>();
  for (const { bytes, logprob } of top) {
    const text = tokenText(bytes);
    if (!chances.has(text)) chances.set(text, logprob);
  }
  return Object.fromEntries(chances);
}
