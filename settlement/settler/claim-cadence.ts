/** When a channel is claimed, and how much of it can be. Pure. Spec: ton-settlement §4.10. @module */

import type { Account } from '../ledger/ledger.ts';
import { amount, NOTHING, type Amount } from '../money.ts';
import { CHANNEL_FEES } from '../ton/contracts/pay-channel.ts';
import type { KnownChannel } from './channels.ts';
import type { ClaimPolicy } from './policy.ts';

export type ClaimReason =
  /** By agreement: the last one of this epoch. */
  | 'final'
  /** The payer withdraws: what is not claimed in time is lost. */
  | 'closing'
  | 'amount'
  | 'age'
  | 'utilisation'
  /** Nothing more is admitted before one was seen. */
  | 'ramp'
  | 'asked';

const PERCENT = 100n;
const MS_PER_S = 1000;
/** Chances to claim again before a withdraw unlocks. */
const CLOSING_CHANCES = 4;
const WITNESSES_ENOUGH = 2;

/** What a claim would bring: what was charged, promised, and is still there. */
export function claimableOf(account: Account): Amount {
  const { charged, ceiling, deposited, refunded, claimed, voucherSignature } = account;
  if (voucherSignature === undefined) return NOTHING;
  const held = deposited - refunded;
  const most = [charged, ceiling, held].reduce((a, b) => (b < a ? b : a));
  return most > claimed ? amount(most - claimed) : NOTHING;
}

export interface ClaimMoment {
  readonly channel: Pick<KnownChannel, 'sinceMs' | 'sentMs' | 'status' | 'unlockAtS' | 'witnesses'>;
  readonly policy: ClaimPolicy;
  readonly nowMs: number;
}

/** Undefined: not now. */
export function claimReason(account: Account, moment: ClaimMoment): ClaimReason | undefined {
  if (isTooSoon(moment)) return undefined;
  const claimable = claimableOf(account);
  if (account.isClosing) return 'final';
  // Below this the chain does not take it from outside.
  if (claimable < CHANNEL_FEES.minExternal) return undefined;
  if (moment.channel.status === 'closing') return 'closing';
  return reasonOf(account, claimable, moment);
}

function reasonOf(
  account: Account,
  claimable: Amount,
  { channel, policy, nowMs }: ClaimMoment,
): ClaimReason | undefined {
  if (claimable >= policy.amount) return 'amount';
  const { deposited, refunded, claimed } = account;
  const held = deposited - refunded - claimed;
  if (claimable * PERCENT >= held * BigInt(policy.utilisationPercent)) return 'utilisation';
  // Half of it, because what is reserved counts against the ramp and cannot be claimed yet.
  const isOnRamp = claimed === 0n && channel.witnesses < WITNESSES_ENOUGH;
  if (isOnRamp && claimable * 2n >= policy.rampCap) return 'ramp';
  const isAged = nowMs - channel.sinceMs >= policy.ageMs;
  return isAged && claimable >= policy.agedAmount ? 'age' : undefined;
}

function isTooSoon({ channel, policy, nowMs }: ClaimMoment): boolean {
  if (channel.sentMs === undefined) return false;
  const leftMs = Math.max(0, channel.unlockAtS * MS_PER_S - nowMs);
  const waitMs =
    channel.status === 'closing'
      ? Math.min(policy.intervalMs, leftMs / CLOSING_CHANCES)
      : policy.intervalMs;
  return nowMs - channel.sentMs < waitMs;
}
