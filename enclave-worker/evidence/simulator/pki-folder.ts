/**
 * A development hierarchy on disk: made on first use, the same ever after. Several workers may start at once; all of
 * them end up with one hierarchy. Private keys are PKCS#8, readable by their owner only.
 * @module
 */

import { chmod, mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DistinguishedName } from '../../../attestation/x509.ts';
import { exportPrivateKey } from '../../../attestation/x509-keys.ts';
import { defineErrors, type ErrorSpec, type VeilError } from '../../../core/errors.ts';
import type { Issued, Validity } from './authority.ts';

const BROKEN: ErrorSpec = { status: 500, recovery: 'stop', public: 'Internal error.' };

export const simulatorError = defineErrors({
  'simulator.pki': BROKEN,
});

/** Machines whose clocks differ a little share a hierarchy. */
const BACKDATED_MS = 24 * 3600_000;
/** The last day that a UTCTime can say; Intel's own root ends there too. */
const NOT_AFTER_MS = Date.UTC(2049, 11, 31, 23, 59, 59);

export function developmentValidity(nowMs: number): Validity {
  return { notBeforeMs: nowMs - BACKDATED_MS, notAfterMs: NOT_AFTER_MS };
}

/** Where one member is looked for, and what its key is. */
export interface StoredMember {
  readonly name: DistinguishedName;
  importKey(pkcs8: Uint8Array): Promise<CryptoKeyPair>;
}

/** Undefined when certificate or key is not there. */
export type ReadMember = (member: StoredMember) => Promise<Issued | undefined>;

export interface PkiFolder<Pki> {
  /** A new format gets a new name, so that an old one is never half understood. */
  readonly folder: string;
  /** The whole hierarchy, or undefined when there is none yet. Throws what `halfPki` makes for anything between. */
  load(read: ReadMember): Promise<Pki | undefined>;
  make(): Promise<readonly Issued[]>;
}

const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_FOLDER = 0o700;
const FILE_MAX_BYTES = 16 * 1024;

/** Throws `simulator.pki` when the folder holds something else than a whole hierarchy. */
export async function openPkiFolder<Pki>(pkiDir: string, kind: PkiFolder<Pki>): Promise<Pki> {
  const folder = join(pkiDir, kind.folder);
  const load = async (): Promise<Pki | undefined> =>
    await kind.load(async (member) => await loadMember(folder, member));
  // Asked before reading: a folder appears whole, so whatever is missing from one that was there stays missing.
  const isThere = await exists(folder);
  const known = await load();
  if (known !== undefined) return known;
  if (isThere) throw halfPki();
  await mkdir(pkiDir, { recursive: true, mode: OWNER_ONLY_FOLDER });
  const draft = await mkdtemp(join(pkiDir, `${kind.folder}.new-`));
  try {
    for (const member of await kind.make()) await saveMember(draft, member);
    await publish(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  const made = await load();
  if (made === undefined) throw simulatorError('simulator.pki', 'vanished while it was made');
  return made;
}

export function halfPki(): VeilError {
  return simulatorError('simulator.pki', 'files are missing: delete the folder to make a new one');
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return false;
    throw cause;
  }
}

async function saveMember(folder: string, { name, keys, der }: Issued): Promise<void> {
  const base = join(folder, fileBase(name));
  await saveFile(`${base}.der`, der);
  await saveFile(`${base}.pkcs8`, await exportPrivateKey(keys.privateKey));
}

async function saveFile(path: string, bytes: Uint8Array): Promise<void> {
  await writeFile(path, bytes, { flag: 'wx', mode: OWNER_ONLY_FILE, flush: true });
  // The mode above passes through the umask; this one does not.
  await chmod(path, OWNER_ONLY_FILE);
}

/** Renaming a folder onto one with files in it fails: the first process wins, the others read what it made. */
async function publish(draft: string, folder: string): Promise<void> {
  try {
    await rename(draft, folder);
  } catch (cause) {
    const code = errorCode(cause);
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw cause;
  }
}

async function loadMember(folder: string, member: StoredMember): Promise<Issued | undefined> {
  const { name } = member;
  const base = join(folder, fileBase(name));
  const der = await readIfThere(`${base}.der`);
  const pkcs8 = await readIfThere(`${base}.pkcs8`);
  if (der === undefined || pkcs8 === undefined) return undefined;
  try {
    return { name, der, keys: await member.importKey(pkcs8) };
  } catch (cause) {
    throw simulatorError('simulator.pki', 'a key is damaged: delete the folder to make a new one', {
      cause,
    });
  }
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    const bytes = new Uint8Array(await readFile(path));
    if (bytes.length > FILE_MAX_BYTES) throw simulatorError('simulator.pki', 'a file is too large');
    return bytes;
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return undefined;
    throw cause;
  }
}

/** "Intel SGX Root CA" is stored as veilgate-development-sgx-root-ca.*: the file name carries no false claim. */
function fileBase({ commonName }: DistinguishedName): string {
  const plain = commonName.replace('Intel ', '').toLowerCase().replaceAll(' ', '-');
  return `veilgate-development-${plain}`;
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
