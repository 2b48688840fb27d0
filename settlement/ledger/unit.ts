/**
 * What an operation sees of a ledger while it decides: rows as of now, the ones that the operations before it in the same
 * commit have changed included. Synchronous, so that nothing can come between a check and its change: a driver that
 * must wait for its rows fetches them first. @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Asset } from '../money.ts';
import type { EntryDraft } from './journal.ts';
import type {
  Account,
  JournalEntry,
  JournalHead,
  Note,
  NotesAfter,
  Nullifier,
  Payout,
  Reservation,
  WorkerBalance,
} from './ledger.ts';
import type { RampCaps } from './limits.ts';
import type { SignBytes } from './signer.ts';

export type RequestRow =
  | { readonly state: 'reserved' | 'released'; readonly reservation: Reservation }
  | { readonly state: 'settled'; readonly reservation: Reservation; readonly seq: bigint };

export interface WorkerChain {
  readonly statementHash: Bytes<32>;
  readonly workerId: Bytes<32>;
  readonly lastSeq: bigint;
}

export interface LedgerUnit {
  readonly sign: SignBytes;
  readonly rampCaps: RampCaps;

  account(id: Bytes<32>): Account | undefined;
  putAccount(account: Account): void;
  /** How many providers told the chain's state as it was read last; 0 when it was not since the ledger was opened. */
  witnesses(id: Bytes<32>): number;
  markRead(id: Bytes<32>, witnesses: number): void;

  request(requestId: Bytes<16>): RequestRow | undefined;
  putRequest(row: RequestRow): void;
  reservations(after: Bytes<16> | undefined, limit: number): readonly Reservation[];
  purge(nowMs: number): number;

  head(): JournalHead;
  append(draft: EntryDraft): JournalEntry;
  entry(seq: bigint): JournalEntry | undefined;
  headOf(hash: Bytes<32>): JournalHead | undefined;
  entries(fromSeq: bigint, limit: number): readonly JournalEntry[];
  /** Of one kind: a reference is counted once. */
  hasReference(kind: 'credit', reference: Bytes<32>): boolean;

  worker(workerId: Bytes<32>, asset: Asset): WorkerBalance;
  putWorker(balance: WorkerBalance): void;
  workerChain(statementHash: Bytes<32>): WorkerChain | undefined;
  putWorkerChain(chain: WorkerChain): void;
  payouts(queryId: bigint): readonly Payout[];
  putPayout(payout: Payout): void;

  /** False when it was there. */
  putNullifier(nullifier: Nullifier): boolean;
  dropNullifiers(beforeEpoch: number): number;

  note(kind: string, key: Bytes<32>): Note | undefined;
  notes(page: NotesAfter): readonly Note[];
  putNote(note: Note): undefined;
  dropNote(kind: string, key: Bytes<32>): boolean;
}
