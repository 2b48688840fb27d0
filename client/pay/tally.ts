/**
 * The tokens of a text that grows, without counting all of it anew at each look: what lies far enough back is counted once.
 * A token across the seam counts as two, which is far below what a recount allows anyway.
 * @module
 */

import { TALLY_SPAN_CHARS } from '../limits.ts';

/** Of the model's own tokenizer, without special tokens. */
export type CountTokens = (text: string) => number;

export class Tally {
  #counted = 0;
  #pieces: string[] = [];

  push(text: string): void {
    this.#pieces.push(text);
  }

  tokens(countTokens: CountTokens): number {
    const text = this.#pieces.join('');
    const tokens = text === '' ? 0 : countTokens(text);
    if (text.length < TALLY_SPAN_CHARS) {
      this.#pieces = [text];
      return this.#counted + tokens;
    }
    this.#pieces = [];
    this.#counted += tokens;
    return this.#counted;
  }
}
