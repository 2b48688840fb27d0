/**
 * The file of an embedded ledger: schema, settings, fencing, and every SQL text. Spec: ton-settlement §5; SQLite
 * "Write-Ahead Logging", "PRAGMA synchronous", "STRICT Tables".
 * @module
 */

import { chmodSync } from 'node:fs';
import {
  DatabaseSync,
  type SQLInputValue,
  type SQLOutputValue,
  type StatementSync,
} from 'node:sqlite';
import { ledgerError } from '../../errors.ts';
import { BUSY_TIMEOUT_MS, CACHE_KIB, CHECKPOINT_PAGES } from '../limits.ts';

const SCHEMA_VERSION = 3n;

/**
 * `request` is where an id is taken, whatever became of it; `journal` only ever grows. Both keep their rowid, so that rows
 * of one moment lie together although ids are random. Where 64 bits with a sign are too few, a number is a BLOB.
 */
const SCHEMA = `
CREATE TABLE meta (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT;
INSERT INTO meta VALUES ('fencing_token', 0);
CREATE TABLE account (
  id BLOB PRIMARY KEY NOT NULL, kind INTEGER NOT NULL, asset INTEGER NOT NULL, payer_key BLOB,
  epoch INTEGER NOT NULL, deposited INTEGER NOT NULL, refunded INTEGER NOT NULL, withdrawing INTEGER NOT NULL,
  claimed INTEGER NOT NULL, ceiling INTEGER NOT NULL, voucher_signature BLOB, charged INTEGER NOT NULL,
  reserved INTEGER NOT NULL, n INTEGER NOT NULL, frozen INTEGER NOT NULL, block_seqno INTEGER NOT NULL,
  CHECK (charged >= 0 AND reserved >= 0 AND ceiling >= 0 AND deposited >= 0)
) STRICT;
CREATE TABLE request (
  request_id BLOB PRIMARY KEY NOT NULL, account BLOB NOT NULL, need INTEGER NOT NULL, workers BLOB NOT NULL,
  fee_bps INTEGER NOT NULL, reserved_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, state INTEGER NOT NULL,
  seq INTEGER, CHECK ((state = 2) = (seq IS NOT NULL))
) STRICT;
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY, kind INTEGER NOT NULL, account BLOB NOT NULL, request_id BLOB NOT NULL,
  worker_id BLOB NOT NULL, asset INTEGER NOT NULL, asked BLOB NOT NULL, amount INTEGER NOT NULL,
  worker_part INTEGER NOT NULL, cum INTEGER NOT NULL, n INTEGER NOT NULL, epoch INTEGER NOT NULL,
  at_ms INTEGER NOT NULL, receipt BLOB NOT NULL, statement BLOB NOT NULL, reference BLOB NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX journal_credit ON journal (reference) WHERE kind = 1;
CREATE TABLE worker (
  worker_id BLOB NOT NULL, asset INTEGER NOT NULL, earned INTEGER NOT NULL, planned INTEGER NOT NULL,
  paid INTEGER NOT NULL, PRIMARY KEY (worker_id, asset), CHECK (earned >= 0 AND planned >= 0 AND paid >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE worker_chain (
  statement_hash BLOB PRIMARY KEY NOT NULL, worker_id BLOB NOT NULL, last_seq BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE payout (
  query_id INTEGER NOT NULL, worker_id BLOB NOT NULL, destination TEXT NOT NULL, asset INTEGER NOT NULL,
  amount INTEGER NOT NULL, valid_until_ms INTEGER NOT NULL, state INTEGER NOT NULL, PRIMARY KEY (query_id, worker_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE nullifier (epoch INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (epoch, hash)) STRICT, WITHOUT ROWID;
`;

/** Of version 1, which kept no notes. */
const SCHEMA_2 = `
CREATE TABLE note (
  kind TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;
`;

/** Settled requests stay for good, and forgetting the released ones must not look at all of them. */
const SCHEMA_3 = `
CREATE INDEX request_released ON request (expires_ms) WHERE state = 1;
`;
const STEPS = [SCHEMA, SCHEMA_2, SCHEMA_3] as const;

const SQL = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  token: "SELECT value FROM meta WHERE name = 'fencing_token'",
  account: 'SELECT * FROM account WHERE id = ?',
  accounts: 'SELECT * FROM account',
  putAccount:
    'INSERT INTO account VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET kind = excluded.kind, asset = excluded.asset, payer_key = excluded.payer_key, epoch = excluded.epoch, deposited = excluded.deposited, refunded = excluded.refunded, withdrawing = excluded.withdrawing, claimed = excluded.claimed, ceiling = excluded.ceiling, voucher_signature = excluded.voucher_signature, charged = excluded.charged, reserved = excluded.reserved, n = excluded.n, frozen = excluded.frozen, block_seqno = excluded.block_seqno',
  request: 'SELECT * FROM request WHERE request_id = ?',
  openRequests: 'SELECT * FROM request WHERE state = 0',
  settledRequests: 'SELECT request_id, account, seq FROM request WHERE state = 2',
  putRequest: 'INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  changeRequest: 'UPDATE request SET state = ?, seq = ?, need = ? WHERE request_id = ?',
  purge: 'DELETE FROM request WHERE state = 1 AND expires_ms <= ?',
  appendEntry: 'INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
  entry: 'SELECT * FROM journal WHERE seq = ?',
  entries: 'SELECT * FROM journal WHERE seq >= ? ORDER BY seq LIMIT ?',
  allEntries: 'SELECT * FROM journal ORDER BY seq',
  creditReference: 'SELECT 1 FROM journal WHERE kind = 1 AND reference = ?',
  worker: 'SELECT * FROM worker WHERE worker_id = ? AND asset = ?',
  workers: 'SELECT * FROM worker',
  putWorker:
    'INSERT INTO worker VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET earned = excluded.earned, planned = excluded.planned, paid = excluded.paid',
  workerChain: 'SELECT * FROM worker_chain WHERE statement_hash = ?',
  putWorkerChain:
    'INSERT INTO worker_chain VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET last_seq = excluded.last_seq',
  payouts: 'SELECT * FROM payout WHERE query_id = ? ORDER BY worker_id',
  plannedPayouts: 'SELECT * FROM payout WHERE state = 0',
  putPayout:
    'INSERT INTO payout VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET state = excluded.state',
  headOf: 'SELECT seq, hash FROM journal WHERE hash = ?',
  note: 'SELECT * FROM note WHERE kind = ? AND key = ?',
  notes: 'SELECT * FROM note WHERE kind = ? AND key > ? ORDER BY key LIMIT ?',
  putNote: 'INSERT INTO note VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
  dropNote: 'DELETE FROM note WHERE kind = ? AND key = ?',
  nullifier: 'SELECT 1 FROM nullifier WHERE epoch = ? AND hash = ?',
  putNullifier: 'INSERT INTO nullifier VALUES (?, ?)',
  dropNullifiers: 'DELETE FROM nullifier WHERE epoch < ?',
} as const;

export type SqlName = keyof typeof SQL;
export type Row = Readonly<Record<string, SQLOutputValue>>;
export type Parameter = SQLInputValue;

export interface DatabaseOptions {
  readonly path: string;
  /** `full` survives loss of power; `normal` only that of the process. */
  readonly durability: 'full' | 'normal';
}

export class LedgerDatabase {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<SqlName, StatementSync>();
  readonly #token: bigint;

  /** Takes the ledger over from whoever had it. Throws `ledger.schema`, `ledger.store`. */
  constructor({ path, durability }: DatabaseOptions) {
    try {
      this.#database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    } catch (cause) {
      throw ledgerError('ledger.store', 'cannot open', { cause });
    }
    try {
      this.#database.exec('PRAGMA journal_mode = WAL');
      this.#database.exec(`PRAGMA synchronous = ${durability === 'full' ? 'FULL' : 'NORMAL'}`);
      this.#database.exec('PRAGMA trusted_schema = OFF');
      // Ids are random, so an insert may touch any page of their index: keep it in memory, and copy it back seldom.
      this.#database.exec(`PRAGMA cache_size = -${CACHE_KIB}`);
      this.#database.exec(`PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
      chmodSync(path, 0o600);
      this.#migrate();
      this.#token = this.#takeOver();
    } catch (cause) {
      this.#database.close();
      throw cause;
    }
  }

  #migrate(): void {
    const version = this.#versionOf();
    if (version === SCHEMA_VERSION) return;
    if (version < 0n || version > SCHEMA_VERSION)
      throw ledgerError('ledger.schema', `version ${version}`);
    const steps = STEPS.slice(Number(version)).join('');
    this.#database.exec(
      `BEGIN IMMEDIATE; ${steps} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`,
    );
  }

  #versionOf(): bigint {
    const version = this.#database.prepare('PRAGMA user_version').get()?.['user_version'];
    return BigInt(String(version));
  }

  #takeOver(): bigint {
    this.#database.exec(
      "BEGIN IMMEDIATE; UPDATE meta SET value = value + 1 WHERE name = 'fencing_token'; COMMIT",
    );
    return this.#currentToken();
  }

  #currentToken(): bigint {
    const value = this.get('token')?.['value'];
    if (typeof value !== 'bigint') throw ledgerError('ledger.schema', 'fencing token');
    return value;
  }

  /** Throws `ledger.fenced` when somebody else has opened the file since. */
  begin(): void {
    this.run('begin');
    if (this.#currentToken() !== this.#token) throw ledgerError('ledger.fenced');
  }

  commit(): void {
    this.run('commit');
  }

  rollback(): void {
    if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
  }

  #statement(name: SqlName): StatementSync {
    const known = this.#statements.get(name);
    if (known !== undefined) return known;
    const made = this.#database.prepare(SQL[name]);
    made.setReadBigInts(true);
    this.#statements.set(name, made);
    return made;
  }

  /** Returns how many rows changed. Throws `ledger.store`. */
  run(name: SqlName, ...parameters: readonly Parameter[]): number {
    return reached(name, () => Number(this.#statement(name).run(...parameters).changes));
  }

  /** Throws `ledger.store`. */
  get(name: SqlName, ...parameters: readonly Parameter[]): Row | undefined {
    return reached(name, () => this.#statement(name).get(...parameters));
  }

  /** Throws `ledger.store`. */
  all(name: SqlName, ...parameters: readonly Parameter[]): readonly Row[] {
    return reached(name, () => this.#statement(name).all(...parameters));
  }

  each(name: SqlName): Iterable<Row> {
    return this.#statement(name).iterate();
  }

  close(): void {
    this.#database.close();
  }
}

/** SQLite may have rolled back by itself, so whatever it says ends the group. */
function reached<Result>(name: SqlName, access: () => Result): Result {
  try {
    return access();
  } catch (cause) {
    throw ledgerError('ledger.store', name, { cause });
  }
}
