/** The corpus as the trainer reads it: trainer/corpus.h says how. @module */

import { concat, utf8 } from '../../../core/bytes.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { CONTROL_TOKENS, type Document } from './dialogue.ts';

const MAGIC = 'VGCORPUS';
/** How an answer begins decides what kind of answer it is, and is one token of many. */
const OPENING_WEIGHT = 6;

/** A token of an answer that has to be worked out counts `workedOutWeight`. */
export function encodeCorpus(
  documents: Iterable<Document>,
  tokenizer: Tokenizer,
  workedOutWeight: number,
): Uint8Array {
  const tokens: number[] = [];
  const weights: number[] = [];
  const starts: number[] = [];
  for (const document of documents) {
    starts.push(tokens.length);
    for (const piece of document) {
      const ids = idsOf(piece, tokenizer);
      for (const [at, id] of ids.entries()) {
        tokens.push(id);
        weights.push(weightOf(piece, at, workedOutWeight));
      }
    }
  }
  return concat(
    utf8(MAGIC),
    bytesOf(Uint32Array.of(tokens.length, starts.length)),
    bytesOf(Uint16Array.from(tokens)),
    Uint8Array.from(weights),
    bytesOf(Uint32Array.from(starts)),
  );
}

function weightOf(
  { kind, learnt, isWorkedOut }: Document[number],
  at: number,
  workedOutWeight: number,
): number {
  if (!learnt) return 0;
  if (kind === 'text' && at === 0) return OPENING_WEIGHT;
  return isWorkedOut === true ? workedOutWeight : 1;
}

function idsOf({ kind, text }: Document[number], tokenizer: Tokenizer): readonly number[] {
  if (kind === 'text') return tokenizer.encode(text);
  const token = CONTROL_TOKENS.find((name) => name === text);
  return token === undefined ? [] : [tokenizer.control(token)];
}

function bytesOf(numbers: Uint16Array | Uint32Array): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}
