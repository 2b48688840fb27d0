/**
 * The directory of one owner: the key that names their workers, the token that workers show, the TLS key of the signing
 * service. Made once, readable by its owner alone; nothing in it is used that somebody else could have put there.
 * @module
 */

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { randomBytes } from '#primitives';
import { generateP256 } from '../../attestation/x509-keys.ts';
import { selfSign } from '../../attestation/x509.ts';
import { fixed, fromUtf8, toBase64Url, type Bytes } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import {
  assertPrivateFolder,
  makePrivateFolder,
  readPrivate,
  saveOnce,
  saveOver,
  type Privacy,
} from '../../core/node/private-files.ts';
import { certificateSpki, type TlsIdentity } from '../../gateway/tls-identity.ts';
import { cliError } from '../errors.ts';

const KEY_FILE = 'owner.key';
const TOKEN_FILE = 'token';
const TLS_KEY_FILE = 'tls.key';
const TLS_CERTIFICATE_FILE = 'tls.crt';
const KEY_BYTES = 32;
const TOKEN_BYTES = 32;
const FILE_MAX_BYTES = 16_384;
/** As `init` makes it: a shorter one could be guessed, an empty one is what a crash leaves. */
const TOKEN_FORM = /^[A-Za-z0-9_-]{43}\n?$/;
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

/** What is there stays. Throws `cli.file`; `file.private` when it could be somebody else's. */
export async function createOwner(path: string): Promise<Owner> {
  const directory = resolve(path);
  try {
    makePrivateFolder(directory);
    saveOnce(join(directory, KEY_FILE), randomBytes(KEY_BYTES));
    saveOnce(join(directory, TOKEN_FILE), `${toBase64Url(randomBytes(TOKEN_BYTES))}\n`);
    await makeTls(directory);
  } catch (cause) {
    if (cause instanceof VeilError) throw cause;
    throw cliError('cli.file', `${directory} cannot be made or written to`, { cause });
  }
  return openOwner(directory);
}

/** Throws `cli.file` when `owner init` was not run here, `file.private` when something could be somebody else's. */
export function openOwner(path: string): Owner {
  const directory = resolve(path);
  if (!existsSync(directory)) throw notMade(directory, directory);
  assertPrivateFolder(directory);
  const tokenPath = join(directory, TOKEN_FILE);
  return {
    directory,
    secretKey: secretKeyOf(required(directory, KEY_FILE, 'secret')),
    token: tokenOf(tokenPath, required(directory, TOKEN_FILE, 'secret')),
    tokenPath,
    tls: tlsOf(directory),
  };
}

function required(directory: string, name: string, privacy: Privacy): Uint8Array {
  const path = join(directory, name);
  const bytes = readPrivate(path, { privacy, maxBytes: FILE_MAX_BYTES });
  if (bytes !== undefined) return bytes;
  throw notMade(path, directory);
}

function notMade(path: string, directory: string): VeilError {
  return cliError('cli.file', `${path} is not there; run "veilgate owner init ${directory}" first`);
}

function secretKeyOf(bytes: Uint8Array): Bytes<32> {
  if (bytes.length === KEY_BYTES) return fixed(bytes, KEY_BYTES, KEY_FILE);
  throw cliError('cli.file', `${KEY_FILE} has not ${KEY_BYTES} bytes; restore it from a backup`);
}

function tokenOf(path: string, bytes: Uint8Array): string {
  const text = fromUtf8(bytes);
  if (TOKEN_FORM.test(text)) return text.trim();
  throw cliError('cli.file', `${path} is no token of "owner init"; remove it and run that again`);
}

function tlsOf(directory: string): TlsIdentity {
  const certificate = required(directory, TLS_CERTIFICATE_FILE, 'public');
  const key = required(directory, TLS_KEY_FILE, 'secret');
  try {
    const [certificatePem, keyPem] = [fromUtf8(certificate), fromUtf8(key)];
    if (new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(keyPem))) {
      return certificateSpki(certificatePem, keyPem);
    }
  } catch (cause) {
    throw cliError('cli.file', `${TLS_FILES} cannot be read; ${AGAIN}`, { cause });
  }
  throw cliError('cli.file', `${TLS_FILES} do not belong together; ${AGAIN}`);
}

const TLS_FILES = `${TLS_KEY_FILE} and ${TLS_CERTIFICATE_FILE}`;
const AGAIN = 'remove both, run "veilgate owner init" again, and give workers the new pin';

/** The certificate comes last: a key without one was shown to nobody, and is made again. */
async function makeTls(directory: string): Promise<void> {
  const keyPath = join(directory, TLS_KEY_FILE);
  const certificatePath = join(directory, TLS_CERTIFICATE_FILE);
  const maxBytes = FILE_MAX_BYTES;
  if (readPrivate(certificatePath, { privacy: 'public', maxBytes }) !== undefined) return;
  // Also one that is to be replaced: whoever could plant it could plant more.
  readPrivate(keyPath, { privacy: 'secret', maxBytes });
  const nowMs = systemClock();
  const made = await selfSign({
    keys: await generateP256(),
    commonName: 'veilgate owner',
    notBeforeMs: nowMs - SKEW_MS,
    notAfterMs: nowMs + LIFE_MS,
  });
  saveOver(keyPath, made.privateKeyPem);
  saveOnce(certificatePath, made.certificatePem);
}
