/**
 * Reads chained logs of any length in little memory, and says of each line what is wrong with it. A log can be read
 * while it is written. Spec: docs/audit.md §2.
 * @module
 */

import { readSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  CHAIN_START,
  LINE_MAX_BYTES,
  readLine,
  type ChainedLine,
  type ChainHead,
} from './chained-line.ts';

export interface ChainFault {
  /** `torn`: no line end. */
  readonly code: 'size' | 'form' | 'canonical' | 'hash' | 'seq' | 'prev' | 'torn';
  /** Numbers and hashes only. */
  readonly text: string;
}

/** Where the lines are judged from: after this entry, or after whatever the first line says it follows. */
export type ChainOrigin = ChainHead | 'anywhere';

/** Whether each line follows the one before. After a fault it goes on from what the line says of itself. */
export class ChainCheck {
  #seq: number | undefined;
  #hash: string | undefined;

  constructor(origin: ChainOrigin) {
    if (origin === 'anywhere') return;
    this.#seq = origin.seq;
    this.#hash = origin.hash;
  }

  /** The last line that could be read; undefined before one, and after one that could not. */
  get head(): ChainHead | undefined {
    const [seq, hash] = [this.#seq, this.#hash];
    return seq === undefined || hash === undefined ? undefined : { seq, hash };
  }

  /** Undefined bytes: a line that is too long. */
  check(bytes: Uint8Array | undefined): {
    readonly line?: ChainedLine;
    readonly fault?: ChainFault;
  } {
    const read = bytes === undefined ? TOO_LONG : readLine(bytes);
    if (read.outcome === 'unreadable') {
      this.#seq = this.#seq === undefined ? undefined : this.#seq + 1;
      this.#hash = undefined;
      return { fault: { code: read.fault, text: UNREADABLE[read.fault] } };
    }
    const { line } = read;
    const fault = read.outcome === 'altered' ? ALTERED : this.#faultOfPlace(line);
    this.#seq = line.seq;
    this.#hash = line.hash;
    return fault === undefined ? { line } : { line, fault };
  }

  #faultOfPlace({ seq, prev }: ChainedLine): ChainFault | undefined {
    if (this.#seq !== undefined && seq !== this.#seq + 1) {
      const missing = seq - this.#seq - 1;
      const what = missing > 0 ? `${missing} missing before it` : 'it stood before already';
      return { code: 'seq', text: `is entry ${seq} where entry ${this.#seq + 1} belongs: ${what}` };
    }
    if (this.#hash !== undefined && prev !== this.#hash) {
      return { code: 'prev', text: `follows ${prev}, and the entry before it is ${this.#hash}` };
    }
    const isFirst = seq === 1;
    if (isFirst && prev !== CHAIN_START.hash) {
      return { code: 'prev', text: 'is entry 1 and says that another one came before it' };
    }
    return undefined;
  }
}

const TOO_LONG = { outcome: 'unreadable', fault: 'size' } as const;
const ALTERED: ChainFault = {
  code: 'hash',
  text: 'was changed: its hash is of something else',
};
const UNREADABLE = {
  size: `is longer than the ${LINE_MAX_BYTES} bytes that a line may have`,
  form: 'is not a line of a log',
  canonical: 'holds an entry that is not canonical JSON',
} as const;

const CHUNK_BYTES = 262_144;
const LINE_END = 0x0a;

/** Lines of a file from `offset` to where it ends now; a later call goes on with what has been added since. */
export class LineScanner {
  readonly #file: number;
  readonly #buffer = new Uint8Array(CHUNK_BYTES + LINE_MAX_BYTES);
  #position: number;
  #held = 0;
  /** Of a line that is too long: bytes that are not kept. */
  #dropped = 0;

  constructor(file: number, offset = 0) {
    this.#file = file;
    this.#position = offset;
  }

  /** Where the last whole line ends. */
  get endOfLines(): number {
    return this.#position - this.tornBytes;
  }

  /** After the last line end. */
  get tornBytes(): number {
    return this.#held + this.#dropped;
  }

  /** The bytes are valid during the call only; undefined for a line that is too long. */
  scan(onLine: (bytes: Uint8Array | undefined) => void, onChunk?: (bytes: number) => void): void {
    for (;;) {
      const room = this.#buffer.length - this.#held;
      const got = readSync(this.#file, this.#buffer, this.#held, room, this.#position);
      if (got === 0) return;
      this.#position += got;
      this.#take(this.#held + got, onLine);
      onChunk?.(got);
    }
  }

  #take(end: number, onLine: (bytes: Uint8Array | undefined) => void): void {
    const filled = this.#buffer.subarray(0, end);
    let start = 0;
    for (;;) {
      const at = filled.indexOf(LINE_END, start === 0 ? this.#held : start);
      if (at === -1) break;
      onLine(this.#dropped > 0 ? undefined : filled.subarray(start, at));
      this.#dropped = 0;
      start = at + 1;
    }
    this.#buffer.copyWithin(0, start, end);
    this.#held = end - start;
    if (this.#held > LINE_MAX_BYTES || this.#dropped > 0) {
      this.#dropped += this.#held;
      this.#held = 0;
    }
  }
}

export interface ChainFile {
  readonly path: string;
  readonly number: number;
}

const FILE_FORM = /^(.+)-(\d{6,9})\.log$/;
const FILE_DIGITS = 6;

export function chainFileName(name: string, number: number): string {
  return `${name}-${String(number).padStart(FILE_DIGITS, '0')}.log`;
}

/**
 * All files of the log `name`, or of every log when it is not given, in the order of the chain. Throws the system's
 * error.
 */
export function chainFiles(folder: string, name?: string): readonly ChainFile[] {
  return readdirSync(folder)
    .flatMap((file) => {
      const match = FILE_FORM.exec(file);
      if (match === null || (name !== undefined && match[1] !== name)) return [];
      return [{ path: join(folder, file), number: Number(match[2]) }];
    })
    .toSorted((a, b) => a.number - b.number || (a.path < b.path ? -1 : 1));
}
