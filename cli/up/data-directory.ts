/**
 * The data directory of `veilgate up`: everything it keeps, readable by its owner alone, used by one process at a
 * time. Keys are made on first use and stay.
 * @module
 */

import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { toBase64Url, type Bytes, fixed } from '../../core/bytes.ts';
import { randomBytes } from '#primitives';
import { cliError } from '../errors.ts';

const OWNER_ONLY_DIRECTORY = 0o700;
const OWNER_ONLY_FILE = 0o600;
const SEED_BYTES = 32;

export interface DataDirectory {
  readonly root: string;
  path(...parts: readonly string[]): string;
  /** 32 secret bytes that belong to `name`, made on first use. */
  seed(name: string): Bytes<32>;
  write(name: string, text: string): string;
  /** A file descriptor for another process's output, appended to. */
  openLog(name: string): number;
  release(): void;
}

/** Throws `cli.data_in_use` while another process holds it, `cli.data_unusable` when it cannot be made. */
export function openDataDirectory(path: string): DataDirectory {
  const root = resolve(path);
  try {
    mkdirSync(join(root, 'logs'), { recursive: true, mode: OWNER_ONLY_DIRECTORY });
    mkdirSync(join(root, 'keys'), { recursive: true, mode: OWNER_ONLY_DIRECTORY });
  } catch (cause) {
    throw cliError('cli.data_unusable', root, { cause });
  }
  const release = lock(root);
  const at = (...parts: readonly string[]): string => join(root, ...parts);
  return {
    root,
    path: at,
    seed: (name) => loadOrMakeSeed(at('keys', name)),
    write: (name, text) => {
      writeFileSync(at(name), text, { mode: OWNER_ONLY_FILE });
      return at(name);
    },
    openLog: (name) => openSync(at('logs', name), 'a', OWNER_ONLY_FILE),
    release,
  };
}

/** The lock names its process, so that one left behind by a crash does not hold for ever. */
function lock(root: string): () => void {
  const path = join(root, 'up.pid');
  const holder = holderOf(path);
  if (holder !== undefined) {
    throw cliError(
      'cli.data_in_use',
      `${root} is used by process ${holder}; stop it or choose another --data`,
    );
  }
  rmSync(path, { force: true });
  writeFileSync(path, String(process.pid), { mode: OWNER_ONLY_FILE, flag: 'wx' });
  return () => rmSync(path, { force: true });
}

function holderOf(path: string): number | undefined {
  let pid: number;
  try {
    pid = Number(readFileSync(path, 'utf8'));
  } catch {
    return undefined; // nobody
  }
  if (!Number.isInteger(pid) || pid <= 0 || pid === process.pid) return undefined;
  try {
    process.kill(pid, 0);
    return pid;
  } catch {
    return undefined; // it has ended without taking its lock away
  }
}

function readSeed(path: string): Bytes<32> | undefined {
  try {
    return fixed(new Uint8Array(readFileSync(path)), SEED_BYTES, path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw cliError('cli.data_unusable', path, { cause: error });
  }
}

function loadOrMakeSeed(path: string): Bytes<32> {
  const known = readSeed(path);
  if (known !== undefined) return known;
  // Written beside and linked into place: a crash in the middle leaves no half key.
  const draft = `${path}.${toBase64Url(randomBytes(8))}`;
  const file = openSync(draft, 'wx', OWNER_ONLY_FILE);
  writeFileSync(file, randomBytes(SEED_BYTES), { flush: true });
  closeSync(file);
  try {
    linkSync(draft, path);
  } finally {
    rmSync(draft);
  }
  const made = readSeed(path);
  if (made === undefined) throw cliError('cli.data_unusable', path);
  return made;
}
