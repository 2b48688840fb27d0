/**
 * The one port to everybody's money: what was promised, reserved, charged, owed and paid. Every number is a bigint in
 * atomic units; an answer is an outcome, an accident is a `ledger.*` error. What a method acknowledges is on the disk.
 * Every driver passes test/contract/ledger.contract.ts. Spec: ton-settlement §4.2, §4.11, §5, §7 (L1 to L10).
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { SignedReceipt } from '../../protocol/receipt.ts';
import type { Amount, Asset } from '../money.ts';
import type { VerifiedVoucher } from '../voucher.ts';

/** `none`: an account of a deployment without money. Everything is counted and costs nothing. */
export type AccountKind = 'channel' | 'custodial' | 'none';

/** By the operator. */
export type Standing = 'good' | 'frozen';

export interface Account {
  /** Account id of the channel's contract; of other kinds, a digest that the gateway chose. */
  readonly id: Bytes<32>;
  readonly kind: AccountKind;
  readonly asset: Asset;
  /** Of a channel. */
  readonly payerKey: Bytes<32> | undefined;
  readonly epoch: number;
  /** The chain's counters, lifetime-cumulative; of a custodial account, `deposited` is the sum of its credits. */
  readonly deposited: Amount;
  readonly refunded: Amount;
  readonly withdrawing: Amount;
  readonly claimed: Amount;
  /** Of the best voucher of this epoch. */
  readonly ceiling: Amount;
  readonly voucherSignature: Bytes<64> | undefined;
  readonly charged: Amount;
  readonly reserved: Amount;
  /** Number of the last statement. */
  readonly n: bigint;
  readonly standing: Standing;
  /** The last charge of this epoch is about to be signed, see `closeAccount`. Ends with the epoch. */
  readonly isClosing: boolean;
  /** Masterchain block that the counters were read at; 0 before any. */
  readonly blockSeqno: number;
}

export type AccountTerms =
  | {
      readonly kind: 'channel';
      readonly id: Bytes<32>;
      readonly asset: Asset;
      readonly payerKey: Bytes<32>;
    }
  | { readonly kind: 'custodial' | 'none'; readonly id: Bytes<32>; readonly asset: Asset };

export type OpenOutcome =
  | { readonly outcome: 'opened' | 'existing'; readonly account: Account }
  | { readonly outcome: 'refused'; readonly code: 'account_differs' | 'key_unsound' };

/** What a payer is told. Those of §4.5 that a ledger can know, and two of its own. */
export type AdmissionCode =
  | 'channel_unknown'
  | 'asset_unsupported'
  /** By the operator; or the chain has paid out more than was charged here, see `adoptCharge`. */
  | 'account_frozen'
  /** The chain's state was not read since this ledger was opened. */
  | 'channel_unsynced'
  | 'quote_expired'
  | 'epoch_mismatch'
  | 'voucher_bad_signature'
  /** Of a request that only one voucher pays for. */
  | 'voucher_stale'
  | 'insufficient_ceiling'
  | 'insufficient_deposit'
  /** It would fit, were the payer not withdrawing; or the channel is closed by agreement. */
  | 'channel_closing'
  /** So much may be owed by a channel that the chain was never seen to pay from, as one provider tells it. §4.6. */
  | 'ramp_cap'
  /** A price in a deployment without money. */
  | 'account_free';

/** The highest voucher of its channel, for as long as there is no other. */
export type SoleVoucher = Pick<VerifiedVoucher, 'epoch' | 'ceiling'>;

export interface Reserve {
  readonly requestId: Bytes<16>;
  readonly account: Bytes<32>;
  readonly asset: Asset;
  /** The most that this request can cost, by its declared bounds. */
  readonly need: Amount;
  /** Taken into account first, and kept even when the request is refused. One that is lower than the best changes nothing. */
  readonly voucher?: VerifiedVoucher;
  /** What only this voucher may pay for is refused once the channel has signed more, or its epoch is over. */
  readonly sole?: SoleVoucher;
  /** Who may settle it: 1 to 8 worker ids. */
  readonly workers: readonly Bytes<32>[];
  readonly feeBps: number;
  readonly quoteValidUntilMs: number;
  readonly nowMs: number;
  /** Before this the id stays taken, whatever happens; after it recovery may release the reservation. */
  readonly expiresMs: number;
}

export interface Reservation {
  readonly requestId: Bytes<16>;
  readonly account: Bytes<32>;
  readonly need: Amount;
  readonly workers: readonly Bytes<32>[];
  readonly feeBps: number;
  readonly reservedMs: number;
  readonly expiresMs: number;
}

export type RequestState =
  | { readonly state: 'reserved'; readonly reservation: Reservation }
  | { readonly state: 'released'; readonly reservation: Reservation }
  | { readonly state: 'settled'; readonly entry: JournalEntry };

export type ReserveOutcome =
  | { readonly outcome: 'reserved' }
  /** The id was used before: nothing is reserved, and nothing may be forwarded. */
  | { readonly outcome: 'replayed'; readonly request: RequestState }
  | {
      readonly outcome: 'refused';
      readonly code: AdmissionCode;
      /** As it stands after the voucher was taken: what a corrective 402 shows. */
      readonly account: Account | undefined;
    };

/** Pay as you go: what a running request may cost rises with what its payer has signed. */
export interface Extend {
  readonly requestId: Bytes<16>;
  /** In all. Less than is reserved already changes nothing. */
  readonly need: Amount;
  /** As when it was reserved. */
  readonly sole?: SoleVoucher;
}

export type ExtendOutcome =
  | { readonly outcome: 'extended'; readonly need: Amount }
  | {
      readonly outcome: 'refused';
      readonly code: AdmissionCode | 'request_unknown' | 'request_ended';
      readonly account: Account | undefined;
    };

export interface Settle {
  /** Verified by the caller under the key of the statement that it names. */
  readonly receipt: SignedReceipt;
  readonly policyDigest: Bytes<32>;
  readonly nowMs: number;
}

export type SettleOutcome =
  | {
      readonly outcome: 'settled';
      /** Of the journal's entry. */
      readonly seq: bigint;
      /** VGS1 ‖ signature: frame 0x12. */
      readonly statement: Bytes<230>;
      /** Settled before; this is what was said then, byte for byte. */
      readonly repeated: boolean;
      /** The receipt asked for more than was reserved. The worker is at fault and gets what was reserved. */
      readonly clamped: boolean;
    }
  | {
      readonly outcome: 'refused';
      readonly code: 'request_unknown' | 'request_released' | 'worker_unlisted';
    };

export type ReleaseOutcome =
  | { readonly outcome: 'released'; readonly repeated: boolean }
  | { readonly outcome: 'refused'; readonly code: 'request_unknown' | 'request_settled' };

export type VoucherOutcome =
  | { readonly outcome: 'accepted'; readonly account: Account }
  | {
      readonly outcome: 'refused';
      readonly code:
        | 'channel_unknown'
        | 'voucher_bad_signature'
        | 'epoch_mismatch'
        /** Lower than the best one of this epoch. The same one again is accepted. */
        | 'voucher_stale';
      readonly account: Account | undefined;
    };

export interface ChainState {
  readonly channel: Bytes<32>;
  readonly epoch: number;
  readonly deposited: Amount;
  readonly claimed: Amount;
  readonly refunded: Amount;
  readonly withdrawing: Amount;
  readonly blockSeqno: number;
  /** How many providers said so; absent: one. Two lift the ramp; none, where it is too long ago, end all admission. */
  readonly witnesses?: number;
}

export type ChainOutcome =
  | { readonly outcome: 'recorded'; readonly account: Account }
  /** The chain paid out more than was charged here: an alarm, and no admission until `adoptCharge`. L9. */
  | { readonly outcome: 'behind'; readonly account: Account }
  | {
      readonly outcome: 'refused';
      /** `chain_regressed`: a counter fell in a later block. Somebody lies. */
      readonly code: 'channel_unknown' | 'chain_stale' | 'chain_regressed';
    };

export interface Credit {
  readonly account: Bytes<32>;
  /** What was paid in: an account counts one asset, and takes no other for it. */
  readonly asset: Asset;
  readonly amount: Amount;
  /** Names the transfer that paid it in; counted once. */
  readonly reference: Bytes<32>;
  readonly nowMs: number;
}

export type CreditOutcome =
  | { readonly outcome: 'credited'; readonly account: Account; readonly repeated: boolean }
  | {
      readonly outcome: 'refused';
      readonly code: 'account_unknown' | 'not_custodial' | 'asset_differs' | 'out_of_range';
    };

export type CloseOutcome =
  | { readonly outcome: 'closing'; readonly account: Account }
  | {
      readonly outcome: 'refused';
      readonly code: 'channel_unknown' | 'requests_open';
    };

/** From a witness that remembers more than this ledger: a client's statement under our key, or the chain's `claimed`. */
export interface AdoptCharge {
  readonly account: Bytes<32>;
  readonly cum: Amount;
  /** Of the statement. Absent when the chain is the witness: the next number is skipped then. */
  readonly n?: bigint;
  /** Digest of what convinced us. */
  readonly reference: Bytes<32>;
  readonly nowMs: number;
}

export type AdoptOutcome =
  | { readonly outcome: 'adopted' | 'known'; readonly account: Account }
  | { readonly outcome: 'refused'; readonly code: 'account_unknown' };

export interface Payee {
  readonly workerId: Bytes<32>;
  /** TON address, as text. */
  readonly destination: string;
}

export interface PlannedPayee extends Payee {
  /** Of what it is owed, what something else pays: left out of the plan. */
  readonly covered?: Amount;
}

export interface PlanPayouts {
  /** Of the highload wallet, used once. Planning again under it returns the same plan. */
  readonly queryId: bigint;
  readonly asset: Asset;
  readonly payees: readonly PlannedPayee[];
  readonly minimum: Amount;
  readonly validUntilMs: number;
}

export interface Payout extends Payee {
  readonly queryId: bigint;
  readonly asset: Asset;
  readonly amount: Amount;
  readonly validUntilMs: number;
  readonly state: 'planned' | 'confirmed' | 'expired';
}

export interface PlanOutcome {
  readonly outcome: 'planned';
  readonly payouts: readonly Payout[];
  readonly repeated: boolean;
}

export type ConfirmOutcome =
  | {
      readonly outcome: 'confirmed';
      readonly repeated: boolean;
      /** It had been given up: the chain is right, and somebody expired too early. */
      readonly late: boolean;
    }
  | { readonly outcome: 'refused'; readonly code: 'payout_unknown' };

export type ExpireOutcome =
  | { readonly outcome: 'expired'; readonly repeated: boolean }
  | {
      readonly outcome: 'refused';
      /** `payout_pending`: it is still valid, so it can still be executed. */
      readonly code: 'payout_unknown' | 'payout_pending' | 'payout_confirmed';
    };

export interface WorkerBalance {
  readonly workerId: Bytes<32>;
  readonly asset: Asset;
  readonly earned: Amount;
  /** In payouts that are neither confirmed nor expired. */
  readonly planned: Amount;
  readonly paid: Amount;
}

export type EntryKind = 'settle' | 'credit' | 'adopt' | 'payout';

/** What an entry's kind has no use for is zero. */
export interface JournalEntry {
  readonly seq: bigint;
  readonly kind: EntryKind;
  readonly account: Bytes<32>;
  readonly requestId: Bytes<16>;
  readonly workerId: Bytes<32>;
  readonly asset: Asset;
  /** By the receipt; more than `amount` where it was clamped. */
  readonly asked: bigint;
  readonly amount: Amount;
  readonly workerPart: Amount;
  /** charged (settle, adopt), deposited (credit) or paid (payout) after this entry. */
  readonly cum: Amount;
  readonly n: bigint;
  readonly epoch: number;
  readonly atMs: number;
  /** signature ‖ VGR1, or empty. */
  readonly receipt: Uint8Array;
  /** VGS1 ‖ signature, or empty. */
  readonly statement: Uint8Array;
  readonly reference: Bytes<32>;
  /** Over everything above and the entry before. */
  readonly hash: Bytes<32>;
}

export interface JournalHead {
  /** 0 before the first entry, with a hash of zeros. */
  readonly seq: bigint;
  readonly hash: Bytes<32>;
}

export interface WorkerWitness {
  /** The worker's attested statement, that is, one `keys.sig`. */
  readonly statementHash: Bytes<32>;
  /** The highest receipt of it that this gateway acknowledged, by the worker's memory. */
  readonly workerSeq: bigint;
}

/** What whoever settles must remember beside the books. The ledger keeps it and does not read it. */
export interface Note {
  readonly kind: string;
  /** Of this kind. */
  readonly key: Bytes<32>;
  readonly value: Uint8Array;
}

export interface NotesAfter {
  readonly kind: string;
  readonly after: Bytes<32> | undefined;
  readonly limit: number;
}

export interface Nullifier {
  readonly epoch: number;
  readonly hash: Bytes<32>;
}

export interface Ledger {
  openAccount(terms: AccountTerms): Promise<OpenOutcome>;
  findAccount(id: Bytes<32>): Promise<Account | undefined>;
  /** Undefined when there is no such account. */
  setStanding(id: Bytes<32>, standing: Standing): Promise<Account | undefined>;
  credit(credit: Credit): Promise<CreditOutcome>;
  /** Of a voucher that `verifyVoucher` made. */
  acceptVoucher(voucher: VerifiedVoucher): Promise<VoucherOutcome>;
  recordChainState(state: ChainState): Promise<ChainOutcome>;
  adoptCharge(adopt: AdoptCharge): Promise<AdoptOutcome>;
  /** With nothing reserved: admits no more in this epoch, so that what is charged may be signed as the last of it. */
  closeAccount(id: Bytes<32>): Promise<CloseOutcome>;

  /** charged + reserved + need <= min(ceiling, deposited − refunded − withdrawing), in one step. */
  reserve(reserve: Reserve): Promise<ReserveOutcome>;
  /** By the rules of `reserve`, for the difference. What was reserved stays, whatever the answer. */
  extend(extend: Extend): Promise<ExtendOutcome>;
  /** Once per request: asked again it returns the identical statement. */
  settle(settle: Settle): Promise<SettleOutcome>;
  release(requestId: Bytes<16>): Promise<ReleaseOutcome>;
  findRequest(requestId: Bytes<16>): Promise<RequestState | undefined>;
  /** In order of their ids, after `after`: what recovery asks workers about. */
  listReservations(after: Bytes<16> | undefined, limit: number): Promise<readonly Reservation[]>;
  /** Forgets released requests past their time. Returns how many went. */
  purge(nowMs: number): Promise<number>;

  findWorker(workerId: Bytes<32>, asset: Asset): Promise<WorkerBalance>;
  planPayouts(plan: PlanPayouts): Promise<PlanOutcome>;
  confirmPayout(queryId: bigint, nowMs: number): Promise<ConfirmOutcome>;
  /** Only after the chain was asked and has not processed the query id. */
  expirePayout(queryId: bigint, nowMs: number): Promise<ExpireOutcome>;

  journalHead(): Promise<JournalHead>;
  readJournal(fromSeq: bigint, limit: number): Promise<readonly JournalEntry[]>;
  /** Whether an anchored head is in this journal. If not, this is an older copy, or another one. §4.11. */
  hasHead(head: JournalHead): Promise<boolean>;
  /** Where an anchored hash stands in this journal; an anchor does not say. Reads all of it: for the start. */
  findHead(hash: Bytes<32>): Promise<JournalHead | undefined>;
  /** Whether this ledger remembers at least as much as a worker does. §4.11. */
  hasWorkerSeq(witness: WorkerWitness): Promise<boolean>;

  /** True once per nullifier, false ever after. */
  spendNullifier(nullifier: Nullifier): Promise<boolean>;
  /** After the grace of an epoch of credits. Returns how many went. */
  dropNullifiers(beforeEpoch: number): Promise<number>;

  /** One more, or in the place of the one with this key. */
  saveNote(note: Note): Promise<void>;
  /** False when it was not there. */
  dropNote(kind: string, key: Bytes<32>): Promise<boolean>;
  findNote(kind: string, key: Bytes<32>): Promise<Note | undefined>;
  /** In order of their keys, after `after`. */
  listNotes(page: NotesAfter): Promise<readonly Note[]>;

  /** Writes what waits, then closes. */
  close(): Promise<void>;
}
