/**
 * The files that `veilgate measure` is given. Kernels and initrds are hashed as they are read and never held, so their
 * size costs time and no memory.
 * @module
 */

import { closeSync, openSync, readSync } from 'node:fs';
import { sha256Stream } from '#primitives';
import { Gatherer, type Bytes } from '../../core/bytes.ts';
import { cliError } from '../errors.ts';

export interface HashedFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly sha256: Bytes<32>;
}

const CHUNK_BYTES = 1024 * 1024;
/** Far above any kernel or initrd; a device that never ends is noticed here. */
const HASHED_FILE_MAX_BYTES = 16 * 1024 * 1024 * 1024;

/** Throws `cli.file`. */
export function hashFile(what: string, path: string): HashedFile {
  const hash = sha256Stream();
  const sizeBytes = readPieces({ what, path, maxBytes: HASHED_FILE_MAX_BYTES }, (piece) =>
    hash.update(piece),
  );
  return { path, sizeBytes, sha256: hash.digest() };
}

/** Throws `cli.file`. */
export function readBoundedFile(what: string, path: string, maxBytes: number): Uint8Array {
  const gathered = new Gatherer();
  readPieces({ what, path, maxBytes }, (piece) => gathered.push(piece));
  return gathered.bytes();
}

interface FileToRead {
  /** As the message calls it. */
  readonly what: string;
  readonly path: string;
  readonly maxBytes: number;
}

/** What was read altogether. A piece is good until the next one. */
function readPieces(file: FileToRead, take: (piece: Uint8Array) => void): number {
  const buffer = new Uint8Array(CHUNK_BYTES);
  const handle = attempt(file, () => openSync(file.path, 'r'));
  try {
    let total = 0;
    for (;;) {
      const size = attempt(file, () => readSync(handle, buffer, 0, buffer.length, null));
      if (size === 0) return total;
      total += size;
      if (total > file.maxBytes) {
        throw cliError('cli.file', `${file.what} ${file.path} has over ${file.maxBytes} bytes`);
      }
      take(buffer.subarray(0, size));
    }
  } finally {
    closeSync(handle);
  }
}

const REASONS: ReadonlyMap<unknown, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['EACCES', 'access is denied'],
  ['EISDIR', 'it is a directory'],
]);

function attempt<Value>({ what, path }: FileToRead, action: () => Value): Value {
  try {
    return action();
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    const reason = REASONS.get(code) ?? 'reading failed';
    throw cliError('cli.file', `cannot read ${what} ${path}: ${reason}`, { cause });
  }
}
