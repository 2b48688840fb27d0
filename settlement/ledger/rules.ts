/**
 * What an account allows and how it changes: pure arithmetic that every driver shares, so that two drivers cannot differ
 * about money. Spec: ton-settlement §4.2 (admission), §4.5 (codes), §4.11 (merging).
 * @module
 */

import { equalPublic } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { AMOUNT_MAX, amount, NOTHING, type Amount } from '../money.ts';
import type { VerifiedVoucher } from '../voucher.ts';
import type {
  Account,
  AccountTerms,
  AdmissionCode,
  ChainState,
  Reserve,
  SoleVoucher,
  VoucherOutcome,
} from './ledger.ts';

/** What terms say of an account. */
export function ofTerms(terms: AccountTerms): Pick<Account, 'id' | 'kind' | 'asset' | 'payerKey'> {
  const { id, kind, asset } = terms;
  return { id, kind, asset, payerKey: kind === 'channel' ? terms.payerKey : undefined };
}

export function newAccount(terms: AccountTerms): Account {
  return {
    ...ofTerms(terms),
    epoch: 0,
    deposited: NOTHING,
    refunded: NOTHING,
    withdrawing: NOTHING,
    claimed: NOTHING,
    ceiling: NOTHING,
    voucherSignature: undefined,
    charged: NOTHING,
    reserved: NOTHING,
    n: 0n,
    standing: 'good',
    isClosing: false,
    blockSeqno: 0,
  };
}

export function isOfTerms(account: Account, terms: AccountTerms): boolean {
  if (account.kind !== terms.kind || account.asset !== terms.asset) return false;
  if (terms.kind !== 'channel') return true;
  return account.payerKey !== undefined && equalPublic(account.payerKey, terms.payerKey);
}

export type Taken =
  | { readonly outcome: 'accepted'; readonly account: Account }
  | {
      readonly outcome: 'refused';
      readonly code: Exclude<
        Extract<VoucherOutcome, { outcome: 'refused' }>['code'],
        'channel_unknown'
      >;
    };

/** Cumulative: the highest of an epoch is the one that counts. */
export function takeVoucher(account: Account, voucher: VerifiedVoucher): Taken {
  const isOfPayer =
    account.payerKey !== undefined &&
    equalPublic(account.payerKey, voucher.payerKey) &&
    equalPublic(account.id, voucher.channel);
  if (!isOfPayer) return { outcome: 'refused', code: 'voucher_bad_signature' };
  if (voucher.epoch !== account.epoch) return { outcome: 'refused', code: 'epoch_mismatch' };
  if (voucher.ceiling < account.ceiling) return { outcome: 'refused', code: 'voucher_stale' };
  const { ceiling, signature } = voucher;
  return { outcome: 'accepted', account: { ...account, ceiling, voucherSignature: signature } };
}

/** What is signed later was not signed for whoever has this one alone. */
export function isOvertaken(account: Account, sole: SoleVoucher | undefined): boolean {
  if (sole === undefined) return false;
  return account.epoch !== sole.epoch || account.ceiling > sole.ceiling;
}

/** What is known about a channel's state, and how much may be owed on the word of one. */
export interface ChainTrust {
  /** 0: nothing was read since the ledger was opened. */
  readonly witnesses: number;
  readonly rampCap: Amount;
}

const WITNESSES_ENOUGH = 2;

export type Admission =
  | { readonly outcome: 'admitted'; readonly account: Account }
  | { readonly outcome: 'refused'; readonly code: AdmissionCode };

/** The order of the checks is the order in which a payer can mend them. */
export function admit(
  account: Account,
  trust: ChainTrust,
  { asset, need, quoteValidUntilMs, nowMs }: Omit<Reserve, 'voucher' | 'sole'>,
): Admission {
  if (account.asset !== asset) return { outcome: 'refused', code: 'asset_unsupported' };
  const unfit = unfitness(account, trust);
  if (unfit !== undefined) return { outcome: 'refused', code: unfit };
  if (nowMs > quoteValidUntilMs) return { outcome: 'refused', code: 'quote_expired' };
  return admitMore(account, trust, need);
}

/** For a request that was admitted before. */
export function admitMore(account: Account, trust: ChainTrust, more: Amount): Admission {
  const code = unfitness(account, trust) ?? shortfall(account, more, trust);
  if (code !== undefined) return { outcome: 'refused', code };
  return { outcome: 'admitted', account: { ...account, reserved: add(account.reserved, more) } };
}

/** Why this account may not pay at all now. */
function unfitness(account: Account, trust: ChainTrust): AdmissionCode | undefined {
  if (account.standing !== 'good' || isBehind(account)) return 'account_frozen';
  if (account.isClosing) return 'channel_closing';
  if (account.kind === 'channel' && trust.witnesses === 0) return 'channel_unsynced';
  return undefined;
}

function shortfall(account: Account, need: Amount, trust: ChainTrust): AdmissionCode | undefined {
  if (account.kind === 'none') return need === 0n ? undefined : 'account_free';
  const after = account.charged + account.reserved + need;
  if (account.kind === 'channel' && after > account.ceiling) return 'insufficient_ceiling';
  const funded = account.deposited - account.refunded;
  if (after > funded) return 'insufficient_deposit';
  if (after > funded - account.withdrawing) return 'channel_closing';
  if (isOnRamp(account, trust) && after > trust.rampCap) return 'ramp_cap';
  return undefined;
}

/** A provider that lies alone makes up a deposit; a claim that was paid, or a second provider, shows that there is one. */
function isOnRamp({ kind, claimed }: Account, { witnesses }: ChainTrust): boolean {
  return kind === 'channel' && claimed === 0n && witnesses < WITNESSES_ENOUGH;
}

/** Ends a reservation of `need`, of which `part` was used. */
export function chargePart(account: Account, need: Amount, part: Amount): Account {
  assert(part <= need && need <= account.reserved, 'what is settled was reserved');
  return {
    ...account,
    reserved: amount(account.reserved - need),
    charged: add(account.charged, part),
    n: account.n + 1n,
  };
}

export function releaseNeed(account: Account, need: Amount): Account {
  assert(need <= account.reserved, 'what is released was reserved');
  return { ...account, reserved: amount(account.reserved - need) };
}

export type Merged =
  | { readonly outcome: 'recorded' | 'behind'; readonly account: Account }
  | { readonly outcome: 'refused'; readonly code: 'chain_stale' | 'chain_regressed' };

/** Vouchers of an epoch that is over are worth nothing, so the ceiling begins anew with each. */
export function mergeChainState(account: Account, state: ChainState): Merged {
  if (state.blockSeqno < account.blockSeqno) return { outcome: 'refused', code: 'chain_stale' };
  const falls =
    state.epoch < account.epoch ||
    state.deposited < account.deposited ||
    state.refunded < account.refunded ||
    state.claimed < account.claimed;
  const spends = state.claimed + state.refunded > state.deposited;
  if (falls || spends) return { outcome: 'refused', code: 'chain_regressed' };
  const { epoch, deposited, refunded, claimed, withdrawing, blockSeqno } = state;
  const merged = { ...account, epoch, deposited, refunded, claimed, withdrawing, blockSeqno };
  const fresh =
    epoch === account.epoch
      ? merged
      : { ...merged, ceiling: NOTHING, voucherSignature: undefined, isClosing: false };
  return { outcome: isBehind(fresh) ? 'behind' : 'recorded', account: fresh };
}

/** The chain has paid out more than this ledger remembers charging: it was rolled back. L9. */
function isBehind({ claimed, charged }: Account): boolean {
  return claimed > charged;
}

/** Undefined when this ledger knows as much already. */
export function adoptSum(
  account: Account,
  cum: Amount,
  n: bigint | undefined,
): Account | undefined {
  const charged = cum > account.charged ? cum : account.charged;
  // A number that the lost past may have used is never used again: two contents under it would be evidence against us.
  const lastN = n === undefined ? account.n + 1n : n > account.n ? n : account.n;
  if (charged === account.charged && (n ?? 0n) <= account.n) return undefined;
  return { ...account, charged, n: lastN };
}

/** Undefined beyond what a ledger holds. */
export function addCredit(account: Account, credit: Amount): Account | undefined {
  const deposited = account.deposited + credit;
  return deposited > AMOUNT_MAX ? undefined : { ...account, deposited: amount(deposited) };
}

export function add(a: Amount, b: Amount): Amount {
  return amount(a + b);
}
