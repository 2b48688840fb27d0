/**
 * The gateway's one wallet: channels pay into it and it pays workers, so that whoever watches it sees both. A
 * highload-wallet-v3 around a key that stays in here. Spec: ton-settlement §4.7, D5, D9.
 * @module
 */

import type { Cell } from '@ton/core';
import { signVoucher, type Voucher, type VoucherTerms } from '../voucher.ts';
import type { Bytes } from '../../core/bytes.ts';
import type { ReadOptions, TonChain } from './chain.ts';
import { openHighloadWallet, queryIdOf, QUERY_IDS } from './wallet/highload.ts';
import { paymentOf, type Transfer } from './wallet/transfer.ts';

export interface TreasuryState {
  readonly isDeployed: boolean;
  readonly balance: bigint;
  /** Of its newest transaction; 0 before any. */
  readonly lt: bigint;
  /** The chain's clock. */
  readonly timeS: number;
}

export interface TreasuryOrder {
  /** Names it. No two of one second. */
  readonly createdAtS: number;
  readonly transfers: readonly Transfer[];
  readonly wallet: 'new' | 'deployed';
}

export interface SignedOrder {
  readonly message: Cell;
  readonly queryId: number;
  readonly orderHash: string;
  /** From then on it cannot happen any more. */
  readonly expiresAtS: number;
}

export interface Treasury {
  /** Raw. */
  readonly address: string;
  readonly publicKey: Bytes<32>;
  /** Throws as the chain does. */
  readState(chain: TonChain, options?: ReadOptions): Promise<TreasuryState>;
  /** The same order is the same message, to the byte. */
  sign(order: TreasuryOrder): SignedOrder;
  expiresAtS(createdAtS: number): number;
  queryIdOf(createdAtS: number): number;
  /** For workers: on channels that this wallet pays into. */
  signVoucher(terms: VoucherTerms): Voucher;
}

/** Part of the address: a treasury with another one is another wallet. */
export const TREASURY_TIMEOUT_S = 3600;

/** Throws `ton.wallet`. */
export function openTreasury(
  seed: Bytes<32>,
  options: { readonly timeoutS: number } = { timeoutS: TREASURY_TIMEOUT_S },
): Treasury {
  const wallet = openHighloadWallet(seed, options);
  return {
    address: wallet.address.toRawString(),
    publicKey: wallet.publicKey,
    readState: async (chain, readOptions) => {
      const { state, balanceNanoton, last, timeS } = await chain.readAccount(
        wallet.address,
        readOptions,
      );
      const lt = last?.lt ?? 0n;
      return { isDeployed: state === 'active', balance: balanceNanoton, lt, timeS };
    },
    sign: ({ createdAtS, transfers, wallet: form }) =>
      wallet.batch({
        number: numberOf(createdAtS),
        payments: transfers.map(paymentOf),
        createdAtS,
        wallet: form,
      }),
    expiresAtS: (createdAtS) => createdAtS + wallet.timeoutS,
    queryIdOf: (createdAtS) => queryIdOf(numberOf(createdAtS)),
    signVoucher: (terms) => signVoucher(seed, terms),
  };
}

/** Comes round after 97 days; the wallet forgets a number after its timeout. */
function numberOf(createdAtS: number): number {
  return createdAtS % QUERY_IDS;
}
