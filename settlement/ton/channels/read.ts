/**
 * What a channel is now, from its account: code, terms and counters of one block that enough providers agree on.
 * Spec: ton-settlement §4.6, §4.11 rule 7.
 * @module
 */

import type { Cell } from '@ton/core';
import type { Bytes } from '../../../core/bytes.ts';
import { amount, type Amount } from '../../money.ts';
import type { ReadOptions, TonChain } from '../chain.ts';
import { decodeChannelData, type ChannelStatus } from '../contracts/pay-channel.ts';
import { addressOfId, CHANNEL_CODE_HASHES } from './place.ts';

export interface ReadChannel {
  readonly outcome: 'read';
  readonly status: ChannelStatus;
  readonly epoch: number;
  readonly deposited: Amount;
  readonly claimed: Amount;
  readonly refunded: Amount;
  readonly withdrawing: Amount;
  /** Unix seconds; means something while closing. */
  readonly unlockAtS: number;
  readonly payerKey: Bytes<32>;
  readonly termsHash: string;
  readonly balance: bigint;
  readonly blockSeqno: number;
  /** The chain's clock at that block. */
  readonly timeS: number;
  readonly witnesses: number;
}

export type ChannelReading =
  | ReadChannel
  /** Nothing is there; rent can have frozen it; or other code than ours is. */
  | { readonly outcome: 'absent' }
  | { readonly outcome: 'frozen' }
  | { readonly outcome: 'foreign' };

/** Throws as the chain does. */
export async function readChannel(
  chain: TonChain,
  id: Bytes<32>,
  options?: ReadOptions,
): Promise<ChannelReading> {
  const account = await chain.readAccount(addressOfId(id), options);
  if (account.state === 'uninitialized') return { outcome: 'absent' };
  if (account.state === 'frozen') return { outcome: 'frozen' };
  const { code, data } = account;
  if (code === undefined || data === undefined) return { outcome: 'foreign' };
  if (!CHANNEL_CODE_HASHES.includes(code.hash().toString('hex'))) return { outcome: 'foreign' };
  const read = countersOf(data);
  if (read === undefined) return { outcome: 'foreign' };
  return {
    outcome: 'read',
    ...read,
    balance: account.balanceNanoton,
    blockSeqno: account.seqno,
    timeS: account.timeS,
    witnesses: account.agreedBy.length,
  };
}

function countersOf(data: Cell) {
  try {
    const { deposited, claimed, refunded, withdrawing, unlockAt, ...rest } =
      decodeChannelData(data);
    return {
      ...rest,
      unlockAtS: unlockAt,
      deposited: amount(deposited),
      claimed: amount(claimed),
      refunded: amount(refunded),
      withdrawing: amount(withdrawing),
    };
  } catch {
    // Data that our code cannot have written, or sums that no ledger holds: somebody lies, and it is no channel to us.
    return undefined;
  }
}
