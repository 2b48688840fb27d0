/** Answers that begin and never end, so that whatever is killed meanwhile is killed in the middle of them. @module */

import { pacedEngine, type PacedEngine } from './paced.ts';

export const HALTING_WORD = 'word ';
export const HALTING_WORDS = 3;

export function haltingEngine(): PacedEngine {
  return pacedEngine({ of: () => ({ text: HALTING_WORD, allowed: HALTING_WORDS }) });
}
