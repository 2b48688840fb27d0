/**
 * The bytes behind each token of a model's vocabulary. The library detokenises to text, in which a piece of a character is
 * lost; the vocabulary in the model file still has it. Spec: ggml docs/gguf.md "tokenizer".
 * @module
 */

import type { LlamaModel, Token } from 'node-llama-cpp';
import { concat, utf8 } from '../../../core/bytes.ts';
import { BYTE_CHARACTERS } from './byte-alphabet.ts';
import { TOKEN_BYTES_MAX } from './messages.ts';

/** Text of a token as the file spells it → its bytes; undefined where this spelling is not known. */
type Spelling = (text: string) => Uint8Array | undefined;

export class TokenBytes {
  readonly #model: LlamaModel;
  readonly #texts: readonly string[];
  readonly #spelling: Spelling;

  constructor(model: LlamaModel) {
    this.#model = model;
    const ggml = model.fileInfo.metadata.tokenizer?.ggml;
    this.#texts = ggml?.tokens ?? [];
    this.#spelling = ggml?.model === 'gpt2' ? byteAlphabet : spacedPieces;
  }

  /** What the token adds to an answer. A control token adds nothing. */
  written(token: Token): Uint8Array {
    if (this.#model.getTokenAttributes(token).control) return new Uint8Array(0);
    return this.#bytes(token);
  }

  /** For a list of tokens that might have been drawn: control tokens are in it by their names. */
  named(token: Token): Uint8Array {
    if (this.#model.getTokenAttributes(token).control) return capped(utf8(this.#text(token)));
    return this.#bytes(token);
  }

  #bytes(token: Token): Uint8Array {
    const bytes = this.#spelling(this.#text(token));
    return capped(bytes ?? utf8(this.#model.detokenize([token])));
  }

  #text(token: Token): string {
    return this.#texts[token] ?? '';
  }
}

function capped(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, TOKEN_BYTES_MAX);
}

const ALPHABET: ReadonlyMap<string, number> = new Map(
  BYTE_CHARACTERS.map((character, byte) => [character, byte]),
);

function byteAlphabet(text: string): Uint8Array | undefined {
  const bytes: number[] = [];
  for (const character of text) {
    const byte = ALPHABET.get(character);
    // An added token: its text is not in the alphabet.
    if (byte === undefined) return utf8(text);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

const BYTE_TOKEN = /^<0x([0-9A-F]{2})>$/;
const SPACE_MARK = '\u2581';

/** SentencePiece: a mark for a space, and a token for each single byte. */
function spacedPieces(text: string): Uint8Array | undefined {
  const hex = BYTE_TOKEN.exec(text)?.[1];
  if (hex !== undefined) return Uint8Array.of(Number.parseInt(hex, 16));
  return utf8(text.replaceAll(SPACE_MARK, ' '));
}

/** All bytes of several tokens. */
export function joined(tokens: readonly { readonly bytes: Uint8Array }[]): Uint8Array {
  return concat(...tokens.map(({ bytes }) => bytes));
}
