/**
 * Byte-level BPE: learnt from a corpus, then used on it. Cuts text where llama.cpp's pre-tokeniser `gpt-2` does, so that the engine
 * makes the same tokens. Spec: openai-gateway-and-engine §5.2 "Vocabularies". @module
 */

import { utf8 } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';
import { BYTE_CHARACTERS } from '../../engines/llama-cpp/byte-alphabet.ts';
import { CONTROL_TOKENS, type ControlToken, type Document } from '../corpus/dialogue.ts';

export type Merge = readonly [left: string, right: string];

const PIECES = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

function cut(text: string): readonly string[] {
  return text.match(PIECES) ?? [];
}

function spelled(piece: string): string[] {
  return [...utf8(piece)].map((byte) => BYTE_CHARACTERS[byte] ?? '');
}

interface Word {
  parts: string[];
  readonly count: number;
}

/** The most frequent pair again and again; of equals the first in order, so that there is one result. */
export function learnMerges(documents: Iterable<Document>, count: number): readonly Merge[] {
  const words = wordsOf(documents);
  const merges: Merge[] = [];
  while (merges.length < count) {
    const best = mostFrequent(words);
    if (best === undefined) break;
    merges.push(best);
    for (const word of words) word.parts = merged(word.parts, best);
  }
  return merges;
}

function wordsOf(documents: Iterable<Document>): readonly Word[] {
  const counts = new Map<string, number>();
  for (const document of documents) {
    for (const { kind, text } of document) {
      if (kind === 'control') continue;
      for (const piece of cut(text)) counts.set(piece, (counts.get(piece) ?? 0) + 1);
    }
  }
  return [...counts]
    .map(([piece, times]) => ({ parts: spelled(piece), count: times }))
    .filter(({ parts }) => parts.length > 1);
}

const BETWEEN = ' ';

function mostFrequent(words: readonly Word[]): Merge | undefined {
  const counts = new Map<string, number>();
  for (const { parts, count } of words) {
    for (let at = 1; at < parts.length; at++) {
      const pair = `${parts[at - 1]}${BETWEEN}${parts[at]}`;
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  }
  let best = '';
  let most = 1;
  for (const [pair, count] of counts) {
    if (count > most || (count === most && best !== '' && pair < best)) {
      best = pair;
      most = count;
    }
  }
  const [left, right] = best.split(BETWEEN);
  return left === undefined || right === undefined ? undefined : [left, right];
}

function merged(parts: readonly string[], [left, right]: Merge): string[] {
  const result: string[] = [];
  for (let at = 0; at < parts.length; at++) {
    const part = parts[at] ?? '';
    if (part === left && parts[at + 1] === right) {
      result.push(left + right);
      at++;
    } else {
      result.push(part);
    }
  }
  return result;
}

/** Bytes, then what was merged, then control tokens, then as many unused ones as make the size round. */
export interface Vocabulary {
  readonly tokens: readonly string[];
  readonly merges: readonly Merge[];
  readonly controlStart: number;
  readonly unusedStart: number;
}

const ROUND = 32;

export function vocabularyOf(merges: readonly Merge[]): Vocabulary {
  const spellings = [...BYTE_CHARACTERS, ...merges.map((pair) => pair.join(''))];
  const used = [...spellings, ...CONTROL_TOKENS];
  const unused = (ROUND - (used.length % ROUND)) % ROUND;
  return {
    tokens: [...used, ...Array.from({ length: unused }, (_, at) => `<unused${at}>`)],
    merges,
    controlStart: spellings.length,
    unusedStart: used.length,
  };
}

export class Tokenizer {
  readonly #ids: ReadonlyMap<string, number>;
  readonly #ranks: ReadonlyMap<string, number>;
  readonly #controlStart: number;
  readonly #known = new Map<string, readonly number[]>();

  constructor({ tokens, merges, controlStart }: Vocabulary) {
    this.#ids = new Map(tokens.slice(0, controlStart).map((token, id) => [token, id]));
    this.#ranks = new Map(merges.map((pair, rank) => [pair.join(BETWEEN), rank]));
    this.#controlStart = controlStart;
  }

  control(token: ControlToken): number {
    return this.#controlStart + CONTROL_TOKENS.indexOf(token);
  }

  encode(text: string): readonly number[] {
    return cut(text).flatMap((piece) => this.#piece(piece));
  }

  #piece(piece: string): readonly number[] {
    const known = this.#known.get(piece);
    if (known !== undefined) return known;
    let parts = spelled(piece);
    for (let pair = this.#next(parts); pair !== undefined; pair = this.#next(parts)) {
      parts = merged(parts, pair);
    }
    const ids = parts.map((part) => {
      const id = this.#ids.get(part);
      assert(id !== undefined, 'every part is a token');
      return id;
    });
    this.#known.set(piece, ids);
    return ids;
  }

  /** What was learnt first is merged first. */
  #next(parts: readonly string[]): Merge | undefined {
    let best: Merge | undefined;
    let least = Infinity;
    for (let at = 1; at < parts.length; at++) {
      const [left = '', right = ''] = parts.slice(at - 1, at + 1);
      const rank = this.#ranks.get(`${left}${BETWEEN}${right}`);
      if (rank === undefined || rank >= least) continue;
      least = rank;
      best = [left, right];
    }
    return best;
  }
}
