/** Paying into a channel from a wallet, and making it along the way. Spec: ton-settlement §4.8. @module */

import type { Bytes } from '../../../core/bytes.ts';
import { CHANNEL_FEES, depositBody, type ContractInit } from '../contracts/pay-channel.ts';
import { transferOf, type Transfer } from '../wallet/transfer.ts';
import { addressOfId } from './place.ts';

export interface ChannelDeposit {
  readonly channel: Bytes<32>;
  readonly init: ContractInit;
  /** To be counted as deposited. */
  readonly amount: bigint;
  /** The first one brings the code, and the rent. */
  readonly first: boolean;
}

export function channelDeposit({ channel, init, amount, first }: ChannelDeposit): Transfer {
  const least = amount > CHANNEL_FEES.minDeposit ? amount : CHANNEL_FEES.minDeposit;
  const fees = CHANNEL_FEES.depositFee + (first ? CHANNEL_FEES.rent : 0n);
  return transferOf({
    to: addressOfId(channel),
    nanoton: least + fees,
    body: depositBody(0n),
    ...(first ? { init } : {}),
  });
}
