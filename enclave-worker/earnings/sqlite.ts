/**
 * The earnings of a worker in one file, with node:sqlite in WAL mode: a row that was written survives the death of the
 * process. On loss of power the last rows may be missing, and then the worker believes it has earned less than it has.
 * Spec: ./store.ts; docs/adr/0005-worker-earnings.md; SQLite "PRAGMA synchronous".
 * @module
 */

import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync, type SQLOutputValue, type StatementSync } from 'node:sqlite';
import { fixed, utf8, type Bytes } from '../../core/bytes.ts';
import { canonicalJson, parseJson } from '../../core/json.ts';
import { assertPrivateFolder, makePrivateFolder } from '../../core/node/private-files.ts';
import { takeWriterLock } from '../../core/node/writer-lock.ts';
import { VOUCHER_BYTES } from '../../settlement/voucher.ts';
import { CHANNEL_TERMS, channelTermsJson } from '../../settlement/channel-terms.ts';
import { AMOUNT_MAX, assetOfCode, codeOfAsset } from '../../settlement/money.ts';
import { EARNINGS_BUSY_MS, EARNINGS_ROWS_KEEP_DAYS, TERMS_JSON_MAX_BYTES } from '../limits.ts';
import { earningsError } from './errors.ts';
import type {
  BookName,
  BookReport,
  BookSums,
  DaySum,
  EarnedReceipt,
  EarningsStore,
  KeptVoucher,
  Notice,
} from './store.ts';

const FILE_NAME = 'earnings.sqlite';
const LOCK_NAME = 'worker.lock';
const SCHEMA_VERSION = 1n;
const DAY_MS = 86_400_000;

/** Sums stand beside the rows they are of, so that old rows can go and the file does not grow with the years. */
const SCHEMA = `
CREATE TABLE book (
  id INTEGER PRIMARY KEY, gateway TEXT NOT NULL, worker_id BLOB NOT NULL, asset INTEGER NOT NULL,
  issued INTEGER NOT NULL DEFAULT 0, before INTEGER, statement BLOB, worker_seq TEXT,
  earned INTEGER, paid INTEGER, at_ms INTEGER, UNIQUE (gateway, worker_id, asset)
) STRICT;
CREATE TABLE receipt (
  book INTEGER NOT NULL, at_ms INTEGER NOT NULL, model TEXT NOT NULL, statement BLOB NOT NULL, worker_seq TEXT NOT NULL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, amount INTEGER NOT NULL, part INTEGER NOT NULL,
  PRIMARY KEY (statement, worker_seq)
) STRICT;
CREATE INDEX receipt_time ON receipt (at_ms);
CREATE TABLE day (
  book INTEGER NOT NULL, day INTEGER NOT NULL, model TEXT NOT NULL, requests INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, amount INTEGER NOT NULL, part INTEGER NOT NULL,
  PRIMARY KEY (book, day, model)
) STRICT, WITHOUT ROWID;
CREATE TABLE voucher (
  book INTEGER NOT NULL, channel BLOB NOT NULL, epoch INTEGER NOT NULL, ceiling INTEGER NOT NULL,
  voucher BLOB NOT NULL, terms TEXT NOT NULL, at_ms INTEGER NOT NULL, PRIMARY KEY (book, channel, epoch)
) STRICT, WITHOUT ROWID;
`;

const SQL = {
  begin: 'BEGIN IMMEDIATE',
  commit: 'COMMIT',
  rollback: 'ROLLBACK',
  openBook: 'INSERT INTO book (gateway, worker_id, asset) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  book: 'SELECT * FROM book WHERE gateway = ? AND worker_id = ? AND asset = ?',
  addReceipt: 'INSERT INTO receipt VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)',
  addDay:
    'INSERT INTO day VALUES (?, ?, ?, 1, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET requests = requests + 1, input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens, amount = amount + excluded.amount, part = part + excluded.part',
  addIssued: 'UPDATE book SET issued = issued + ? WHERE id = ?',
  setNotice:
    'UPDATE book SET before = ?, statement = ?, worker_seq = ?, earned = ?, paid = ?, at_ms = ? WHERE id = ?',
  putVoucher:
    'INSERT INTO voucher VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET ceiling = excluded.ceiling, voucher = excluded.voucher, at_ms = excluded.at_ms WHERE excluded.ceiling >= ceiling',
  vouchers: 'SELECT * FROM voucher WHERE book = ? ORDER BY at_ms, channel, epoch',
  books: 'SELECT * FROM book ORDER BY id',
  days: 'SELECT * FROM day WHERE book = ? ORDER BY day, model',
  prune: 'DELETE FROM receipt WHERE at_ms < ?',
} as const;

type Row = Readonly<Record<string, SQLOutputValue>>;

/**
 * `undefined`: in memory only. One worker at a time: two would each count what the other is paid. Throws `earnings.store`,
 * `file.private`, `writer_lock.held`.
 */
export function openEarnings(dir: string | undefined, nowMs: number): EarningsStore {
  if (dir === undefined) return open(':memory:', nowMs, () => undefined);
  makePrivateFolder(dir);
  const giveBack = takeWriterLock(join(dir, LOCK_NAME));
  try {
    return open(join(dir, FILE_NAME), nowMs, giveBack);
  } catch (error) {
    giveBack();
    throw error;
  }
}

/** All books in it, of a worker that may be running: nothing is written. Throws `earnings.store`, `file.private`. */
export function readEarnings(dir: string): readonly BookReport[] {
  assertPrivateFolder(dir);
  const path = join(dir, FILE_NAME);
  if (!existsSync(path)) throw earningsError('earnings.store', `${path} is not there`);
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: EARNINGS_BUSY_MS, readBigInts: true });
    database.exec('PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; BEGIN');
    const version = database.prepare('PRAGMA user_version').get()?.['user_version'];
    if (version !== SCHEMA_VERSION) throw earningsError('earnings.store', 'of another version');
    const [vouchers, days] = [database.prepare(SQL.vouchers), database.prepare(SQL.days)];
    return database
      .prepare(SQL.books)
      .all()
      .map((row) => ({
        book: bookNameOf(row),
        sums: bookSumsOf(row),
        vouchers: vouchers.all(integer(row, 'id')).map(keptVoucherOf),
        days: days.all(integer(row, 'id')).map(daySumOf),
      }));
  } catch (cause) {
    throw earningsError('earnings.store', path, { cause });
  } finally {
    database?.close();
  }
}

function open(path: string, nowMs: number, giveBack: () => void): EarningsStore {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: EARNINGS_BUSY_MS, readBigInts: true });
    database.exec(
      'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA trusted_schema = OFF',
    );
    if (path !== ':memory:') chmodSync(path, 0o600);
    migrate(database);
    database.prepare(SQL.prune).run(nowMs - EARNINGS_ROWS_KEEP_DAYS * DAY_MS);
    return new SqliteEarnings(database, giveBack);
  } catch (cause) {
    database?.close();
    throw earningsError('earnings.store', path, { cause });
  }
}

function migrate(database: DatabaseSync): void {
  const version = database.prepare('PRAGMA user_version').get()?.['user_version'];
  if (version === SCHEMA_VERSION) return;
  if (version !== 0n) throw earningsError('earnings.store', 'of another version');
  database.exec(`BEGIN IMMEDIATE; ${SCHEMA} PRAGMA user_version = ${SCHEMA_VERSION}; COMMIT`);
}

class SqliteEarnings implements EarningsStore {
  readonly #database: DatabaseSync;
  readonly #giveBack: () => void;
  readonly #statements = new Map<keyof typeof SQL, StatementSync>();

  constructor(database: DatabaseSync, giveBack: () => void) {
    this.#database = database;
    this.#giveBack = giveBack;
  }

  sums(book: BookName): BookSums {
    return bookSumsOf(this.#bookRow(book));
  }

  addReceipt(book: BookName, receipt: EarnedReceipt): void {
    const { atMs, model, statementHash, workerSeq, inputTokens, outputTokens } = receipt;
    const [amount, part] = [bounded(receipt.amount), bounded(receipt.part)];
    const id = integer(this.#bookRow(book), 'id');
    this.#inOne(() => {
      const day = BigInt(Math.floor(atMs / DAY_MS));
      this.#run(
        'addReceipt',
        id,
        atMs,
        model,
        statementHash,
        workerSeq.toString(),
        inputTokens,
        outputTokens,
        amount,
        part,
      );
      this.#run('addDay', id, day, model, inputTokens, outputTokens, amount, part);
      this.#run('addIssued', part, id);
    });
  }

  addNotice(book: BookName, { acknowledged, before, voucher }: Notice): void {
    const { statementHash, workerSeq, earned, paid, atMs } = acknowledged;
    const id = integer(this.#bookRow(book), 'id');
    this.#inOne(() => {
      this.#run('setNotice', before, statementHash, workerSeq.toString(), earned, paid, atMs, id);
      if (voucher === undefined) return;
      const { channel, epoch, ceiling, terms } = voucher;
      const termsText = canonicalJson(channelTermsJson(terms));
      this.#run('putVoucher', id, channel, epoch, ceiling, voucher.voucher, termsText, atMs);
    });
  }

  vouchers(book: BookName): readonly KeptVoucher[] {
    const id = integer(this.#bookRow(book), 'id');
    return this.#statement('vouchers').all(id).map(keptVoucherOf);
  }

  close(): void {
    this.#database.close();
    this.#giveBack();
  }

  #bookRow({ gateway, workerId, asset }: BookName): Row {
    const code = codeOfAsset(asset);
    const find = (): Row | undefined => this.#statement('book').get(gateway, workerId, code);
    const known = find();
    if (known !== undefined) return known;
    this.#run('openBook', gateway, workerId, code);
    const opened = find();
    if (opened === undefined) throw earningsError('earnings.store', 'book');
    return opened;
  }

  #inOne(write: () => void): void {
    try {
      this.#run('begin');
      write();
      this.#run('commit');
    } catch (cause) {
      if (this.#database.isTransaction) this.#run('rollback');
      throw earningsError('earnings.store', 'write', { cause });
    }
  }

  #run(
    name: keyof typeof SQL,
    ...parameters: readonly (string | number | bigint | Uint8Array)[]
  ): void {
    this.#statement(name).run(...parameters);
  }

  #statement(name: keyof typeof SQL): StatementSync {
    const known = this.#statements.get(name) ?? this.#database.prepare(SQL[name]);
    this.#statements.set(name, known);
    return known;
  }
}

/** An amount beyond this is nobody's price: it counts as the most that fits. */
function bounded(value: bigint): bigint {
  return value > AMOUNT_MAX ? AMOUNT_MAX : value;
}

function bookNameOf(row: Row): BookName {
  const asset = assetOfCode(Number(integer(row, 'asset')));
  if (asset === undefined) throw earningsError('earnings.store', 'asset');
  return { gateway: text(row, 'gateway'), workerId: blob(row, 'worker_id', 32), asset };
}

function bookSumsOf(row: Row): BookSums {
  const before = row['before'];
  if (typeof before !== 'bigint') {
    return { issued: integer(row, 'issued'), before: undefined, acknowledged: undefined };
  }
  const acknowledged = {
    statementHash: blob(row, 'statement', 32),
    workerSeq: BigInt(text(row, 'worker_seq')),
    earned: integer(row, 'earned'),
    paid: integer(row, 'paid'),
    atMs: Number(integer(row, 'at_ms')),
  };
  return { issued: integer(row, 'issued'), before, acknowledged };
}

function daySumOf(row: Row): DaySum {
  return {
    day: Number(integer(row, 'day')),
    model: text(row, 'model'),
    requests: integer(row, 'requests'),
    inputTokens: integer(row, 'input_tokens'),
    outputTokens: integer(row, 'output_tokens'),
    amount: integer(row, 'amount'),
    part: integer(row, 'part'),
  };
}

function keptVoucherOf(row: Row): KeptVoucher {
  const terms = CHANNEL_TERMS.parse(parseJson(utf8(text(row, 'terms')), TERMS_JSON_MAX_BYTES));
  return {
    channel: blob(row, 'channel', 32),
    terms,
    epoch: Number(integer(row, 'epoch')),
    ceiling: integer(row, 'ceiling'),
    voucher: blob(row, 'voucher', VOUCHER_BYTES),
  };
}

function integer(row: Row, name: string): bigint {
  const value = row[name];
  if (typeof value !== 'bigint') throw earningsError('earnings.store', name);
  return value;
}

function text(row: Row, name: string): string {
  const value = row[name];
  if (typeof value !== 'string') throw earningsError('earnings.store', name);
  return value;
}

function blob<N extends number>(row: Row, name: string, size: N): Bytes<N> {
  const value = row[name];
  if (!(value instanceof Uint8Array)) throw earningsError('earnings.store', name);
  return fixed(value, size);
}
