/**
 * The embedded store: node:sqlite in WAL mode. Writes that many requests wait for share one transaction, so that
 * durability costs a request microseconds of CPU. Spec: ./store.ts; SQLite "Write-Ahead Logging".
 * @module
 */

import { chmodSync } from 'node:fs';
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { fixed, type Bytes } from '../../core/bytes.ts';
import { gatewayError } from '../errors.ts';
import { RESERVATIONS_PENDING_MAX } from '../limits.ts';
import type { ApiKeyRecord, ExchangeRecord, ExchangeState, Reservation, Store } from './store.ts';

const SCHEMA_VERSION = 1;
const BUSY_TIMEOUT_MS = 5000;
const LATER_MS = 50;
/** How long a write waits for company when the group before it had some. */
const GROUP_WINDOW_MS = 1;

/**
 * `exchange` keeps its rowid: rows of one moment then lie together, so that a group touches few pages although msg_ids are
 * random. A file from before, without it, works the same.
 */
const SCHEMA = `
CREATE TABLE api_key (
  key_id TEXT PRIMARY KEY, key_hash BLOB NOT NULL UNIQUE, label TEXT NOT NULL,
  created_ms INTEGER NOT NULL, revoked_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE exchange (
  msg_id BLOB PRIMARY KEY NOT NULL, key_id TEXT NOT NULL, max_amount TEXT NOT NULL,
  reserved_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('reserved','relayed','settled','released')),
  worker_id BLOB, receipt BLOB,
  CHECK ((state = 'settled') = (receipt IS NOT NULL))
) STRICT;
CREATE INDEX exchange_expiry ON exchange (expires_ms);
`;

export interface SqliteOptions {
  /** A file, or `:memory:` for tests. */
  readonly path: string;
  /**
   * `full` survives loss of power at the price of one fsync per group; `normal` survives the death of the process and
   * of the system's users, not of its power.
   */
  readonly durability: 'full' | 'normal';
}

interface Write {
  readonly run: () => void;
  /** Absent: nobody waits for it. */
  readonly done?: (error: Error | undefined) => void;
}

/** Throws `gateway.store` when the file is of another version. */
export function openSqliteStore(options: SqliteOptions): Store {
  const database = new DatabaseSync(options.path, { timeout: BUSY_TIMEOUT_MS });
  try {
    // Settings of the connection come before the schema: the journal mode cannot change inside a transaction.
    database.exec('PRAGMA journal_mode = WAL');
    database.exec(`PRAGMA synchronous = ${options.durability === 'full' ? 'FULL' : 'NORMAL'}`);
    if (options.path !== ':memory:') chmodSync(options.path, 0o600);
    migrate(database);
    return new SqliteStore(database);
  } catch (cause) {
    database.close();
    throw gatewayError('gateway.store', 'cannot open', { cause });
  }
}

function migrate(database: DatabaseSync): void {
  const version = database.prepare('PRAGMA user_version').get()?.['user_version'];
  if (version === SCHEMA_VERSION) return;
  if (version !== 0) throw gatewayError('gateway.store', `schema version ${String(version)}`);
  database.exec(`BEGIN IMMEDIATE; ${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
}

class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #statements: Readonly<Record<keyof typeof SQL, StatementSync>>;
  #waiting: Write[] = [];
  #flushing: NodeJS.Immediate | undefined;
  #flushingSoon: NodeJS.Timeout | undefined;
  #flushingLater: NodeJS.Timeout | undefined;
  #isCrowded = false;
  #isClosed = false;

  constructor(database: DatabaseSync) {
    this.#database = database;
    const prepare = (name: keyof typeof SQL) => database.prepare(SQL[name]);
    this.#statements = {
      begin: prepare('begin'),
      commit: prepare('commit'),
      insertKey: prepare('insertKey'),
      findKey: prepare('findKey'),
      listKeys: prepare('listKeys'),
      revokeKey: prepare('revokeKey'),
      reserve: prepare('reserve'),
      relayed: prepare('relayed'),
      settle: prepare('settle'),
      release: prepare('release'),
      find: prepare('find'),
      purge: prepare('purge'),
    };
  }

  insertApiKey(record: ApiKeyRecord): void {
    const { keyId, keyHash, label, createdMs, revokedMs } = record;
    this.#statements.insertKey.run(keyId, keyHash, label, createdMs, revokedMs ?? null);
  }

  findApiKey(keyHash: Bytes<32>): ApiKeyRecord | undefined {
    const row = this.#statements.findKey.get(keyHash);
    return row === undefined ? undefined : apiKeyOf(row);
  }

  listApiKeys(): readonly ApiKeyRecord[] {
    return this.#statements.listKeys.all().map(apiKeyOf);
  }

  revokeApiKey(keyId: string, nowMs: number): boolean {
    return this.#statements.revokeKey.run(nowMs, keyId).changes === 1;
  }

  async reserve(reservation: Reservation): Promise<boolean> {
    if (this.#waiting.length >= RESERVATIONS_PENDING_MAX) throw gatewayError('gateway.busy');
    const { msgId, keyId, maxAmount, reservedMs, expiresMs } = reservation;
    let changes: number | bigint = 0;
    await this.#write(() => {
      ({ changes } = this.#statements.reserve.run(
        msgId,
        keyId,
        maxAmount.toString(),
        reservedMs,
        expiresMs,
      ));
    });
    return changes === 1;
  }

  markRelayed(msgId: Bytes<16>, workerId: Bytes<32>): void {
    this.#enqueueLater(() => void this.#statements.relayed.run(workerId, msgId));
  }

  async settle(msgId: Bytes<16>, workerId: Bytes<32>, receipt: Uint8Array): Promise<void> {
    let changes: number | bigint = 0;
    await this.#write(() => {
      ({ changes } = this.#statements.settle.run(workerId, receipt, msgId));
    });
    if (changes !== 1) throw gatewayError('gateway.store', 'nothing to settle');
  }

  release(msgId: Bytes<16>): void {
    this.#enqueueLater(() => void this.#statements.release.run(msgId));
  }

  findExchange(msgId: Bytes<16>): ExchangeRecord | undefined {
    this.#flush();
    const row = this.#statements.find.get(msgId);
    return row === undefined ? undefined : exchangeOf(row);
  }

  purge(nowMs: number, receiptsBeforeMs: number): number {
    this.#flush();
    return Number(this.#statements.purge.run(nowMs, receiptsBeforeMs).changes);
  }

  close(): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    this.#flush();
    this.#isClosed = true;
    this.#database.close();
    return Promise.resolve();
  }

  #write(run: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#enqueue({
        run,
        done: (error) => (error === undefined ? resolve() : reject(error)),
      });
    });
  }

  /** Nobody waits for it: it rides with the next group, or goes alone soon after. */
  #enqueueLater(run: () => void): void {
    if (this.#isClosed) return;
    this.#waiting.push({ run });
    this.#flushingLater ??= setTimeout(() => this.#flush(), LATER_MS);
  }

  /**
   * Everything that this turn of the loop asks for goes into one transaction. Under load a group waits for more, because
   * each commit is an fsync during which this process does nothing else; a lone request never waits.
   */
  #enqueue(write: Write): void {
    if (this.#isClosed) {
      write.done?.(gatewayError('gateway.store', 'closed'));
      return;
    }
    this.#waiting.push(write);
    if (this.#isCrowded) this.#flushingSoon ??= setTimeout(() => this.#flush(), GROUP_WINDOW_MS);
    else this.#flushing ??= setImmediate(() => this.#flush());
  }

  #flush(): void {
    clearImmediate(this.#flushing);
    clearTimeout(this.#flushingSoon);
    clearTimeout(this.#flushingLater);
    this.#flushing = undefined;
    this.#flushingSoon = undefined;
    this.#flushingLater = undefined;
    const group = this.#waiting;
    if (group.length === 0) return;
    this.#waiting = [];
    this.#isCrowded = group.filter(({ done }) => done !== undefined).length > 1;
    const error = this.#commit(group);
    // Only now is it on disk, and only now may anybody be told.
    for (const write of group) write.done?.(error);
  }

  #commit(group: readonly Write[]): Error | undefined {
    try {
      this.#statements.begin.run();
      for (const write of group) write.run();
      this.#statements.commit.run();
      return undefined;
    } catch (cause) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      return gatewayError('gateway.store', 'commit', { cause });
    }
  }
}

const SQL = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  insertKey: 'INSERT INTO api_key VALUES (?, ?, ?, ?, ?)',
  findKey: 'SELECT * FROM api_key WHERE key_hash = ?',
  listKeys: 'SELECT * FROM api_key ORDER BY created_ms, key_id',
  revokeKey: 'UPDATE api_key SET revoked_ms = ? WHERE key_id = ? AND revoked_ms IS NULL',
  reserve:
    "INSERT INTO exchange VALUES (?, ?, ?, ?, ?, 'reserved', NULL, NULL) ON CONFLICT DO NOTHING",
  relayed:
    "UPDATE exchange SET state = 'relayed', worker_id = ? WHERE msg_id = ? AND state = 'reserved'",
  settle:
    "UPDATE exchange SET state = 'settled', worker_id = ?, receipt = ? WHERE msg_id = ? AND state IN ('reserved', 'relayed')",
  release:
    "UPDATE exchange SET state = 'released' WHERE msg_id = ? AND state IN ('reserved', 'relayed')",
  find: 'SELECT * FROM exchange WHERE msg_id = ?',
  purge: "DELETE FROM exchange WHERE expires_ms <= ? AND (state <> 'settled' OR reserved_ms < ?)",
} as const;

type Row = Record<string, SQLOutputValue>;

function bytesOf(value: SQLOutputValue | undefined): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw gatewayError('gateway.store', 'a BLOB is expected');
}

function numberOf(value: SQLOutputValue | undefined): number {
  if (typeof value === 'number') return value;
  throw gatewayError('gateway.store', 'an INTEGER is expected');
}

function textOf(value: SQLOutputValue | undefined): string {
  if (typeof value === 'string') return value;
  throw gatewayError('gateway.store', 'a TEXT is expected');
}

function apiKeyOf(row: Row): ApiKeyRecord {
  const revoked = row['revoked_ms'];
  return {
    keyId: textOf(row['key_id']),
    keyHash: fixed(bytesOf(row['key_hash']), 32),
    label: textOf(row['label']),
    createdMs: numberOf(row['created_ms']),
    revokedMs: revoked === null ? undefined : numberOf(revoked),
  };
}

const STATES: readonly ExchangeState[] = ['reserved', 'relayed', 'settled', 'released'];

function exchangeOf(row: Row): ExchangeRecord {
  const state = STATES.find((known) => known === row['state']);
  if (state === undefined) throw gatewayError('gateway.store', 'state');
  const { worker_id: workerId, receipt } = row;
  return {
    msgId: fixed(bytesOf(row['msg_id']), 16),
    keyId: textOf(row['key_id']),
    maxAmount: BigInt(textOf(row['max_amount'])),
    reservedMs: numberOf(row['reserved_ms']),
    expiresMs: numberOf(row['expires_ms']),
    state,
    workerId: workerId === null ? undefined : fixed(bytesOf(workerId), 32),
    receipt: receipt === null ? undefined : bytesOf(receipt),
  };
}
