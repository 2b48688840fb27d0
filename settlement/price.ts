/**
 * Prices on the way to the ledger: the amount (one function with the client's check of the receipt), the ceiling that a
 * gateway reserves, and the split between worker and gateway. Spec: P§9.3; ton-settlement §4.1.
 * @module
 */

import { assert } from '../core/errors.ts';

export { amountDue, amountOf, ceilingOf, isFree } from '../protocol/price.ts';

const BASIS_POINTS = 10_000n;

/** The worker's part is rounded down and the gateway keeps the rest, so the two always add up to `amount`. */
export function splitAmount(
  amount: bigint,
  feeBps: number,
): { readonly worker: bigint; readonly gateway: bigint } {
  assert(amount >= 0n, 'an amount is not negative');
  assert(Number.isInteger(feeBps) && feeBps >= 0 && feeBps <= 10_000, 'fee in basis points');
  const worker = (amount * (BASIS_POINTS - BigInt(feeBps))) / BASIS_POINTS;
  return { worker, gateway: amount - worker };
}
