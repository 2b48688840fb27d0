/**
 * The development hierarchy on disk: made on first use, the same ever after. Several workers may start at once; all
 * of them end up with one hierarchy. Private keys are PKCS#8, readable by their owner only.
 * @module
 */

import { chmod, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from '#primitives';
import { exportPrivateKey, generateP256, importP256 } from '../../../attestation/x509-keys.ts';
import { defineErrors, type ErrorSpec } from '../../../core/errors.ts';
import {
  developmentName,
  intermediateProfile,
  issue,
  pckProfile,
  rootProfile,
  tcbSignerProfile,
  type Authority,
  type CommonName,
  type Issued,
} from './hierarchy.ts';
import { machineFacts } from './machine.ts';

const BROKEN: ErrorSpec = { status: 500, recovery: 'stop', public: 'Internal error.' };

export const simulatorError = defineErrors({
  'simulator.pki': BROKEN,
});

export interface DevelopmentPki {
  readonly root: Issued;
  readonly platformCa: Issued;
  readonly pck: Issued;
  readonly tcbSigning: Issued;
}

type Role = keyof DevelopmentPki;

const COMMON_NAMES: Readonly<Record<Role, CommonName>> = {
  root: 'Intel SGX Root CA',
  platformCa: 'Intel SGX PCK Platform CA',
  pck: 'Intel SGX PCK Certificate',
  tcbSigning: 'Intel SGX TCB Signing',
};

/** A new format gets a new folder, so that an old one is never half understood. */
const FOLDER = 'veilgate-development-pki-1';
const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_FOLDER = 0o700;
const FILE_MAX_BYTES = 16 * 1024;
/** Machines whose clocks differ a little share a hierarchy. */
const BACKDATED_MS = 24 * 3600_000;
/** The last day that a UTCTime can say; Intel's own root ends there too. */
const NOT_AFTER_MS = Date.UTC(2049, 11, 31, 23, 59, 59);

/** Throws `simulator.pki` when the folder holds something else than a whole hierarchy. */
export async function openDevelopmentPki(pkiDir: string, nowMs: number): Promise<DevelopmentPki> {
  const folder = join(pkiDir, FOLDER);
  const known = await loadPki(folder);
  if (known !== undefined) return known;
  await mkdir(pkiDir, { recursive: true, mode: OWNER_ONLY_FOLDER });
  const draft = await mkdtemp(join(pkiDir, `${FOLDER}.new-`));
  try {
    await savePki(draft, await makePki(nowMs));
    await publish(draft, folder);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
  const made = await loadPki(folder);
  if (made === undefined) throw simulatorError('simulator.pki', 'vanished while it was made');
  return made;
}

async function makePki(nowMs: number): Promise<DevelopmentPki> {
  const validity = { notBeforeMs: nowMs - BACKDATED_MS, notAfterMs: NOT_AFTER_MS };
  const [root, platformCa, pck, tcbSigning] = await Promise.all([
    newAuthority('root'),
    newAuthority('platformCa'),
    newAuthority('pck'),
    newAuthority('tcbSigning'),
  ]);
  const facts = machineFacts(randomBytes(32));
  return {
    root: await issue(root, root, await rootProfile(root, validity)),
    platformCa: await issue(
      platformCa,
      root,
      await intermediateProfile(platformCa, root, validity),
    ),
    pck: await issue(pck, platformCa, await pckProfile(pck, platformCa, { ...validity, facts })),
    tcbSigning: await issue(tcbSigning, root, await tcbSignerProfile(tcbSigning, root, validity)),
  };
}

async function newAuthority(role: Role): Promise<Authority> {
  return { name: developmentName(COMMON_NAMES[role]), keys: await generateP256() };
}

async function savePki(folder: string, pki: DevelopmentPki): Promise<void> {
  for (const { der, keys, name } of [pki.root, pki.platformCa, pki.pck, pki.tcbSigning]) {
    const base = join(folder, fileBase(name.commonName));
    await saveFile(`${base}.der`, der);
    await saveFile(`${base}.pkcs8`, await exportPrivateKey(keys.privateKey));
  }
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

/** Undefined when there is none yet. */
async function loadPki(folder: string): Promise<DevelopmentPki | undefined> {
  const root = await loadIssued(folder, 'root');
  if (root === undefined) return undefined;
  const platformCa = await loadIssued(folder, 'platformCa');
  const pck = await loadIssued(folder, 'pck');
  const tcbSigning = await loadIssued(folder, 'tcbSigning');
  if (platformCa === undefined || pck === undefined || tcbSigning === undefined) {
    throw simulatorError('simulator.pki', 'files are missing: delete the folder to make a new one');
  }
  return { root, platformCa, pck, tcbSigning };
}

async function loadIssued(folder: string, role: Role): Promise<Issued | undefined> {
  const name = developmentName(COMMON_NAMES[role]);
  const base = join(folder, fileBase(name.commonName));
  const der = await readIfThere(`${base}.der`);
  const pkcs8 = await readIfThere(`${base}.pkcs8`);
  if (der === undefined || pkcs8 === undefined) return undefined;
  try {
    return { name, der, keys: await importP256(pkcs8) };
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
function fileBase(commonName: string): string {
  return commonName.replace('Intel', 'veilgate-development').toLowerCase().replaceAll(' ', '-');
}

function errorCode(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
