/**
 * A repository: the directory of signed files that gateways and clients read, as it lies on a disk. Nothing here is verified;
 * own-state.ts does that. Files are replaced whole, in an order that leaves the last good publication at every moment, and
 * never over what somebody else wrote meanwhile.
 * Spec: docs/publication.md §2; rename(2), fsync(2).
 * @module
 */

import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { randomBytes } from '#primitives';
import { parseEnvelope } from '../../attestation/publication/envelope.ts';
import { ENVELOPE_MAX_BYTES, type DocumentKind } from '../../attestation/publication/kinds.ts';
import { SMALL_DOCUMENT_MAX_BYTES } from '../../attestation/publication/limits.ts';
import { readPayload } from '../../attestation/publication/payload.ts';
import { decodeRelease } from '../../attestation/publication/release.ts';
import { equalPublic, toHex } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { pause } from '../../core/node/lifecycle.ts';
import { systemCodeOf } from '../../core/node/private-files.ts';
import { takeWriterLock } from '../../core/node/writer-lock.ts';
import { repositoryError } from './errors.ts';

export const RELEASE_FILE = 'release.json';
export const REVOCATIONS_FILE = 'revocations.json';
export const TIMESTAMP_FILE = 'timestamp.json';
export const ROOT_FOLDER = 'root';
export const BUNDLE_FOLDER = 'bundles';

/** It is public: a web server of another user hands it out. */
const PUBLIC_FILE = 0o644;
const PUBLIC_FOLDER = 0o755;
const DRAFT_ID_BYTES = 8;
const LOCK_FILE = '.lock';
const LOCK_ATTEMPTS = 40;
const LOCK_PAUSE_MS = 50;
const NUMBERED = /^([1-9]\d{0,14})\.json$/;
/** Begins with a dot: web servers and readers pass over it. */
const DRAFT = /^\..+\.json\.[0-9a-f]{16}$/;

export function rootFile(version: number): string {
  return `${ROOT_FOLDER}/${version}.json`;
}

export function bundleFile(serial: number): string {
  return `${BUNDLE_FOLDER}/${serial}.json`;
}

/** Envelopes as they lie there. */
export interface RepositoryFiles {
  readonly directory: string;
  /** From the lowest version upwards, without a gap; at least one. */
  readonly roots: readonly Uint8Array[];
  readonly firstRoot: number;
  readonly release: Uint8Array | undefined;
  /** Those that the release names, by serial, as far as they are there. */
  readonly bundles: ReadonlyMap<number, Uint8Array>;
  /** Of all that lie there, named or not, rising. */
  readonly serials: readonly number[];
  readonly revocations: Uint8Array | undefined;
  readonly timestamp: Uint8Array | undefined;
}

/** Throws `repository.unusable`. */
export function readRepository(directory: string): RepositoryFiles {
  const versions = numbersIn(directory, ROOT_FOLDER);
  const [firstRoot] = versions;
  if (firstRoot === undefined) {
    throw repositoryError(
      'repository.unusable',
      `${directory} holds no ${rootFile(1)}, so it is no repository\nnext: copy the signed root there, or make all of it with "veilgate policy repo init"`,
    );
  }
  const roots: Uint8Array[] = [];
  for (const version of versions) {
    if (version !== firstRoot + roots.length) break;
    roots.push(required(directory, rootFile(version)));
  }
  // The release before its bundles: whoever publishes writes them in the other order.
  const release = read(directory, RELEASE_FILE, 'release');
  const bundles = new Map<number, Uint8Array>();
  for (const serial of release === undefined ? [] : serialsNamed(release)) {
    const bytes = readBundleFile(directory, serial);
    if (bytes !== undefined) bundles.set(serial, bytes);
  }
  return {
    directory,
    roots,
    firstRoot,
    release,
    bundles,
    serials: numbersIn(directory, BUNDLE_FOLDER),
    revocations: read(directory, REVOCATIONS_FILE, 'revocations'),
    timestamp: read(directory, TIMESTAMP_FILE, 'timestamp'),
  };
}

/** Undefined when there is none. Throws `repository.unusable`. */
export function readBundleFile(directory: string, serial: number): Uint8Array | undefined {
  return read(directory, bundleFile(serial), 'bundle');
}

/** What it says, whoever says it: which bundles to look for. */
function serialsNamed(release: Uint8Array): readonly number[] {
  try {
    const { payload } = parseEnvelope(release, 'release');
    const { current, candidate } = decodeRelease(readPayload(payload, SMALL_DOCUMENT_MAX_BYTES));
    return [current.serial, ...(candidate === null ? [] : [candidate.serial])];
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    return []; // whoever verifies it says what is wrong
  }
}

function required(directory: string, name: string): Uint8Array {
  const bytes = read(directory, name, 'root');
  if (bytes !== undefined) return bytes;
  throw repositoryError('repository.unusable', `${join(directory, name)} is gone`);
}

function read(directory: string, name: string, kind: DocumentKind): Uint8Array | undefined {
  const path = join(directory, name);
  const bytes = readThere(path, ENVELOPE_MAX_BYTES[kind]);
  return bytes;
}

/** A pipe would be waited for, and a device has no end. */
function readThere(path: string, maxBytes: number): Uint8Array | undefined {
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const found = fstatSync(file);
    if (!found.isFile()) throw repositoryError('repository.unusable', `${path} is no plain file`);
    if (found.size > maxBytes) {
      throw repositoryError('repository.unusable', `${path} has over ${maxBytes} bytes`);
    }
    const bytes = new Uint8Array(found.size);
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, 0));
  } catch (cause) {
    if (cause instanceof VeilError) throw cause;
    if (systemCodeOf(cause) === 'ENOENT') return undefined;
    throw repositoryError('repository.unusable', `${path} (${systemCodeOf(cause)})`, { cause });
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

function numbersIn(directory: string, folder: string): readonly number[] {
  const names = listed(join(directory, folder));
  const numbers = names.flatMap((name) => NUMBERED.exec(name)?.[1] ?? []).map(Number);
  return numbers.sort((a, b) => a - b);
}

function listed(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch (cause) {
    if (systemCodeOf(cause) === 'ENOENT') return [];
    throw repositoryError('repository.unusable', `${folder} (${systemCodeOf(cause)})`, { cause });
  }
}

/** One file of a repository. */
export interface RepositoryWrite {
  /** Within the repository, with `/`. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A file as it was when somebody decided what to write; undefined for none. */
export interface Seen {
  readonly name: string;
  readonly bytes: Uint8Array | undefined;
}

/** What has to be as it was read: the chain of roots, and these. */
export function seenIn(
  files: RepositoryFiles,
  names: readonly (typeof RELEASE_FILE | typeof REVOCATIONS_FILE)[],
): readonly Seen[] {
  const bytesOf = { [RELEASE_FILE]: files.release, [REVOCATIONS_FILE]: files.revocations };
  const nextRoot = rootFile(files.firstRoot + files.roots.length);
  return [
    { name: nextRoot, bytes: undefined },
    ...names.map((name) => ({ name, bytes: bytesOf[name] })),
  ];
}

/**
 * One after the other, each whole: what others refer to comes first, so that a crash leaves the last good publication. Throws
 * `repository.changed` when something is not as it was seen, `repository.in_use`, `repository.unusable`.
 */
export async function commit(
  directory: string,
  writes: readonly RepositoryWrite[],
  seen: readonly Seen[],
): Promise<void> {
  makeFolder(directory);
  const giveBack = await lock(directory);
  try {
    clearDrafts(directory);
    for (const { name, bytes } of seen) assertSeen(directory, name, bytes);
    for (const write of writes) replaceFile(directory, write);
  } finally {
    giveBack();
  }
}

function assertSeen(directory: string, name: string, seen: Uint8Array | undefined): void {
  const path = join(directory, name);
  const bytes = readThere(path, Math.max(...Object.values(ENVELOPE_MAX_BYTES)));
  const isSame =
    bytes === undefined || seen === undefined ? bytes === seen : equalPublic(bytes, seen);
  if (isSame) return;
  throw repositoryError(
    'repository.changed',
    `somebody else has written ${path} meanwhile; nothing of yours was written\nnext: look at what changed with "veilgate policy status --repo ${directory}", then run this again`,
  );
}

/** Whole or not at all, on the disk before it returns. Throws `repository.unusable`. */
export function replaceFile(directory: string, { name, bytes }: RepositoryWrite): void {
  const path = join(directory, name);
  const folder = dirname(path);
  const draft = join(folder, `.${basename(path)}.${toHex(randomBytes(DRAFT_ID_BYTES))}`);
  makeFolder(folder);
  try {
    writeFileSync(draft, bytes, { mode: PUBLIC_FILE, flag: 'wx', flush: true });
    // Whatever the umask of whoever publishes.
    chmodSync(draft, PUBLIC_FILE);
    renameSync(draft, path);
    syncFolder(folder);
  } catch (cause) {
    rmSync(draft, { force: true });
    throw repositoryError('repository.unusable', `cannot write ${path} (${systemCodeOf(cause)})`, {
      cause,
    });
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: PUBLIC_FOLDER });
  } catch (cause) {
    throw repositoryError('repository.unusable', `cannot make ${folder} (${systemCodeOf(cause)})`, {
      cause,
    });
  }
}

/** The rename itself has to reach the disk. */
function syncFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** What a crash left behind. That of the timestamp may be at work: it takes no lock, because nobody else writes its file. */
function clearDrafts(directory: string): void {
  for (const folder of [directory, join(directory, ROOT_FOLDER), join(directory, BUNDLE_FOLDER)]) {
    for (const name of listed(folder)) {
      if (!DRAFT.test(name) || name.startsWith(`.${TIMESTAMP_FILE}.`)) continue;
      rmSync(join(folder, name), { force: true });
    }
  }
}

async function lock(directory: string): Promise<() => void> {
  const path = join(directory, LOCK_FILE);
  const never = new AbortController();
  for (let attempt = 1; ; attempt++) {
    try {
      return takeWriterLock(path);
    } catch (cause) {
      if (!(cause instanceof VeilError) || attempt >= LOCK_ATTEMPTS) throw inUse(path, cause);
    }
    await pause(LOCK_PAUSE_MS, never.signal);
  }
}

function inUse(path: string, cause: unknown): VeilError {
  const why = cause instanceof VeilError ? cause.message : systemCodeOf(cause);
  return repositoryError(
    'repository.in_use',
    `somebody else is writing here (${why})\nnext: run this again; if nobody is, remove ${path}`,
    { cause },
  );
}

/** Whether a change of this file is somebody's publication, and not a draft, a lock or the timestamp itself. */
export function isPublication(name: string): boolean {
  return !name.startsWith('.') && basename(name) !== TIMESTAMP_FILE;
}
