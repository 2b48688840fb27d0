/**
 * What a gateway wants before it serves: the header beside a 402. Nobody signed it, so it decides nothing by itself; our own
 * signature in it does. Spec: ton-settlement §4.5 "Corrective 402".
 * @module
 */

import { equalPublic, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import {
  parsePaymentRequired,
  PAYMENT_REQUIRED_HEADER,
  type PaymentRequired,
} from '../../settlement/x402.ts';
import { verifyVoucher } from '../../settlement/voucher.ts';
import { clientError } from '../errors.ts';
import type { Forgotten } from './account.ts';

const DEMANDS = new WeakMap<Error, PaymentRequired>();

/** Undefined when the response is no demand that can be read: then it stays a refusal like any other. */
export function demandIn(response: Response): VeilError | undefined {
  const header = response.headers.get(PAYMENT_REQUIRED_HEADER);
  if (response.status !== 402 || header === null) return undefined;
  try {
    const demand = parsePaymentRequired(header);
    const error = refusalFor(demand);
    DEMANDS.set(error, demand);
    return error;
  } catch (error) {
    if (error instanceof VeilError) return undefined;
    throw error;
  }
}

export function demandOf(error: unknown): PaymentRequired | undefined {
  return error instanceof Error ? DEMANDS.get(error) : undefined;
}

const TERMINAL = {
  insufficient_deposit: 'client.pay_insufficient_deposit',
  insufficient_ceiling: 'client.pay_insufficient_ceiling',
  channel_closing: 'client.pay_channel_closing',
  channel_unknown: 'client.pay_channel_unknown',
  channel_unsynced: 'client.pay_channel_unsynced',
  account_frozen: 'client.pay_account_frozen',
  epoch_mismatch: 'client.pay_epoch_mismatch',
  voucher_bad_signature: 'client.pay_voucher_bad_signature',
} as const;
const TERMINAL_BY_CODE: ReadonlyMap<string, (typeof TERMINAL)[keyof typeof TERMINAL]> = new Map(
  Object.entries(TERMINAL),
);

/** The words that have an error of their own. */
export const DEMAND_CODES: readonly string[] = Object.keys(TERMINAL);

/** The gateway's word as ours. */
export function refusalFor({ code }: Pick<PaymentRequired, 'code'>): VeilError {
  return clientError(TERMINAL_BY_CODE.get(code) ?? 'client.pay_refused', '', {
    facts: { demanded: code },
  });
}

export interface DemandView {
  readonly channel: Bytes<32>;
  readonly payerKey: Bytes<32>;
  readonly epoch: number;
  /** The highest that this client knows to have signed in this epoch. */
  readonly ceiling: bigint;
  /** Whether this client's count began with the channel. */
  readonly baseline: 'known' | 'unknown';
}

/**
 * What the demand proves that we forgot; undefined when it proves nothing and another voucher would not help. Throws
 * `client.pay_*` for what speaks against the gateway.
 */
export function forgottenIn(demand: PaymentRequired, view: DemandView): Forgotten | undefined {
  const { channelState: state, voucherState: shown } = demand;
  if (state === undefined || shown === undefined) return undefined;
  if (!equalPublic(state.channel, view.channel)) throw disputed('channel');
  // An epoch is the chain's to say. A voucher for one to come would hold after a withdraw that ended this one.
  if (state.epoch !== view.epoch || shown.epoch !== view.epoch) {
    throw clientError('client.pay_epoch_mismatch', `shown ${state.epoch}, known ${view.epoch}`);
  }
  const voucher = { channel: view.channel, ...shown };
  if (verifyVoucher(voucher, view.payerKey) === undefined) throw disputed('signature');
  // More than was ever promised cannot be charged: whoever says so has no books, or cooks them.
  if (state.charged > maxOf(shown.ceiling, view.ceiling)) throw disputed('charged');
  // Who began without a memory believes once, within what it signed; who has one has nothing to learn here.
  if (shown.ceiling <= view.ceiling && view.baseline === 'known') return undefined;
  return {
    ceiling: shown.ceiling,
    charged: state.charged,
    reserved: state.reserved,
    n: state.n,
  };
}

function maxOf(one: bigint, other: bigint): bigint {
  return one > other ? one : other;
}

function disputed(what: string): VeilError {
  return clientError('client.pay_disputed', what);
}
