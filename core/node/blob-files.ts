/**
 * Small files under names, for what can be got again: whole or absent. A file that is cut, changed or of another name
 * reads as absent; a write is complete on the disk before its name is there. The folder is its owner's alone and
 * bounded in bytes and files: what was written longest ago goes first.
 * @module
 */

import { constants } from 'node:fs';
import { chmod, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes, sha256 } from '#primitives';
import { ascii, concat, equalPublic, lengthPrefixed, toHex, utf8, type Bytes } from '../bytes.ts';
import { assert, defineErrors, hasCode, type ErrorSpec } from '../errors.ts';

const BROKEN: ErrorSpec = { status: 500, recovery: 'stop', public: 'Internal error.' };

export const blobError = defineErrors({
  /** The folder is somebody else's, or not a folder. */
  'blob.folder': BROKEN,
  /** Larger than one file may be, or than all may be together. */
  'blob.size': BROKEN,
  'blob.io': BROKEN,
});

export interface BlobFilesOptions {
  readonly folder: string;
  readonly blobMaxBytes: number;
  /** Of all files together, as this process sees them. */
  readonly totalMaxBytes: number;
  readonly blobsMax: number;
  /** Never deleted to make room. */
  readonly keep: readonly string[];
}

/** Keys: lower-case letters, digits, dot, dash and underscore, not starting with a dot; at most 200. */
export interface BlobFiles {
  /** Undefined when there is none or it is damaged. Throws `blob.io`. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Throws `blob.size`, `blob.io`; what was there before is then still there. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  delete(key: string): Promise<void>;
  list(): Promise<readonly string[]>;
}

const KEY_FORM = /^[a-z0-9][a-z0-9._-]{0,199}$/;
const SUFFIX = '.blob';
const DRAFT_SUFFIX = '.draft';
/** As `writeWhole` names them: nobody else's files are cleared away. */
const DRAFT_FORM = /^\.[0-9a-f]{16}\.draft$/;
/** A draft this old belongs to a process that died. */
const DRAFT_MAX_AGE_MS = 3_600_000;
const MAGIC = ascii('vgblob1\n');
const HEAD_BYTES = MAGIC.length + 32;
const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_FOLDER = 0o700;
/** Entries of the folder that are looked at when it is opened. */
const SCAN_MAX = 65_536;

/** Throws `blob.folder`, `blob.io`. `nowMs` dates leftovers of processes that died. */
export async function openBlobFiles(options: BlobFilesOptions, nowMs: number): Promise<BlobFiles> {
  await prepareFolder(options.folder);
  return new Files(options, await scan(options.folder, nowMs));
}

async function prepareFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: OWNER_ONLY_FOLDER });
    const { uid, mode } = await stat(folder);
    const self = process.getuid?.();
    if (self !== undefined && uid !== self) throw blobError('blob.folder', 'another owner');
    if ((mode & 0o077) !== 0) await chmod(folder, OWNER_ONLY_FOLDER);
  } catch (cause) {
    throw blobError('blob.folder', '', { cause });
  }
}

/** Key to size, oldest first. */
async function scan(folder: string, nowMs: number): Promise<Map<string, number>> {
  try {
    const found: { readonly key: string; readonly size: number; readonly atMs: number }[] = [];
    for (const name of (await readdir(folder)).slice(0, SCAN_MAX)) {
      const file = await lstat(join(folder, name));
      if (!file.isFile()) continue;
      if (DRAFT_FORM.test(name) && file.mtimeMs < nowMs - DRAFT_MAX_AGE_MS) {
        await rm(join(folder, name), { force: true });
      }
      const key = name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : '';
      if (KEY_FORM.test(key)) found.push({ key, size: file.size, atMs: file.mtimeMs });
    }
    const sorted = found.toSorted((a, b) => a.atMs - b.atMs);
    return new Map(sorted.map(({ key, size }) => [key, size]));
  } catch (cause) {
    throw blobError('blob.io', '', { cause });
  }
}

class Files implements BlobFiles {
  readonly #options: BlobFilesOptions;
  /** Oldest first. */
  readonly #sizes: Map<string, number>;
  /** Writes go one after another: the bounds hold, and the last put of a key wins. */
  #writing: Promise<void> = Promise.resolve();

  constructor(options: BlobFilesOptions, sizes: Map<string, number>) {
    this.#options = options;
    this.#sizes = sizes;
  }

  async get(key: string): Promise<Uint8Array | undefined> {
    const bytes = await readIfThere(this.#pathOf(key), this.#options.blobMaxBytes + HEAD_BYTES);
    if (bytes === undefined || bytes.length < HEAD_BYTES) return undefined;
    const payload = bytes.slice(HEAD_BYTES);
    const isWhole = equalPublic(bytes.subarray(0, HEAD_BYTES), headOf(key, payload));
    return isWhole ? payload : undefined;
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const path = this.#pathOf(key);
    const { blobMaxBytes, totalMaxBytes, folder } = this.#options;
    const size = bytes.length + HEAD_BYTES;
    if (bytes.length > blobMaxBytes || size > totalMaxBytes) {
      throw blobError('blob.size', `${bytes.length} bytes`);
    }
    const content = concat(headOf(key, bytes), bytes);
    await this.#exclusively(async () => {
      await this.#makeRoom(key, size);
      await writeWhole(folder, path, content);
      this.#sizes.delete(key);
      this.#sizes.set(key, size);
    });
  }

  async delete(key: string): Promise<void> {
    await this.#exclusively(async () => await this.#remove(key));
  }

  async list(): Promise<readonly string[]> {
    await this.#writing;
    return [...this.#sizes.keys()];
  }

  #pathOf(key: string): string {
    assert(KEY_FORM.test(key), 'a blob key that is no safe file name');
    return join(this.#options.folder, `${key}${SUFFIX}`);
  }

  async #exclusively(work: () => Promise<void>): Promise<void> {
    const done = this.#writing.then(work);
    // The next write does not care how this one ended; its caller does.
    this.#writing = done.then(
      () => undefined,
      () => undefined,
    );
    try {
      await done;
    } catch (cause) {
      throw hasCode(cause, 'blob.size') ? cause : blobError('blob.io', '', { cause });
    }
  }

  async #makeRoom(key: string, size: number): Promise<void> {
    const { blobsMax, totalMaxBytes, keep } = this.#options;
    const others = [...this.#sizes].filter(([name]) => name !== key);
    let total = others.reduce((sum, [, bytes]) => sum + bytes, size);
    let count = others.length + 1;
    for (const [name, bytes] of others) {
      if (total <= totalMaxBytes && count <= blobsMax) return;
      if (keep.includes(name)) continue;
      await this.#remove(name);
      total -= bytes;
      count -= 1;
    }
    if (total > totalMaxBytes || count > blobsMax) throw blobError('blob.size', 'no room');
  }

  async #remove(key: string): Promise<void> {
    await rm(this.#pathOf(key), { force: true });
    this.#sizes.delete(key);
  }
}

/** The digest covers the key: a file under another name is not that name's. */
function headOf(key: string, payload: Uint8Array): Uint8Array {
  const digest: Bytes<32> = sha256(lengthPrefixed(utf8(key)), payload);
  return concat(MAGIC, digest);
}

const ABSENT: readonly unknown[] = ['ENOENT', 'ELOOP', 'EISDIR'];

async function readIfThere(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    // A link planted in the folder is not followed, and a pipe is not waited for.
    const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
    await using file = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    const found = await file.stat();
    const { size } = found;
    if (!found.isFile() || size > maxBytes) return undefined;
    const bytes = new Uint8Array(size);
    const { bytesRead } = await file.read(bytes, 0, size, 0);
    return bytes.subarray(0, bytesRead);
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
    if (ABSENT.includes(code)) return undefined;
    throw blobError('blob.io', '', { cause });
  }
}

const DRAFT_ID_BYTES = 8;

async function writeWhole(folder: string, path: string, content: Uint8Array): Promise<void> {
  const draft = join(folder, `.${toHex(randomBytes(DRAFT_ID_BYTES))}${DRAFT_SUFFIX}`);
  try {
    {
      await using file = await open(draft, 'wx', OWNER_ONLY_FILE);
      await file.writeFile(content);
      await file.sync();
    }
    await rename(draft, path);
    await syncFolder(folder);
  } finally {
    await rm(draft, { force: true });
  }
}

/** Without it, a crash could forget the name of a file that is whole. */
async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, constants.O_RDONLY);
  await handle.sync();
}
