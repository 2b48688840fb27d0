/**
 * The chain as settlement sees it. What is read was said alike by several providers, at a block that the masterchain has
 * committed; what is sent goes to all of them. Nothing here waits past its deadline.
 * Spec: ton-settlement §4.6, §4.11 rule 7.
 * @module
 */

import type { Address, Cell, Transaction, TupleItem } from '@ton/core';
import type { TonNetwork } from './network.ts';

export interface TransactionId {
  readonly lt: bigint;
  /** Hexadecimal. */
  readonly hash: string;
}

export interface AccountState {
  readonly state: 'uninitialized' | 'active' | 'frozen';
  readonly balanceNanoton: bigint;
  readonly code: Cell | undefined;
  readonly data: Cell | undefined;
  /** Undefined: nothing has ever happened to it. */
  readonly last: TransactionId | undefined;
  /** Of the masterchain block that all of those who agreed had seen. */
  readonly seqno: number;
  readonly timeS: number;
  readonly agreedBy: readonly string[];
}

export interface TransactionsSince {
  /** Oldest first. Each is bound to the agreed state by the chain of hashes: one provider cannot invent or leave out any. */
  readonly transactions: readonly Transaction[];
  /** False when there are more between these and `afterLt` than were asked for. */
  readonly isComplete: boolean;
}

export interface ReadOptions {
  readonly signal?: AbortSignal;
  readonly deadlineMs?: number;
}

export type ChainHealth =
  | { readonly kind: 'reachable' }
  | { readonly kind: 'unreachable'; readonly sinceMs: number; readonly code: string };

export interface ProviderHealth {
  readonly name: string;
  /** The code of the last failure, since the last success. */
  readonly failing: string | undefined;
  /** How often it said what the others did not. */
  readonly contradictions: number;
  readonly isExcluded: boolean;
}

/** Reads throw `ton.unreachable`, `ton.disagree`, `ton.network`. */
export interface TonChain {
  readonly network: TonNetwork;
  readAccount(address: Address, options?: ReadOptions): Promise<AccountState>;
  /** Throws `ton.get_method` too. */
  runGetMethod(
    address: Address,
    method: string,
    stack: readonly TupleItem[],
    options?: ReadOptions,
  ): Promise<readonly TupleItem[]>;
  /** Throws `ton.history` too. */
  transactionsSince(
    address: Address,
    afterLt: bigint,
    options?: ReadOptions & { readonly limit?: number },
  ): Promise<TransactionsSince>;
  /**
   * Done when one provider has taken it: that says nothing about what the chain makes of it. Throws `ton.not_accepted`
   * when as many as must agree say so; after `ton.unreachable` it may have arrived all the same, until it expires.
   */
  send(message: Cell, options?: ReadOptions): Promise<void>;
  health(): ChainHealth;
  providers(): readonly ProviderHealth[];
  close(): Promise<void>;
}
