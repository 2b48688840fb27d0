/**
 * From tokens to text that may be shown: characters are never cut in two, and text that could be the beginning of a
 * stop string waits until it is clear that it is not. Spec: openai-gateway-and-engine §5.3 (stop strings), §5.4.
 * @module
 */

const REPLACEMENT = '\uFFFD';
/** An incomplete UTF-8 character is at most three bytes, and decoders show each as one replacement character. */
const INCOMPLETE_MAX = 3;
/** A run of tokens that never becomes a whole character is not text; then it is shown as it is. */
const HELD_TOKENS_MAX = 32;
const CONTEXT_TOKENS = 32;

export type Detokenize<Token> = (tokens: readonly Token[], before: readonly Token[]) => string;

/** Tokens in, whole characters out. */
export class TokenText<Token> {
  readonly #detokenize: Detokenize<Token>;
  #before: Token[] = [];
  #held: Token[] = [];
  /** Characters of the held tokens that were already given out. */
  #shown = 0;

  constructor(detokenize: Detokenize<Token>) {
    this.#detokenize = detokenize;
  }

  push(token: Token): string {
    this.#held.push(token);
    const text = this.#detokenize(this.#held, this.#before);
    const complete = text.length - incompleteTail(text);
    if (complete < text.length && this.#held.length < HELD_TOKENS_MAX) {
      const fresh = text.slice(this.#shown, complete);
      this.#shown = Math.max(this.#shown, complete);
      return fresh;
    }
    return this.#release(text);
  }

  /** Every token so far has become text. */
  get isWhole(): boolean {
    return this.#held.length === 0;
  }

  /** What is left when no more tokens come; an incomplete character becomes U+FFFD. */
  end(): string {
    return this.#held.length === 0 ? '' : this.#release(this.#detokenize(this.#held, this.#before));
  }

  #release(text: string): string {
    const fresh = text.slice(this.#shown);
    this.#before = [...this.#before, ...this.#held].slice(-CONTEXT_TOKENS);
    this.#held = [];
    this.#shown = 0;
    return fresh;
  }
}

function incompleteTail(text: string): number {
  let size = 0;
  while (size < INCOMPLETE_MAX && text.at(-1 - size) === REPLACEMENT) size++;
  return size;
}

export interface StopResult {
  readonly text: string;
  readonly stopped: boolean;
}

/** Lets text through up to the first stop string, wherever token borders fall. */
export class StopScanner {
  readonly #stops: readonly string[];
  #held = '';

  constructor(stops: readonly string[]) {
    this.#stops = stops.filter((stop) => stop !== '');
  }

  push(text: string): StopResult {
    this.#held += text;
    const at = this.#firstStop();
    if (at !== undefined) {
      const shown = this.#held.slice(0, at);
      this.#held = '';
      return { text: shown, stopped: true };
    }
    const keep = Math.max(0, ...this.#stops.map((stop) => overlap(this.#held, stop)));
    const shown = this.#held.slice(0, this.#held.length - keep);
    this.#held = this.#held.slice(this.#held.length - keep);
    return { text: shown, stopped: false };
  }

  /** The model ended: what waited was no stop string. */
  end(): string {
    const shown = this.#held;
    this.#held = '';
    return shown;
  }

  #firstStop(): number | undefined {
    const hits = this.#stops.map((stop) => this.#held.indexOf(stop)).filter((at) => at >= 0);
    return hits.length === 0 ? undefined : Math.min(...hits);
  }
}

/** Length of the longest end of `text` that is a beginning of `stop`. */
function overlap(text: string, stop: string): number {
  for (let size = Math.min(text.length, stop.length - 1); size > 0; size--) {
    if (stop.startsWith(text.slice(text.length - size))) return size;
  }
  return 0;
}
