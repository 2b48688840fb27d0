/**
 * The port's methods as data: what goes to wherever a ledger commits, and what comes back. Proofs (a verified voucher, a
 * verified receipt) are checked before a call is made and do not travel. @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Asset } from '../money.ts';
import type { VerifiedVoucher } from '../voucher.ts';
import type {
  Account,
  AccountTerms,
  AdoptCharge,
  AdoptOutcome,
  ChainOutcome,
  ChainState,
  CloseOutcome,
  ConfirmOutcome,
  Credit,
  CreditOutcome,
  ExpireOutcome,
  Extend,
  ExtendOutcome,
  JournalEntry,
  JournalHead,
  Note,
  NotesAfter,
  Nullifier,
  OpenOutcome,
  PlanOutcome,
  PlanPayouts,
  ReleaseOutcome,
  RequestState,
  Reservation,
  Reserve,
  ReserveOutcome,
  SettleOutcome,
  Standing,
  VoucherOutcome,
  WorkerBalance,
  WorkerWitness,
} from './ledger.ts';

/** What of a receipt the ledger uses. */
export interface SettleCall {
  readonly requestId: Bytes<16>;
  readonly workerId: Bytes<32>;
  readonly statementHash: Bytes<32>;
  readonly workerSeq: bigint;
  /** u128, as the worker wrote it. */
  readonly asked: bigint;
  readonly receiptHash: Bytes<32>;
  readonly receipt: Uint8Array;
  readonly policyDigest: Bytes<32>;
  readonly nowMs: number;
}

interface Method<Input, Output> {
  readonly input: Input;
  readonly output: Output;
}

interface QueryAt {
  readonly queryId: bigint;
  readonly nowMs: number;
}

interface NoteKey {
  readonly kind: string;
  readonly key: Bytes<32>;
}

export interface Methods {
  readonly openAccount: Method<AccountTerms, OpenOutcome>;
  readonly findAccount: Method<Bytes<32>, Account | undefined>;
  readonly setStanding: Method<
    { readonly id: Bytes<32>; readonly standing: Standing },
    Account | undefined
  >;
  readonly credit: Method<Credit, CreditOutcome>;
  readonly acceptVoucher: Method<VerifiedVoucher, VoucherOutcome>;
  readonly recordChainState: Method<ChainState, ChainOutcome>;
  readonly adoptCharge: Method<AdoptCharge, AdoptOutcome>;
  readonly closeAccount: Method<Bytes<32>, CloseOutcome>;
  readonly reserve: Method<Reserve, ReserveOutcome>;
  readonly extend: Method<Extend, ExtendOutcome>;
  readonly settle: Method<SettleCall, SettleOutcome>;
  readonly release: Method<Bytes<16>, ReleaseOutcome>;
  readonly findRequest: Method<Bytes<16>, RequestState | undefined>;
  readonly listReservations: Method<
    { readonly after: Bytes<16> | undefined; readonly limit: number },
    readonly Reservation[]
  >;
  readonly purge: Method<number, number>;
  readonly findWorker: Method<
    { readonly workerId: Bytes<32>; readonly asset: Asset },
    WorkerBalance
  >;
  readonly planPayouts: Method<PlanPayouts, PlanOutcome>;
  readonly confirmPayout: Method<QueryAt, ConfirmOutcome>;
  readonly expirePayout: Method<QueryAt, ExpireOutcome>;
  readonly journalHead: Method<undefined, JournalHead>;
  readonly readJournal: Method<
    { readonly fromSeq: bigint; readonly limit: number },
    readonly JournalEntry[]
  >;
  readonly hasHead: Method<JournalHead, boolean>;
  readonly findHead: Method<Bytes<32>, JournalHead | undefined>;
  readonly hasWorkerSeq: Method<WorkerWitness, boolean>;
  readonly spendNullifier: Method<Nullifier, boolean>;
  readonly dropNullifiers: Method<number, number>;
  readonly saveNote: Method<Note, undefined>;
  readonly dropNote: Method<NoteKey, boolean>;
  readonly findNote: Method<NoteKey, Note | undefined>;
  readonly listNotes: Method<NotesAfter, readonly Note[]>;
}

export type MethodName = keyof Methods;
export type Input<Name extends MethodName> = Methods[Name]['input'];
export type Output<Name extends MethodName> = Methods[Name]['output'];

/** A union of all methods, each with its own input. */
export type Call<Name extends MethodName = MethodName> = {
  readonly [N in Name]: { readonly method: N; readonly input: Input<N> };
}[Name];
