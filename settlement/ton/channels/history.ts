/** The treasury's transactions since the last look, as what they mean. Spec: ton-settlement §4.8 (notice). @module */

import { Address } from '@ton/core';
import type { ReadOptions, TonChain } from '../chain.ts';
import { readTreasuryEvent, type TreasuryEvent } from './treasury.ts';

export interface TreasuryHistory {
  /** Oldest first. */
  readonly events: readonly TreasuryEvent[];
  /** Of the newest transaction; as asked when there was none. */
  readonly lt: bigint;
  /** False: there were more than `limit`, and what is here begins after a gap. */
  readonly isComplete: boolean;
}

/** Throws as the chain does. */
export async function treasuryHistory(
  chain: TonChain,
  treasury: string,
  options: ReadOptions & { readonly afterLt: bigint; readonly limit: number },
): Promise<TreasuryHistory> {
  const { afterLt, ...rest } = options;
  const address = Address.parseRaw(treasury);
  const { transactions, isComplete } = await chain.transactionsSince(address, afterLt, rest);
  const events = transactions.flatMap((transaction) => {
    const event = readTreasuryEvent(transaction, treasury);
    return event === undefined ? [] : [event];
  });
  return { events, lt: transactions.at(-1)?.lt ?? afterLt, isComplete };
}
