/**
 * What an exchange costs: integers only, one rounding, up. Here and not in settlement/, because a client checks the
 * amount of every receipt. Spec: P§9.3.
 * @module
 */

import { assert } from '../core/errors.ts';
import type { PriceList } from '../attestation/verdict.ts';
import type { ReceiptOutcome, Usage } from './receipt.ts';

const TOKENS_PER_PRICE = 1_000_000n;

function perMillionUp(total: bigint): bigint {
  return (total + TOKENS_PER_PRICE - 1n) / TOKENS_PER_PRICE;
}

/** `base + ceil(Σ tokens·price / 1 000 000)` over the four disjoint kinds. */
export function amountOf(prices: PriceList, usage: Usage): bigint {
  for (const count of Object.values(usage)) {
    assert(Number.isSafeInteger(count) && count >= 0, 'token counts are whole and not negative');
  }
  const total =
    BigInt(usage.prompt) * prices.prompt +
    BigInt(usage.cached) * prices.cached +
    BigInt(usage.completion) * prices.completion +
    BigInt(usage.reasoning) * prices.reasoning;
  return prices.base + perMillionUp(total);
}

/** What a receipt says: an exchange that failed or was cancelled before it cost a token costs nothing, not even `base`. */
export function amountDue(prices: PriceList, usage: Usage, outcome: ReceiptOutcome): bigint {
  const tokens = usage.prompt + usage.cached + usage.completion + usage.reasoning;
  if (outcome !== 'ok' && tokens === 0) return 0n;
  return amountOf(prices, usage);
}

/** The most that `maxPrompt` and `maxOutput` tokens can cost, whatever kinds they turn out to be. */
export function ceilingOf(prices: PriceList, maxPrompt: number, maxOutput: number): bigint {
  const dearestInput = prices.prompt > prices.cached ? prices.prompt : prices.cached;
  const dearestOutput = prices.completion > prices.reasoning ? prices.completion : prices.reasoning;
  const total = BigInt(maxPrompt) * dearestInput + BigInt(maxOutput) * dearestOutput;
  return prices.base + perMillionUp(total);
}

/** Only such a list may be asked for with a ceiling of zero. */
export function isFree(prices: PriceList): boolean {
  return ceilingOf(prices, 1, 1) === 0n;
}
