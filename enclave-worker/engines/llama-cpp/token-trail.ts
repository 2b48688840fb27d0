/**
 * Which tokens the shown text is made of: a token is told when all it adds to the text has been shown, and what a stop
 * string cut away is not told. The bytes told are those of the text. Spec: openai-gateway-and-engine §2.3, §5.4.
 * @module
 */

import { equalPublic, utf8 } from '../../../core/bytes.ts';
import type { TokenMessage } from './messages.ts';
import { joined } from './token-bytes.ts';

export interface TrailToken {
  readonly bytes: Uint8Array;
  readonly logprob: number;
  readonly top: TokenMessage['top'];
}

interface Placed extends TrailToken {
  /** Bytes of the text that it stands for; not its own where they are no whole character. */
  readonly width: number;
}

export class TokenTrail {
  /** Tokens whose text is not whole yet, and what they have become so far. */
  #group: TrailToken[] = [];
  #groupText = '';
  readonly #placed: Placed[] = [];
  /** Bytes of shown text that no told token stands for yet. */
  #shown = 0;

  add(token: TrailToken): void {
    this.#group.push(token);
  }

  /** What the tokens have become. `whole`: nothing of it is held back any more. */
  became(text: string, state: 'whole' | 'held'): void {
    this.#groupText += text;
    if (state === 'whole') this.#place();
  }

  /** The next shown text; answers the tokens that are complete with it. */
  show(text: string): TokenMessage[] {
    this.#shown += utf8(text).length;
    const told: TokenMessage[] = [];
    for (let next = this.#placed[0]; next !== undefined; next = this.#placed[0]) {
      if (next.width > this.#shown) break;
      this.#shown -= next.width;
      this.#placed.shift();
      told.push(messageOf(next));
    }
    return told;
  }

  /** No more text comes; answers the token that a stop string cut in two, as far as it was shown. */
  end(): TokenMessage[] {
    this.#place();
    const told = this.show('');
    const [cut] = this.#placed;
    if (cut === undefined || this.#shown === 0) return told;
    return [...told, messageOf({ ...cut, bytes: cut.bytes.subarray(0, this.#shown) })];
  }

  #place(): void {
    const tokens = this.#group;
    const text = utf8(this.#groupText);
    this.#group = [];
    this.#groupText = '';
    this.#placed.push(...placed(tokens, text));
  }
}

/** Where the vocabulary's bytes are not those of the text, the last token stands for the difference. */
function placed(tokens: readonly TrailToken[], text: Uint8Array): readonly Placed[] {
  const bytes = joined(tokens);
  if (equalPublic(bytes, text)) {
    return tokens.map((token) => ({ ...token, width: token.bytes.length }));
  }
  const spellsIt = new TextDecoder().decode(bytes) === new TextDecoder().decode(text);
  return tokens.map((token, index) => {
    const isLast = index === tokens.length - 1;
    const own = spellsIt ? token.bytes : isLast ? text : new Uint8Array(0);
    return { ...token, bytes: own, width: isLast ? text.length : 0 };
  });
}

function messageOf({ bytes, logprob, top }: TrailToken): TokenMessage {
  return { bytes: [...bytes], logprob, top };
}
