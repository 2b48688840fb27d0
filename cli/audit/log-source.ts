/**
 * A log as somebody names it: one file, a folder with all files of one, or the data directory of a gateway. Reading
 * needs no rights of the writer's and takes no lock.
 * @module
 */

import { closeSync, constants, existsSync, fstatSync, openSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CHAIN_START, type ChainedLine, type ChainHead } from '../../core/node/chained-line.ts';
import {
  ChainCheck,
  LineScanner,
  chainFiles,
  type ChainFault,
  type ChainFile,
  type ChainOrigin,
} from '../../core/node/chained-log-reader.ts';
import { systemCodeOf } from '../../core/node/private-files.ts';
import { auditError } from './errors.ts';

export interface LogSource {
  /** As it was named. */
  readonly path: string;
  readonly kind: 'file' | 'folder';
  /** Where the files are. */
  readonly place: string;
  readonly origin: ChainOrigin;
}

export interface ReadEntry {
  readonly file: string;
  readonly lineNumber: number;
  readonly line?: ChainedLine;
  readonly fault?: ChainFault;
}

const FOLDER_OF_GATEWAY = 'audit';
const NUMBERED_FILE = /-(\d{6,9})\.log$/;

/** Throws `audit.unreadable`. `after` is the entry that the first one must follow, when somebody knows it. */
export function logSource(path: string, after?: ChainHead): LogSource {
  const found = statOf(path);
  if (found.isDirectory()) {
    const inside = join(path, FOLDER_OF_GATEWAY);
    const isGateway = chainFiles(path).length === 0 && existsSync(inside);
    const place = isGateway ? inside : path;
    filesOf(place);
    return { path, kind: 'folder', place, origin: after ?? CHAIN_START };
  }
  if (!found.isFile()) throw auditError('audit.unreadable', `${path} is no file and no folder`);
  return { path, kind: 'file', place: path, origin: after ?? originOf(path) };
}

/** A later file of a log that is looked at alone begins in the middle. */
function originOf(path: string): ChainOrigin {
  const number = NUMBERED_FILE.exec(basename(path))?.[1];
  return number !== undefined && Number(number) > 1 ? 'anywhere' : CHAIN_START;
}

function statOf(path: string) {
  try {
    return statSync(path);
  } catch (cause) {
    throw auditError('audit.unreadable', `${path} (${systemCodeOf(cause)})`, { cause });
  }
}

function filesOf(folder: string): readonly ChainFile[] {
  const files = chainFiles(folder);
  const names = new Set(files.map(({ path }) => path.replace(NUMBERED_FILE, '')));
  if (files.length === 0) throw auditError('audit.unreadable', `${folder} holds no log`);
  if (names.size > 1) {
    throw auditError('audit.unreadable', `${folder} holds several logs; name a file`);
  }
  return files;
}

interface OpenedFile {
  readonly path: string;
  readonly file: number;
  readonly scanner: LineScanner;
  lines: number;
}

/** Goes through the log from its beginning; each `read` goes on to where it ends now. */
export class LogWalk implements Disposable {
  readonly #source: LogSource;
  readonly #check: ChainCheck;
  readonly #visit: (entry: ReadEntry) => void;
  #opened: OpenedFile | undefined;
  #number = 0;
  #files = 0;

  constructor(source: LogSource, visit: (entry: ReadEntry) => void) {
    this.#source = source;
    this.#check = new ChainCheck(source.origin);
    this.#visit = visit;
  }

  get head(): ChainHead | undefined {
    return this.#check.head;
  }

  get files(): number {
    return this.#files;
  }

  /** Of everything there is now. Throws `audit.unreadable`. */
  bytes(): number {
    return this.#present().reduce((sum, { path }) => sum + statOf(path).size, 0);
  }

  /** Throws `audit.unreadable`. */
  read(onBytes?: (bytes: number) => void): void {
    this.#scan(onBytes);
    for (const { path, number } of this.#present()) {
      if (number <= this.#number) continue;
      // The one before is complete by now, and may have grown since it was read.
      this.#scan(onBytes);
      this.#reportTorn();
      this.#close();
      this.#opened = openFile(path);
      this.#number = number;
      this.#files++;
      this.#scan(onBytes);
    }
  }

  /** A last line without its end; asked when nothing more is to come. */
  end(): void {
    // Half a line may be one that is being written.
    this.#scan(undefined);
    this.#reportTorn();
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #present(): readonly ChainFile[] {
    const { kind, place } = this.#source;
    return kind === 'file' ? [{ path: place, number: 1 }] : filesOf(place);
  }

  #scan(onBytes: ((bytes: number) => void) | undefined): void {
    const opened = this.#opened;
    if (opened === undefined) return;
    opened.scanner.scan((bytes) => {
      opened.lines++;
      const read = this.#check.check(bytes);
      this.#visit({ file: opened.path, lineNumber: opened.lines, ...read });
    }, onBytes);
  }

  #reportTorn(): void {
    const opened = this.#opened;
    const torn = opened?.scanner.tornBytes ?? 0;
    if (opened === undefined || torn === 0) return;
    const fault = {
      code: 'torn',
      text: `has no end: ${torn} bytes, cut by a crash or by hand`,
    } as const;
    this.#visit({ file: opened.path, lineNumber: opened.lines + 1, fault });
  }

  #close(): void {
    if (this.#opened !== undefined) closeSync(this.#opened.file);
    this.#opened = undefined;
  }
}

function openFile(path: string): OpenedFile {
  try {
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!fstatSync(file).isFile()) {
      closeSync(file);
      throw auditError('audit.unreadable', `${path} is not a file`);
    }
    return { path, file, scanner: new LineScanner(file), lines: 0 };
  } catch (cause) {
    throw auditError('audit.unreadable', `${path} (${systemCodeOf(cause)})`, { cause });
  }
}
