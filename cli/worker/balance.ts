/** One book in a few numbers: what was earned and where it is now. Spec: P§15.2; ton-settlement §4.7. @module */

import { toHex } from '../../core/bytes.ts';
import { AMOUNT_MAX, amount, type Amount } from '../../settlement/money.ts';
import type { BookReport, KeptVoucher } from '../../enclave-worker/earnings/store.ts';
import type { ChannelState } from '../../settlement/ton/contracts/pay-channel.ts';

export interface Balance {
  /** By the worker's own receipts, with what the gateway had counted before the book began. */
  readonly earned: Amount;
  readonly acknowledged: Amount;
  readonly vouchered: Amount;
  /** By transfers, as the gateway says. */
  readonly paid: Amount;
  /** From channels, as the chain says; undefined when it was not asked. */
  readonly claimed: Amount | undefined;
  /** Earned, and neither paid nor promised by a voucher. */
  readonly unpaid: Amount;
}

export function balanceOf(
  { sums, vouchers }: BookReport,
  states: ReadonlyMap<string, ChannelState> | undefined,
): Balance {
  const earned = (sums.before ?? 0n) + sums.issued;
  const newest = newestVouchers(vouchers);
  const vouchered = sumOf(newest.map(({ ceiling }) => ceiling));
  const paid = sums.acknowledged?.paid ?? 0n;
  const claimed = newest.map(({ channel }) => states?.get(toHex(channel))?.claimed ?? 0n);
  return {
    earned: shown(earned),
    acknowledged: shown(sums.acknowledged?.earned ?? 0n),
    vouchered: shown(vouchered),
    paid: shown(paid),
    claimed: states === undefined ? undefined : shown(sumOf(claimed)),
    unpaid: shown(earned - paid - vouchered),
  };
}

/** Of each channel the one of its latest epoch. */
export function newestVouchers(vouchers: readonly KeptVoucher[]): readonly KeptVoucher[] {
  const newest = new Map<string, KeptVoucher>();
  for (const voucher of vouchers) {
    const known = newest.get(toHex(voucher.channel));
    if (known === undefined || known.epoch < voucher.epoch) {
      newest.set(toHex(voucher.channel), voucher);
    }
  }
  return [...newest.values()];
}

export function sumOf(values: readonly bigint[]): bigint {
  return values.reduce((sum, value) => sum + value, 0n);
}

/** What does not fit a ledger is nobody's money. */
export function shown(value: bigint): Amount {
  if (value < 0n) return amount(0n);
  return amount(value > AMOUNT_MAX ? AMOUNT_MAX : value);
}
