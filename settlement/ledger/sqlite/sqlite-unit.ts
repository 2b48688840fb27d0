/**
 * Rows of one commit: read when they are needed, changed in memory, written together. An operation that throws is undone
 * in memory, and nothing of it reaches the file. The file has one writer (fencing), so what is in memory between two
 * commits is what is in the file. @module
 */

import type { Bytes } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';
import { byteKey } from '../../../core/node/byte-key.ts';
import { NOTHING, type Asset } from '../../money.ts';
import { chainEntry, type EntryDraft } from '../journal.ts';
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
} from '../ledger.ts';
import { ROWS_CACHED_MAX, type RampCaps } from '../limits.ts';
import type { SignBytes } from '../signer.ts';
import type { LedgerUnit, RequestRow, WorkerChain } from '../unit.ts';
import type { LedgerDatabase, Parameter, SqlName } from './database.ts';
import * as rows from './rows.ts';

/** Rows by key, and which of them the file does not have yet. */
interface Held<Value> {
  readonly values: Map<string, Value>;
  readonly changed: Set<string>;
}

function held<Value>(): Held<Value> {
  return { values: new Map(), changed: new Set() };
}

interface Write {
  readonly sql: SqlName;
  readonly parameters: readonly Parameter[];
}

export class SqliteUnit implements LedgerUnit {
  readonly sign: SignBytes;
  readonly rampCaps: RampCaps;
  readonly #database: LedgerDatabase;
  readonly #accounts = held<Account>();
  /** Every open reservation, and those that this commit closes. */
  readonly #requests = held<RequestRow>();
  readonly #closed = new Set<string>();
  /** Open reservations that the file has. */
  readonly #stored = new Set<string>();
  readonly #workers = held<WorkerBalance>();
  readonly #chains = held<WorkerChain>();
  readonly #witnesses = new Map<string, number>();
  #head: JournalHead;
  #writes: Write[] = [];
  /** Of the operation at work. */
  #undo: (() => void)[] = [];

  constructor(database: LedgerDatabase, sign: SignBytes, start: SqliteUnitStart) {
    this.#database = database;
    this.sign = sign;
    this.rampCaps = start.rampCaps;
    this.#head = start.head;
    for (const row of start.openRequests) {
      const key = byteKey(row.reservation.requestId);
      this.#requests.values.set(key, row);
      this.#stored.add(key);
    }
  }

  /** Runs one operation; if it throws, nothing of it remains. */
  attempt<Result>(operation: () => Result): Result {
    this.#undo = [];
    try {
      return operation();
    } catch (cause) {
      for (const undo of this.#undo.toReversed()) undo();
      throw cause;
    } finally {
      this.#undo = [];
    }
  }

  /** Writes what the operations so far have changed, inside the transaction that is open. */
  flush(): void {
    assert(this.#undo.length === 0, 'an operation reads before it changes');
    for (const { sql, parameters } of this.#writes) this.#database.run(sql, ...parameters);
    this.#writes = [];
    this.#flushRows(this.#accounts, 'putAccount', rows.accountParameters);
    this.#flushRequests();
    this.#flushRows(this.#workers, 'putWorker', rows.workerParameters);
    this.#flushRows(this.#chains, 'putWorkerChain', rows.workerChainParameters);
  }

  #flushRows<Value>(
    { values, changed }: Held<Value>,
    sql: SqlName,
    parametersOf: (value: Value) => readonly Parameter[],
  ): void {
    for (const key of changed) {
      const value = values.get(key);
      // Gone when the operation that made it was undone.
      if (value !== undefined) this.#database.run(sql, ...parametersOf(value));
    }
    changed.clear();
  }

  /** One that the file has is ended by its key alone, which is half the work of finding out whether it has it. */
  #flushRequests(): void {
    const { values, changed } = this.#requests;
    for (const key of changed) {
      const row = values.get(key);
      if (row === undefined) continue;
      if (this.#stored.has(key)) this.#database.run('changeRequest', ...rows.changeParameters(row));
      else this.#database.run('putRequest', ...rows.requestParameters(row));
      if (row.state === 'reserved') this.#stored.add(key);
    }
    changed.clear();
  }

  /** After a commit: forgets what nobody will soon need. The file has it. */
  settleDown(): void {
    for (const key of this.#closed) {
      this.#requests.values.delete(key);
      this.#stored.delete(key);
    }
    this.#closed.clear();
    for (const { values } of [this.#accounts, this.#workers, this.#chains]) {
      if (values.size > ROWS_CACHED_MAX) values.clear();
    }
  }

  #find<Value>({ values }: Held<Value>, key: string, load: () => Value | undefined) {
    const known = values.get(key);
    if (known !== undefined) return known;
    const loaded = load();
    if (loaded !== undefined) values.set(key, loaded);
    return loaded;
  }

  #put<Value>({ values, changed }: Held<Value>, key: string, value: Value): void {
    const before = values.get(key);
    this.#undo.push(() => {
      if (before === undefined) values.delete(key);
      else values.set(key, before);
    });
    values.set(key, value);
    changed.add(key);
  }

  #write(sql: SqlName, parameters: readonly Parameter[]): void {
    this.#undo.push(() => void this.#writes.pop());
    this.#writes.push({ sql, parameters });
  }

  account(id: Bytes<32>): Account | undefined {
    return this.#find(this.#accounts, byteKey(id), () => {
      const row = this.#database.get('account', id);
      return row === undefined ? undefined : rows.accountOf(row);
    });
  }

  putAccount(account: Account): void {
    this.#put(this.#accounts, byteKey(account.id), account);
  }

  witnesses(id: Bytes<32>): number {
    return this.#witnesses.get(byteKey(id)) ?? 0;
  }

  markRead(id: Bytes<32>, witnesses: number): void {
    this.#witnesses.set(byteKey(id), witnesses);
  }

  request(requestId: Bytes<16>): RequestRow | undefined {
    const known = this.#requests.values.get(byteKey(requestId));
    if (known !== undefined) return known;
    const row = this.#database.get('request', requestId);
    return row === undefined ? undefined : rows.requestOf(row);
  }

  putRequest(row: RequestRow): void {
    const key = byteKey(row.reservation.requestId);
    this.#put(this.#requests, key, row);
    if (row.state === 'reserved') return;
    this.#undo.push(() => void this.#closed.delete(key));
    this.#closed.add(key);
  }

  reservations(after: Bytes<16> | undefined, limit: number): readonly Reservation[] {
    const start = after === undefined ? '' : byteKey(after);
    return [...this.#requests.values]
      .filter(([key, row]) => row.state === 'reserved' && (after === undefined || key > start))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .slice(0, limit)
      .map(([, { reservation }]) => reservation);
  }

  purge(nowMs: number): number {
    this.flush();
    return this.#database.run('purge', nowMs);
  }

  head(): JournalHead {
    return this.#head;
  }

  append(draft: EntryDraft): JournalEntry {
    const before = this.#head;
    const entry = chainEntry(before, draft);
    this.#undo.push(() => (this.#head = before));
    this.#head = { seq: entry.seq, hash: entry.hash };
    this.#write('appendEntry', rows.entryParameters(entry));
    return entry;
  }

  entry(seq: bigint): JournalEntry | undefined {
    this.flush();
    const row = this.#database.get('entry', seq);
    return row === undefined ? undefined : rows.entryOf(row);
  }

  entries(fromSeq: bigint, limit: number): readonly JournalEntry[] {
    this.flush();
    return this.#database.all('entries', fromSeq, limit).map(rows.entryOf);
  }

  headOf(hash: Bytes<32>): JournalHead | undefined {
    this.flush();
    const row = this.#database.get('headOf', hash);
    return row === undefined ? undefined : rows.headOf(row);
  }

  hasReference(_kind: 'credit', reference: Bytes<32>): boolean {
    this.flush();
    return this.#database.get('creditReference', reference) !== undefined;
  }

  worker(workerId: Bytes<32>, asset: Asset): WorkerBalance {
    const known = this.#find(this.#workers, byteKey(workerId) + asset, () => {
      const row = this.#database.get('worker', ...rows.workerKey(workerId, asset));
      return row === undefined ? undefined : rows.workerOf(row);
    });
    return known ?? { workerId, asset, earned: NOTHING, planned: NOTHING, paid: NOTHING };
  }

  putWorker(balance: WorkerBalance): void {
    this.#put(this.#workers, byteKey(balance.workerId) + balance.asset, balance);
  }

  workerChain(statementHash: Bytes<32>): WorkerChain | undefined {
    return this.#find(this.#chains, byteKey(statementHash), () => {
      const row = this.#database.get('workerChain', statementHash);
      return row === undefined ? undefined : rows.workerChainOf(row);
    });
  }

  putWorkerChain(chain: WorkerChain): void {
    this.#put(this.#chains, byteKey(chain.statementHash), chain);
  }

  payouts(queryId: bigint): readonly Payout[] {
    this.flush();
    return this.#database.all('payouts', queryId).map(rows.payoutOf);
  }

  putPayout(payout: Payout): void {
    this.#write('putPayout', rows.payoutParameters(payout));
  }

  putNullifier({ epoch, hash }: Nullifier): boolean {
    this.flush();
    if (this.#database.get('nullifier', epoch, hash) !== undefined) return false;
    this.#write('putNullifier', [epoch, hash]);
    return true;
  }

  dropNullifiers(beforeEpoch: number): number {
    this.flush();
    return this.#database.run('dropNullifiers', beforeEpoch);
  }

  note(kind: string, key: Bytes<32>): Note | undefined {
    this.flush();
    const row = this.#database.get('note', kind, key);
    return row === undefined ? undefined : rows.noteOf(row);
  }

  notes({ kind, after, limit }: NotesAfter): readonly Note[] {
    this.flush();
    return this.#database.all('notes', kind, after ?? new Uint8Array(0), limit).map(rows.noteOf);
  }

  putNote({ kind, key, value }: Note): undefined {
    this.#write('putNote', [kind, key, value]);
  }

  dropNote(kind: string, key: Bytes<32>): boolean {
    this.flush();
    return this.#database.run('dropNote', kind, key) > 0;
  }
}

export interface SqliteUnitStart {
  readonly head: JournalHead;
  readonly openRequests: readonly RequestRow[];
  readonly rampCaps: RampCaps;
}
