/**
 * Files that hold a secret of their owner's: made whole or not at all, never over what is there, and believed only when
 * nobody else could have written them. Spec: open(2), link(2).
 * @module
 */

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import { dirname } from 'node:path';
import { randomBytes } from '#primitives';
import { toHex } from '../bytes.ts';
import { defineErrors } from '../errors.ts';

export const privateFileError = defineErrors({
  /** Somebody else could have put it there or read it, or it cannot be read at all. */
  'file.private': { status: 500, recovery: 'stop', public: 'Internal error.' },
});

const OWNER_ONLY_FOLDER = 0o700;
const OWNER_ONLY_FILE = 0o600;
const WRITABLE_BY_OTHERS = 0o022;
const OPEN_TO_OTHERS = 0o077;
const DRAFT_ID_BYTES = 8;

/** Makes it where it is not there. Throws `file.private` for one that is not ours alone to write to. */
export function makePrivateFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: OWNER_ONLY_FOLDER });
  assertPrivateFolder(path);
}

/** Throws `file.private`. */
export function assertPrivateFolder(path: string): void {
  const found = statOf(path);
  if (found === undefined) throw privateFileError('file.private', `${path} is not there`);
  if (found.isSymbolicLink()) throw privateFileError('file.private', `${path} is a link`);
  if (!found.isDirectory()) throw privateFileError('file.private', `${path} is not a directory`);
  assertOurs(path, found);
  if ((found.mode & WRITABLE_BY_OTHERS) !== 0) {
    throw privateFileError(
      'file.private',
      `${path}: others may write to it; take a directory that is yours alone`,
    );
  }
}

/** `secret`: nobody else may even read it. */
export type Privacy = 'secret' | 'public';

/** Undefined when there is none. Throws `file.private` for what others could have written or, if secret, read. */
export function readPrivate(
  path: string,
  { privacy, maxBytes }: { readonly privacy: Privacy; readonly maxBytes: number },
): Uint8Array | undefined {
  const file = openPrivate(path, { privacy, access: 'read' });
  if (file === undefined) return undefined;
  try {
    const { size } = fstatSync(file);
    if (size > maxBytes) throw privateFileError('file.private', `${path} is too large`);
    const bytes = new Uint8Array(size);
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, 0));
  } finally {
    closeSync(file);
  }
}

/** `append`: for reading too, and every write lands at the end. */
export type Access = 'read' | 'append';

/** A descriptor; undefined when there is no such file. Throws `file.private` as `readPrivate` does. */
export function openPrivate(
  path: string,
  { privacy, access }: { readonly privacy: Privacy; readonly access: Access },
): number | undefined {
  const file = openExisting(path, access);
  if (file === undefined) return undefined;
  try {
    const found = fstatSync(file);
    if (!found.isFile()) throw privateFileError('file.private', `${path} is not a file`);
    assertOurs(path, found);
    const forbidden = privacy === 'secret' ? OPEN_TO_OTHERS : WRITABLE_BY_OTHERS;
    if ((found.mode & forbidden) !== 0) {
      throw privateFileError(
        'file.private',
        `${path}: others may read or write it; if it is yours and nobody has, chmod 600 it`,
      );
    }
    return file;
  } catch (error) {
    closeSync(file);
    throw error;
  }
}

/** A new file to append to, its owner's alone. Throws the system's error, also when there is one already. */
export function createPrivate(path: string): number {
  const { O_RDWR, O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  return openSync(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, OWNER_ONLY_FILE);
}

/** What is there stays. Throws the system's error. */
export function saveOnce(path: string, bytes: Uint8Array | string): void {
  viaDraft(path, bytes, (draft) => {
    try {
      linkSync(draft, path);
    } catch (error) {
      if (systemCodeOf(error) !== 'EEXIST') throw error;
    }
    rmSync(draft);
  });
}

/** Takes the place of what is there, on the disk before it returns. Throws the system's error. */
export function saveOver(path: string, bytes: Uint8Array | string): void {
  viaDraft(path, bytes, (draft) => renameSync(draft, path));
  // Without it the rename itself may be lost with the power, and what was remembered goes back.
  syncFolder(dirname(path));
}

function syncFolder(folder: string): void {
  const handle = openSync(folder, constants.O_RDONLY);
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** A crash in the middle leaves no half file under `path`. */
function viaDraft(path: string, bytes: Uint8Array | string, place: (draft: string) => void): void {
  const draft = `${path}.${toHex(randomBytes(DRAFT_ID_BYTES))}`;
  try {
    writeFileSync(draft, bytes, { mode: OWNER_ONLY_FILE, flag: 'wx', flush: true });
    place(draft);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}

function openExisting(path: string, access: Access): number | undefined {
  const { O_RDONLY, O_RDWR, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants;
  const flags = access === 'read' ? O_RDONLY : O_RDWR | O_APPEND;
  try {
    return openSync(path, flags | O_NOFOLLOW | O_NONBLOCK);
  } catch (cause) {
    const code = systemCodeOf(cause);
    if (code === 'ENOENT') return undefined;
    throw privateFileError(
      'file.private',
      code === 'ELOOP' ? `${path} is a link` : `${path} (${code})`,
      {
        cause,
      },
    );
  }
}

function statOf(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

function assertOurs(path: string, { uid }: Stats): void {
  const self = process.getuid?.();
  if (self !== undefined && uid !== self) {
    throw privateFileError('file.private', `${path} belongs to somebody else (uid ${uid})`);
  }
}

/** `ENOENT` and its like; `unknown` for what is not the system's error. */
export function systemCodeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'unknown';
}
