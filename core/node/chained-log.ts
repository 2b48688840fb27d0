/**
 * An append-only log whose lines hang together by their hashes, in files of bounded size, with one writer. What was
 * acknowledged durably is on the disk; after a failure of the disk nothing more is written, because there would be a
 * hole. Whoever owns the disk can cut the end off, which no chain can know: hand `head()` to somebody else. Spec:
 * docs/audit.md §1, §2.
 * @module
 */

import {
  closeSync,
  fdatasync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readSync,
  write,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { sha256 } from '#primitives';
import { concat, toHex } from '../bytes.ts';
import type { Clock } from '../clock.ts';
import { VeilError, defineErrors, type ErrorSpec } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { CHAIN_START, LINE_MAX_BYTES, encodeLine, type ChainHead } from './chained-line.ts';
import {
  ChainCheck,
  LineScanner,
  chainFileName,
  chainFiles,
  type ChainFile,
  type ChainOrigin,
} from './chained-log-reader.ts';
import { createPrivate, makePrivateFolder, openPrivate, systemCodeOf } from './private-files.ts';
import { takeWriterLock } from './writer-lock.ts';

const BROKEN: ErrorSpec = { status: 500, recovery: 'stop', public: 'Internal error.' };

export const chainedLogError = defineErrors({
  /** What is there does not verify: nothing is appended to it. */
  'chained_log.broken': BROKEN,
  /** The disk failed, or somebody else wrote to the file. */
  'chained_log.failed': BROKEN,
  /** The disk does not keep up. */
  'chained_log.busy': { ...BROKEN, recovery: 'retry_later' },
  'chained_log.closed': BROKEN,
});

/** What the log needs of a file system, beyond opening files. */
export interface Disk {
  /** At the end of the file. Resolves to how many bytes were taken. */
  write(file: number, bytes: Uint8Array): Promise<number>;
  sync(file: number): Promise<void>;
}

const writeTo = promisify(write);
const NODE_DISK: Disk = {
  write: async (file, bytes) => (await writeTo(file, bytes)).bytesWritten,
  sync: promisify(fdatasync),
};

export interface ChainedLogOptions {
  /** Made if it is not there; its owner's alone. */
  readonly folder: string;
  /** Of the files: `<name>-000001.log` and so on. */
  readonly name: string;
  readonly clock: Clock;
  readonly fileMaxBytes?: number;
  /** Of lines that wait for the disk. */
  readonly pendingMaxBytes?: number;
  readonly disk?: Disk;
  /** Told once, when nothing more is written. */
  readonly onFailure?: (error: VeilError) => void;
}

const FILE_MAX_BYTES = 67_108_864;
const PENDING_MAX_BYTES = 8_388_608;
const BATCH_MAX_BYTES = 1_048_576;
/** How long a line that nobody waits for waits for company. */
const FLUSH_AFTER_MS = 5;
/** Entries of the log about itself. */
export const CUT_ENTRY = 'log.cut';
export const DROPPED_ENTRY = 'log.dropped';

interface Pending {
  readonly bytes: Uint8Array;
  readonly head: ChainHead;
  readonly waiter?: PromiseWithResolvers<ChainHead>;
}

/** The file that is written to, and how far the chain has come in it. */
interface OpenFile {
  readonly file: number;
  readonly number: number;
  readonly size: number;
  readonly head: ChainHead;
}

/**
 * Verifies the newest file and that it follows the one before, and takes a cut last line away; older files are for
 * `ChainCheck` to judge. Throws `chained_log.broken`, `writer_lock.held`, `file.private`.
 */
export function openChainedLog(options: ChainedLogOptions): ChainedLog {
  const { folder, name } = options;
  makePrivateFolder(folder);
  const release = takeWriterLock(join(folder, `${name}.lock`));
  try {
    const files = chainFiles(folder, name);
    const newest = files.at(-1);
    if (newest === undefined) {
      const file = createFile(folder, name, 1);
      return new ChainedLog(options, { file, number: 1, size: 0, head: CHAIN_START }, release);
    }
    const { torn, ...opened } = openNewest(newest, files.at(-2));
    const log = new ChainedLog(options, opened, release);
    if (torn.length > 0) {
      log.append({ kind: CUT_ENTRY, bytes: torn.length, sha256: toHex(sha256(torn)) });
    }
    return log;
  } catch (error) {
    release();
    throw error;
  }
}

function createFile(folder: string, name: string, number: number): number {
  const file = createPrivate(join(folder, chainFileName(name, number)));
  // A file whose name is lost with the power would take its lines along.
  const directory = openSync(folder, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
  return file;
}

function openNewest(
  newest: ChainFile,
  before: ChainFile | undefined,
): OpenFile & { readonly torn: Uint8Array } {
  const { path, number } = newest;
  const file = openPrivate(path, { privacy: 'secret', access: 'append' });
  if (file === undefined) throw broken(path, 'is not there any more');
  try {
    const check = new ChainCheck(originOf(newest, before));
    const scanner = new LineScanner(file);
    let lines = 0;
    scanner.scan((bytes) => {
      lines++;
      const { fault } = check.check(bytes);
      if (fault !== undefined) throw broken(`${path}:${lines}`, fault.text);
    });
    const { head } = check;
    if (head === undefined) throw broken(path, 'is empty, and the file before it is not there');
    return { file, number, size: scanner.endOfLines, head, torn: cutTorn(path, file, scanner) };
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** Files before it may have been put away, but not the one that it begins with. */
function originOf({ number }: ChainFile, before: ChainFile | undefined): ChainOrigin {
  if (before !== undefined) return lastOf(before.path);
  return number === 1 ? CHAIN_START : 'anywhere';
}

function lastOf(path: string): ChainHead {
  const file = openPrivate(path, { privacy: 'secret', access: 'read' });
  if (file === undefined) throw broken(path, 'is not there any more');
  try {
    const from = Math.max(0, fstatSync(file).size - 2 * (LINE_MAX_BYTES + 1));
    const scanner = new LineScanner(file, from);
    let last: ReturnType<ChainCheck['check']> = {};
    // The first one is half a line, unless the file begins there; the last one is whole.
    scanner.scan((bytes) => {
      last = new ChainCheck('anywhere').check(bytes);
    });
    if (last.line === undefined || last.fault !== undefined || scanner.tornBytes > 0) {
      throw broken(path, 'does not end with a whole line');
    }
    return last.line;
  } finally {
    closeSync(file);
  }
}

/** A crash in the middle of a write leaves a piece of one line. More than that is not ours to take away. */
function cutTorn(path: string, file: number, { endOfLines, tornBytes }: LineScanner): Uint8Array {
  const torn = new Uint8Array(tornBytes);
  if (tornBytes === 0) return torn;
  if (tornBytes > LINE_MAX_BYTES) throw broken(path, `${tornBytes} bytes after the last line`);
  readSync(file, torn, 0, tornBytes, endOfLines);
  ftruncateSync(file, endOfLines);
  fsyncSync(file);
  return torn;
}

function broken(place: string, what: string): VeilError {
  const remedy = 'put the folder aside, unchanged, and start with a new one';
  return chainedLogError('chained_log.broken', `${place} ${what}; ${remedy}`);
}

export class ChainedLog {
  readonly #options: ChainedLogOptions;
  readonly #disk: Disk;
  readonly #release: () => void;
  #file: number;
  #number: number;
  #size: number;
  /** Of everything that was taken. */
  #tip: ChainHead;
  /** Of what is written, and of what is on the disk for sure. */
  #written: ChainHead;
  #synced: ChainHead;
  #pending: Pending[] = [];
  #pendingBytes = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | undefined;
  #draining: Promise<void> | undefined;
  #failure: VeilError | undefined;
  #closing: Promise<void> | undefined;

  /** For `openChainedLog`. */
  constructor(options: ChainedLogOptions, opened: OpenFile, release: () => void) {
    this.#options = options;
    this.#disk = options.disk ?? NODE_DISK;
    this.#release = release;
    this.#file = opened.file;
    this.#number = opened.number;
    this.#size = opened.size;
    this.#tip = opened.head;
    this.#written = opened.head;
    this.#synced = opened.head;
  }

  /** The last entry that is on the disk for sure. Told to somebody else, it shows whether the end was cut off. */
  head(): ChainHead {
    return this.#synced;
  }

  /** Why nothing more is written, if so. */
  get failure(): VeilError | undefined {
    return this.#failure;
  }

  /**
   * Written within milliseconds. What comes while the disk does not keep up is counted in the log; after a failure
   * or the end it is lost.
   */
  append(entry: JsonObject): void {
    if (this.#refusal() !== undefined) return;
    if (this.#isFull()) {
      this.#dropped++;
      return;
    }
    this.#take(entry);
    this.#timer ??= setTimeout(() => void this.#drain(), FLUSH_AFTER_MS);
  }

  /** Resolves when the entry is on the disk, with its place in the chain. Rejects with `chained_log.*`. */
  async appendDurably(entry: JsonObject): Promise<ChainHead> {
    const refusal = this.#refusal();
    if (refusal !== undefined) throw refusal;
    if (this.#isFull()) throw chainedLogError('chained_log.busy');
    const waiter = Promise.withResolvers<ChainHead>();
    this.#take(entry, waiter);
    void this.#drain();
    return await waiter.promise;
  }

  /** Writes what is left. Rejects with `chained_log.failed`. */
  async close(): Promise<void> {
    this.#closing ??= this.#finish();
    await this.#closing;
  }

  async #finish(): Promise<void> {
    try {
      await this.#drain();
      if (this.#failure === undefined) await this.#sync().catch((cause) => this.#fail(cause));
    } finally {
      clearTimeout(this.#timer);
      closeSync(this.#file);
      this.#release();
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #refusal(): VeilError | undefined {
    if (this.#failure !== undefined) return this.#failure;
    return this.#closing === undefined ? undefined : chainedLogError('chained_log.closed');
  }

  #isFull(): boolean {
    return this.#pendingBytes > (this.#options.pendingMaxBytes ?? PENDING_MAX_BYTES);
  }

  /** Everything is numbered and hashed where it is taken: order of calls is order of lines. */
  #take(entry: JsonObject, waiter?: PromiseWithResolvers<ChainHead>): void {
    if (this.#dropped > 0) {
      const count = this.#dropped;
      this.#dropped = 0;
      this.#take({ kind: DROPPED_ENTRY, count });
    }
    const line = encodeLine(this.#tip, this.#options.clock(), entry);
    const bytes = concat(line.bytes, LINE_END);
    this.#tip = line.head;
    this.#pendingBytes += bytes.length;
    this.#pending.push({ bytes, head: line.head, ...(waiter === undefined ? {} : { waiter }) });
  }

  /** One at a time. Whoever comes while the disk works is in the next group. */
  #drain(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#draining ??= this.#drainAll();
    return this.#draining;
  }

  async #drainAll(): Promise<void> {
    // Callers of this turn share the first group.
    await Promise.resolve();
    while (this.#pending.length > 0) {
      const batch = this.#nextBatch();
      try {
        await this.#write(batch);
        for (const { waiter, head } of batch) waiter?.resolve(head);
      } catch (cause) {
        this.#fail(cause, batch);
      }
    }
    // In the turn that found nothing left: a line that comes now starts a drain of its own.
    this.#draining = undefined;
  }

  /** As many lines as one write takes; always at least one. */
  #nextBatch(): readonly Pending[] {
    let [count, bytes] = [0, 0];
    for (const { bytes: line } of this.#pending) {
      if (count > 0 && bytes + line.length > BATCH_MAX_BYTES) break;
      count++;
      bytes += line.length;
    }
    return this.#pending.splice(0, count);
  }

  async #write(batch: readonly Pending[]): Promise<void> {
    const bytes = concat(...batch.map((line) => line.bytes));
    const { fileMaxBytes = FILE_MAX_BYTES } = this.#options;
    if (this.#size > 0 && this.#size + bytes.length > fileMaxBytes) await this.#nextFile();
    this.#assertAlone();
    await this.#writeAll(bytes);
    this.#size += bytes.length;
    this.#pendingBytes -= bytes.length;
    this.#written = batch.at(-1)?.head ?? this.#written;
    if (batch.some(({ waiter }) => waiter !== undefined)) await this.#sync();
  }

  async #sync(): Promise<void> {
    const written = this.#written;
    await this.#disk.sync(this.#file);
    this.#synced = written;
  }

  /** The old file is on the disk before the new one has a line: a crash leaves no hole between them. */
  async #nextFile(): Promise<void> {
    await this.#sync();
    const { folder, name } = this.#options;
    const file = createFile(folder, name, this.#number + 1);
    closeSync(this.#file);
    this.#file = file;
    this.#number++;
    this.#size = 0;
  }

  /** A lock means nothing between machines that share a disk; a file that somebody else has written to does. */
  #assertAlone(): void {
    const { size, nlink } = fstatSync(this.#file);
    if (nlink === 0) throw chainedLogError('chained_log.failed', 'the file was deleted');
    if (size !== this.#size) {
      throw chainedLogError('chained_log.failed', 'somebody else wrote to the file');
    }
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    try {
      for (let at = 0; at < bytes.length;) {
        const taken = await this.#disk.write(this.#file, bytes.subarray(at));
        if (taken <= 0) throw chainedLogError('chained_log.failed', 'the disk takes nothing');
        at += taken;
      }
    } catch (error) {
      this.#takeBack();
      throw error;
    }
  }

  /** What was refused is not left there in part. */
  #takeBack(): void {
    try {
      ftruncateSync(this.#file, this.#size);
    } catch {
      // The next opening cuts what is left of a line.
    }
  }

  /** For good: the chain has numbers that were never written, and the disk may have lost what it said it took. */
  #fail(cause: unknown, batch: readonly Pending[] = []): void {
    const file = chainFileName(this.#options.name, this.#number);
    const what = cause instanceof VeilError ? cause.message : systemCodeOf(cause);
    const error = chainedLogError('chained_log.failed', `${file}: ${what}`, { cause });
    this.#failure = error;
    const lost = [...batch, ...this.#pending];
    this.#pending = [];
    this.#pendingBytes = 0;
    for (const { waiter } of lost) waiter?.reject(error);
    this.#options.onFailure?.(error);
  }
}

const LINE_END = Uint8Array.of(0x0a);
