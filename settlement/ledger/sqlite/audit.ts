/**
 * Before a ledger is used: every sum is derived again from the journal, and the journal from its chain. What does not agree
 * is refused, not repaired: a file that lies about money is looked at by people. Spec: ton-settlement §4.11, §7 L2, L3.
 * @module
 */

import { equalPublic, toHex, type Bytes } from '../../../core/bytes.ts';
import type { Facts } from '../../../core/errors.ts';
import { sha256 } from '#primitives';
import { ledgerError } from '../../errors.ts';
import { EMPTY_HEAD, hashEntry } from '../journal.ts';
import type { JournalEntry, JournalHead } from '../ledger.ts';
import type { RequestRow } from '../unit.ts';
import type { LedgerDatabase } from './database.ts';
import * as rows from './rows.ts';
import type { SqliteUnitStart } from './sqlite-unit.ts';

interface AccountSums {
  charged: bigint;
  credited: bigint;
  reserved: bigint;
  n: bigint;
}

interface WorkerSums {
  earned: bigint;
  paid: bigint;
  planned: bigint;
}

interface Derived {
  readonly accounts: Map<string, AccountSums>;
  readonly workers: Map<string, WorkerSums>;
  /** Which entry settled which request. */
  readonly settled: Map<string, bigint>;
}

/** Throws `ledger.inconsistent`, with facts that name the row. */
export function auditLedger(database: LedgerDatabase): Omit<SqliteUnitStart, 'rampCaps'> {
  const derived: Derived = { accounts: new Map(), workers: new Map(), settled: new Map() };
  const head = walkJournal(database, derived);
  const openRequests = sumReservations(database, derived);
  for (const row of database.each('plannedPayouts')) {
    const payout = rows.payoutOf(row);
    workerSums(derived, payout.workerId, payout.asset).planned += payout.amount;
  }
  compareAccounts(database, derived);
  compareWorkers(database, derived);
  compareRequests(database, derived);
  return { head, openRequests };
}

function inconsistent(what: string, facts: Facts): Error {
  return ledgerError('ledger.inconsistent', what, { facts });
}

function walkJournal(database: LedgerDatabase, derived: Derived): JournalHead {
  let head = EMPTY_HEAD;
  for (const row of database.each('allEntries')) {
    const entry = rows.entryOf(row);
    const { seq } = entry;
    if (seq !== head.seq + 1n) throw inconsistent('an entry is missing', { seq });
    if (!equalPublic(hashEntry(head.hash, entry), entry.hash)) {
      throw inconsistent('the chain is broken', { seq });
    }
    if (entry.kind === 'settle' && !equalPublic(sha256(entry.receipt), entry.reference)) {
      throw inconsistent('a receipt was changed', { seq });
    }
    countEntry(derived, entry);
    head = { seq, hash: entry.hash };
  }
  return head;
}

function countEntry(derived: Derived, entry: JournalEntry): void {
  const { seq } = entry;
  if (entry.kind === 'payout') {
    const sums = workerSums(derived, entry.workerId, entry.asset);
    sums.paid += entry.amount;
    if (entry.cum !== sums.paid) throw inconsistent('a sum does not join', { seq });
    return;
  }
  const sums = accountSums(derived, entry.account);
  if (entry.kind === 'credit') {
    sums.credited += entry.amount;
    if (entry.cum !== sums.credited) throw inconsistent('a sum does not join', { seq });
    return;
  }
  sums.charged += entry.amount;
  if (entry.cum !== sums.charged) throw inconsistent('a sum does not join', { seq });
  if (entry.n <= sums.n && entry.kind === 'settle') {
    throw inconsistent('a number is used twice', { seq });
  }
  sums.n = entry.n;
  if (entry.kind === 'adopt') return;
  const key = toHex(entry.requestId);
  if (derived.settled.has(key)) throw inconsistent('a request was charged twice', { seq });
  derived.settled.set(key, seq);
  workerSums(derived, entry.workerId, entry.asset).earned += entry.workerPart;
}

function sumReservations(database: LedgerDatabase, derived: Derived): readonly RequestRow[] {
  return database.all('openRequests').map((row) => {
    const request = rows.requestOf(row);
    accountSums(derived, request.reservation.account).reserved += request.reservation.need;
    return request;
  });
}

function compareAccounts(database: LedgerDatabase, { accounts }: Derived): void {
  const none: AccountSums = { charged: 0n, credited: 0n, reserved: 0n, n: 0n };
  for (const row of database.each('accounts')) {
    const account = rows.accountOf(row);
    const id = toHex(account.id);
    const sums = accounts.get(id) ?? none;
    accounts.delete(id);
    const isRight =
      account.charged === sums.charged &&
      account.reserved === sums.reserved &&
      account.n === sums.n &&
      (account.kind !== 'custodial' || account.deposited === sums.credited);
    if (!isRight) throw inconsistent('an account differs from the journal', { account: id });
  }
  for (const account of accounts.keys()) throw inconsistent('an account is missing', { account });
}

function compareWorkers(database: LedgerDatabase, { workers }: Derived): void {
  for (const row of database.each('workers')) {
    const balance = rows.workerOf(row);
    const worker = workerName(balance.workerId, balance.asset);
    const sums = workers.get(worker) ?? { earned: 0n, paid: 0n, planned: 0n };
    workers.delete(worker);
    const isRight =
      balance.earned === sums.earned &&
      balance.paid === sums.paid &&
      balance.planned === sums.planned;
    if (!isRight) throw inconsistent('a worker differs from the journal', { worker });
  }
  for (const worker of workers.keys()) throw inconsistent('a worker is missing', { worker });
}

function compareRequests(database: LedgerDatabase, { settled }: Derived): void {
  for (const row of database.each('settledRequests')) {
    const id = row['request_id'];
    const request = id instanceof Uint8Array ? toHex(id) : '';
    if (settled.get(request) !== row['seq']) {
      throw inconsistent('a request differs from the journal', { request });
    }
    settled.delete(request);
  }
  for (const request of settled.keys()) {
    throw inconsistent('a settled request is missing', { request });
  }
}

function accountSums({ accounts }: Derived, id: Bytes<32>): AccountSums {
  return known(accounts, toHex(id), { charged: 0n, credited: 0n, reserved: 0n, n: 0n });
}

function workerName(id: Bytes<32>, asset: string): string {
  return `${toHex(id)} ${asset}`;
}

function workerSums({ workers }: Derived, id: Bytes<32>, asset: string): WorkerSums {
  return known(workers, workerName(id, asset), { earned: 0n, paid: 0n, planned: 0n });
}

function known<Value>(map: Map<string, Value>, key: string, fresh: Value): Value {
  const value = map.get(key);
  if (value !== undefined) return value;
  map.set(key, fresh);
  return fresh;
}
