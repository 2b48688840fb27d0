/**
 * Whether a channel that a gateway shows pays this owner and nobody else, and whether a voucher on it is good. Nothing here
 * asks the chain: what the channel holds is holdings.ts. Spec: P§15.2; ton-settlement §3.4, §4.7.
 * @module
 */

import { equalPublic, isZero } from '../../core/bytes.ts';
import type { SettledChannel } from '../../protocol/settled.ts';
import type { Asset } from '../../settlement/money.ts';
import { appraisePayerKey } from '../../settlement/payer-key.ts';
import { channelOfTerms } from '../../settlement/ton/worker-channel.ts';
import { parseVoucherUnverified, verifyVoucher } from '../../settlement/voucher.ts';
import type { KeptVoucher } from './store.ts';

export interface ChannelDemands {
  /** Of the card. The contract counts coins: a channel for anything else would pay one unit with another. */
  readonly asset: Asset;
  /** Raw; undefined for a card without one: then no channel is sound. */
  readonly payout: string | undefined;
  /** CAIP-2. */
  readonly network: string;
  readonly withdrawDelayMinS: number;
}

export type ChannelFault =
  | 'channel_asset'
  | 'payee'
  | 'network'
  | 'lock'
  | 'payer_key'
  | 'delay'
  | 'channel'
  | 'voucher_channel'
  | 'voucher_signature'
  | 'voucher_lower';

export type JudgedChannel =
  | { readonly outcome: 'sound'; readonly voucher: KeptVoucher | undefined }
  | { readonly outcome: 'unsound'; readonly fault: ChannelFault };

/** `known`: the best vouchers so far. */
export function judgeChannel(
  shown: SettledChannel,
  demands: ChannelDemands,
  known: readonly KeptVoucher[],
): JudgedChannel {
  const { terms, channel } = shown;
  const isMet: readonly (readonly [ChannelFault, () => boolean])[] = [
    ['channel_asset', () => demands.asset === 'TON'],
    ['payee', () => terms.payee === demands.payout],
    ['network', () => terms.network === demands.network],
    ['lock', () => isZero(terms.payeeKey)],
    // Verifiers differ about other keys, and then the chain may refuse what was verified here.
    ['payer_key', () => appraisePayerKey(terms.payerKey) === 'sound'],
    ['delay', () => terms.withdrawDelayS >= demands.withdrawDelayMinS],
    ['channel', () => equalPublic(channelOfTerms(terms), channel)],
  ];
  for (const [fault, holds] of isMet) if (!holds()) return { outcome: 'unsound', fault };
  return judgeVoucher(shown, known);
}

function judgeVoucher(
  { terms, channel, voucher: bytes }: SettledChannel,
  known: readonly KeptVoucher[],
): JudgedChannel {
  if (bytes === null) return { outcome: 'sound', voucher: undefined };
  const voucher = parseVoucherUnverified(bytes);
  const { epoch, ceiling } = voucher;
  if (!equalPublic(voucher.channel, channel)) {
    return { outcome: 'unsound', fault: 'voucher_channel' };
  }
  if (verifyVoucher(voucher, terms.payerKey) === undefined) {
    return { outcome: 'unsound', fault: 'voucher_signature' };
  }
  const best = known.find((kept) => kept.epoch === epoch && equalPublic(kept.channel, channel));
  if (best !== undefined && ceiling < best.ceiling) {
    return { outcome: 'unsound', fault: 'voucher_lower' };
  }
  return { outcome: 'sound', voucher: { channel, terms, epoch, ceiling, voucher: bytes } };
}
