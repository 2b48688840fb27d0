/** When the settler does what, and how much of it. Spec: ton-settlement §4.6, §4.7, §4.10. @module */

import { RAMP_CAPS } from '../ledger/limits.ts';
import { amount, type Amount } from '../money.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export interface ClaimPolicy {
  /** Unclaimed, and it is claimed. */
  readonly amount: Amount;
  /** After `ageMs` this is enough: fifty times the fee. */
  readonly agedAmount: Amount;
  readonly ageMs: number;
  /** Of what the channel holds, charged and reserved. */
  readonly utilisationPercent: number;
  /** Between two claims of one channel. */
  readonly intervalMs: number;
  /** Until the first claim was seen, this is enough: no more can be earned before. */
  readonly rampCap: Amount;
}

export interface PayoutPolicy {
  readonly amount: Amount;
  /** Every so often, whoever is owed `agedAmount` is paid. */
  readonly ageMs: number;
  readonly agedAmount: Amount;
}

/** Channels of ours to workers. Into one of them goes what its worker has earned and one deposit, in all, and never more. */
export interface WorkerChannelPolicy {
  /** Beyond what is owed, at first; and when less than half of it is still to be earned, as much again as is missing. */
  readonly deposit: Amount;
  /** A deposit leaves this in the treasury, beside what is owed by transfers. */
  readonly reserve: Amount;
  /** So many at once; whoever comes later is paid by transfers. */
  readonly max: number;
}

export interface SettlerPolicy {
  /** Between two rounds. */
  readonly roundMs: number;
  readonly claims: ClaimPolicy;
  readonly payouts: PayoutPolicy;
  readonly anchor: { readonly everyMs: number } | 'off';
  /** A channel is read at least this often, and eight times within its withdraw delay. */
  readonly readEveryMs: number;
  /** After an order was carried out, the chain has so long to show it where the money went. */
  readonly settleMs: number;
  /** The chain may be waited for so long at the start. */
  readonly startMs: number;
  /** Custodial accounts are paid in by transfers with a memo. */
  readonly topUps: { readonly minimum: Amount } | 'off';
  /** `off`: none is opened or filled; those that are there pay out what they hold. */
  readonly workerChannels: WorkerChannelPolicy | 'off';
}

export const SETTLER_POLICY: SettlerPolicy = {
  roundMs: 10_000,
  claims: {
    amount: amount(1_000_000_000n),
    agedAmount: amount(220_000_000n),
    ageMs: DAY_MS,
    utilisationPercent: 80,
    intervalMs: 10 * MINUTE_MS,
    rampCap: RAMP_CAPS.TON,
  },
  payouts: { amount: amount(1_000_000_000n), ageMs: DAY_MS, agedAmount: amount(47_000_000n) },
  anchor: { everyMs: HOUR_MS },
  readEveryMs: 30 * MINUTE_MS,
  settleMs: 5 * MINUTE_MS,
  startMs: 30_000,
  topUps: 'off',
  workerChannels: 'off',
};

/** The message of an order to the wallet itself, and the gas of both. */
export const ORDER_FEE: Amount = amount(150_000_000n);
/** Of one payment in an order, at most. */
export const PAID_FEE: Amount = amount(5_000_000n);
/** Of what one settler keeps and asks for. */
export const CHANNELS_MAX = 100_000;
export const WORKER_CHANNELS_MAX = 10_000;
/** Less would be eaten by rent and fees, which are 0.07 for one that is opened and claimed once. */
export const WORKER_DEPOSIT_MIN: Amount = amount(100_000_000n);
/**
 * Of the deposit, earned here in all before a worker gets a channel: whoever registers many workers has to bring a deposit's
 * worth of paid work for each.
 */
export const WORKER_EARNED_MIN_PERCENT = 100n;
/** Of the deposit: when less is still to be earned, the channel is filled again. */
export const WORKER_REFILL_PERCENT = 50n;
/** Of an operator's page. */
export const WORKER_CHANNELS_SHOWN_MAX = 100;
export const ORDERS_MAX = 1000;
/** Reads of channels that are on their way together. */
export const READS_TOGETHER = 4;
/** Transactions of the treasury in one look; more is looked at in one piece up to the second number. */
export const HISTORY_PAGE = 1000;
export const HISTORY_LOOK_MAX = 200_000;
export const HISTORY_DEADLINE_MS = 10 * MINUTE_MS;
/** A claim that was sent should be on chain by then. */
export const CLAIM_SEEN_AFTER_MS = 15_000;
export const READS_PER_WITHDRAW_DELAY = 8;
/** Unread for longer than this part of its withdraw delay, a channel is not served. */
export const DOUBTS_PER_WITHDRAW_DELAY = 2;
/** Behind the chain's clock, so that an order is never of its future. */
export const ORDER_CLOCK_MARGIN_S = 5;
/** After an order's end: clocks of block makers differ a little. */
export const ORDER_GRACE_S = 60;
export const ANCHOR_VALID_S = 600;
export const ANCHOR_FUNDING: Amount = amount(100_000_000n);
/** Below this the anchor is filled up again; one head costs 0.0016. */
export const ANCHOR_FLOOR: Amount = amount(20_000_000n);
