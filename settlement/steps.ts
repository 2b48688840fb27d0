/**
 * Pay as you go, as payer and gateway count it alike: a chunk is two steps, and reserved is always three of them beyond what
 * is used. One is generated, one is left for the payer to follow in, and one for the worker to hear that nobody did.
 * Spec: ton-settlement §4.4; P§10.7.
 * @module
 */

import type { PriceList } from '../attestation/verdict.ts';
import { ceilingOf } from './price.ts';

/** Reserved beyond what is used. */
export const STEPS_AHEAD = 3;

/** Of a chunk in tokens of output, as the payer asks for it. */
export function stepTokens(chunkTokens: number): number {
  return Math.max(1, Math.ceil(chunkTokens / 2));
}

/** Tokens of output that are reserved before a metered answer begins. */
export function tokensAtFirst(chunkTokens: number): number {
  return stepTokens(chunkTokens) * STEPS_AHEAD;
}

/** The most that so many more tokens of output can cost, in an answer that has begun. */
export function costOfMore(prices: PriceList, tokens: number): bigint {
  return ceilingOf({ ...prices, base: 0n }, 0, tokens);
}
