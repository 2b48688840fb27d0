/**
 * The embedded store: node:sqlite in WAL mode, written seldom and at once. Spec: ./store.ts; SQLite "Write-Ahead Logging".
 * @module
 */

import { chmodSync } from 'node:fs';
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { fixed, type Bytes } from '../../core/bytes.ts';
import { gatewayError } from '../errors.ts';
import type { ApiKeyRecord, Store } from './store.ts';

const SCHEMA_VERSION = 2;
const BUSY_TIMEOUT_MS = 5000;

const SCHEMA = `
CREATE TABLE api_key (
  key_id TEXT PRIMARY KEY, key_hash BLOB NOT NULL UNIQUE, label TEXT NOT NULL,
  created_ms INTEGER NOT NULL, revoked_ms INTEGER
) STRICT, WITHOUT ROWID;
`;

/** From each version to the next. In the first, exchanges stood here too. */
const MIGRATIONS: Readonly<Record<number, string>> = { 0: SCHEMA, 1: 'DROP TABLE exchange;' };

export interface SqliteOptions {
  /** A file, or `:memory:` for tests. */
  readonly path: string;
  /** `full` survives loss of power; `normal` the death of the process and of the system's users. */
  readonly durability: 'full' | 'normal';
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
  const step = typeof version === 'number' ? MIGRATIONS[version] : undefined;
  if (step === undefined) throw gatewayError('gateway.store', `schema version ${String(version)}`);
  database.exec(`BEGIN IMMEDIATE; ${step} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
}

class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #statements: Readonly<Record<keyof typeof SQL, StatementSync>>;

  constructor(database: DatabaseSync) {
    this.#database = database;
    const prepare = (name: keyof typeof SQL) => database.prepare(SQL[name]);
    this.#statements = {
      insertKey: prepare('insertKey'),
      findKey: prepare('findKey'),
      listKeys: prepare('listKeys'),
      revokeKey: prepare('revokeKey'),
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

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }
}

const SQL = {
  insertKey: 'INSERT INTO api_key VALUES (?, ?, ?, ?, ?)',
  findKey: 'SELECT * FROM api_key WHERE key_hash = ?',
  listKeys: 'SELECT * FROM api_key ORDER BY created_ms, key_id',
  revokeKey: 'UPDATE api_key SET revoked_ms = ? WHERE key_id = ? AND revoked_ms IS NULL',
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
