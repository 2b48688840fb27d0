/**
 * The directory of one owner: the key that names their workers, the token that workers show, the TLS key of the signing
 * service. Made once, readable by its owner alone.
 * @module
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { randomBytes } from '#primitives';
import { generateP256 } from '../../attestation/x509-keys.ts';
import { selfSign } from '../../attestation/x509.ts';
import { fixed, toBase64Url, utf8, type Bytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { readCertificate, type TlsIdentity } from '../../gateway/tls-identity.ts';
import { cliError } from '../errors.ts';

const OWNER_ONLY_DIRECTORY = 0o700;
const OWNER_ONLY_FILE = 0o600;
const SKEW_MS = 24 * 3_600_000;
/** The key is pinned: its dates carry no trust. */
const LIFE_MS = 10 * 365 * 24 * 3_600_000;

export interface Owner {
  readonly directory: string;
  /** Ed25519 seed. */
  readonly secretKey: Bytes<32>;
  readonly token: string;
  readonly tokenPath: string;
  readonly tls: TlsIdentity;
}

/** What is there stays. Throws `cli.file`. */
export async function createOwner(path: string): Promise<Owner> {
  const directory = resolve(path);
  try {
    mkdirSync(directory, { recursive: true, mode: OWNER_ONLY_DIRECTORY });
    writeOnce(join(directory, 'owner.key'), randomBytes(32));
    writeOnce(join(directory, 'token'), utf8(`${toBase64Url(randomBytes(32))}\n`));
    await makeTls(directory);
  } catch (cause) {
    throw cliError('cli.file', directory, { cause });
  }
  return await openOwner(directory);
}

/** Throws `cli.file` when `owner init` was not run here. */
export function openOwner(path: string): Promise<Owner> {
  const directory = resolve(path);
  try {
    const tls = readCertificate(join(directory, 'tls.crt'), join(directory, 'tls.key'));
    if (tls === undefined) throw cliError('cli.file', `${directory}: no TLS key`);
    const tokenPath = join(directory, 'token');
    return Promise.resolve({
      directory,
      secretKey: fixed(new Uint8Array(readFileSync(join(directory, 'owner.key'))), 32, 'owner.key'),
      token: readFileSync(tokenPath, 'utf8').trim(),
      tokenPath,
      tls,
    });
  } catch (cause) {
    return Promise.reject(
      cliError('cli.file', `${directory} (run "veilgate owner init" first)`, { cause }),
    );
  }
}

function writeOnce(path: string, bytes: Uint8Array): void {
  try {
    writeFileSync(path, bytes, { mode: OWNER_ONLY_FILE, flag: 'wx', flush: true });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  }
}

async function makeTls(directory: string): Promise<void> {
  const paths = [join(directory, 'tls.crt'), join(directory, 'tls.key')] as const;
  if (readCertificate(...paths) !== undefined) return;
  const nowMs = systemClock();
  const made = await selfSign({
    keys: await generateP256(),
    commonName: 'veilgate owner',
    notBeforeMs: nowMs - SKEW_MS,
    notAfterMs: nowMs + LIFE_MS,
  });
  // The key first: without it the certificate is not found.
  writeFileSync(paths[1], made.privateKeyPem, { mode: OWNER_ONLY_FILE });
  writeFileSync(paths[0], made.certificatePem, { mode: OWNER_ONLY_FILE });
}
