/**
 * The keys of people who publish: a secret one in a file of its owner's, a public one to hand to whoever makes the root. No
 * command takes a key itself: arguments are read by everybody on the machine and kept in histories.
 * @module
 */

import { lstatSync } from 'node:fs';
import { ed25519PublicKey, randomBytes } from '#primitives';
import { NAME } from '../../attestation/policy/fields.ts';
import { keyIdOf } from '../../attestation/publication/envelope.ts';
import { fixed, fromBase64Url, fromUtf8, toBase64Url, utf8, type Bytes } from '../../core/bytes.ts';
import type { VeilError } from '../../core/errors.ts';
import { readPrivate, saveOnce, systemCodeOf } from '../../core/node/private-files.ts';
import { cliError } from '../errors.ts';
import { readBoundedFile } from '../measure/files.ts';

const SECRET_FORM = /^veilgate-secret-key\/1 ([^ ]+) ([A-Za-z0-9_-]{43})\n?$/;
const PUBLIC_FORM = /^veilgate-public-key\/1 ([^ ]+) ([A-Za-z0-9_-]{43})\n?$/;
const BARE_FORM = /^[A-Za-z0-9_-]{43}$/;
const KEY_BYTES = 32;
const FILE_MAX_BYTES = 1024;

export interface PublicKey {
  /** As its owner calls it; the root has the last word. */
  readonly name: string;
  readonly publicKey: Bytes<32>;
  readonly keyid: string;
}

export interface SigningKey extends PublicKey {
  readonly path: string;
  /** Ed25519 seed. */
  readonly secretKey: Bytes<32>;
}

/** Never over what is there: a key that is lost is a root that has to be rotated. Throws `cli.option`, `cli.file`. */
export function makeKey(name: string, path: string): SigningKey {
  if (!NAME.safeParse(name).success) {
    throw cliError(
      'cli.option',
      '--name takes lower-case letters, digits and . _ -, such as alice',
    );
  }
  assertAbsent(path);
  assertAbsent(publicPath(path));
  const secretKey = fixed(randomBytes(KEY_BYTES), KEY_BYTES);
  const publicKey = ed25519PublicKey(secretKey);
  save(path, `veilgate-secret-key/1 ${name} ${toBase64Url(secretKey)}\n`);
  // Also where two did this at once: the one that lies there is the one that is shown.
  const key = readSigningKey(path);
  if (key.keyid !== keyIdOf(publicKey)) throw taken(path);
  save(publicPath(path), publicKeyLine(key));
  return key;
}

/** `alice.key` → `alice.pub`. */
export function publicPath(path: string): string {
  return `${path.replace(/\.key$/, '')}.pub`;
}

export function publicKeyLine({ name, publicKey }: PublicKey): string {
  return `veilgate-public-key/1 ${name} ${toBase64Url(publicKey)}\n`;
}

function assertAbsent(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw taken(path);
}

function taken(path: string): VeilError {
  return cliError('cli.file', `${path} is there already and stays\nnext: take another --out`);
}

function save(path: string, text: string): void {
  try {
    saveOnce(path, utf8(text));
  } catch (cause) {
    throw cliError('cli.file', `cannot write ${path} (${systemCodeOf(cause)})`, { cause });
  }
}

/** Throws `cli.file`; `file.private` for one that others could read or have written. */
export function readSigningKey(path: string): SigningKey {
  const bytes = readPrivate(path, { privacy: 'secret', maxBytes: FILE_MAX_BYTES });
  if (bytes === undefined) {
    throw cliError(
      'cli.file',
      `${path} is not there\nnext: make a key with "veilgate policy key new --name NAME --out ${path}"`,
    );
  }
  const [, name, encoded] = SECRET_FORM.exec(textOf(bytes)) ?? [];
  if (name === undefined || encoded === undefined) {
    throw cliError('cli.file', `${path} is no secret key of "veilgate policy key new"`);
  }
  const secretKey = keyBytes(encoded, path);
  const publicKey = ed25519PublicKey(secretKey);
  return { path, name, secretKey, publicKey, keyid: keyIdOf(publicKey) };
}

/** A file of either kind, for what is no secret. Throws `cli.file`, `file.private`. */
export function readPublicPart(path: string): PublicKey {
  const text = textOf(readBoundedFile('key', path, FILE_MAX_BYTES));
  if (SECRET_FORM.test(text)) return readSigningKey(path);
  const [, name, encoded] = PUBLIC_FORM.exec(text) ?? [];
  if (name === undefined || encoded === undefined) {
    throw cliError('cli.file', `${path} is no key of "veilgate policy key new"`);
  }
  const publicKey = keyBytes(encoded, path);
  return { name, publicKey, keyid: keyIdOf(publicKey) };
}

/** Of an option: the public key itself, or the file it lies in. Throws `cli.file`. */
export function publicKeyFrom(text: string): Bytes<32> {
  return BARE_FORM.test(text) ? keyBytes(text, 'the key') : readPublicPart(text).publicKey;
}

function keyBytes(encoded: string, where: string): Bytes<32> {
  try {
    return fixed(fromBase64Url(encoded), KEY_BYTES);
  } catch (cause) {
    throw cliError('cli.file', `${where} is not 32 bytes in base64url`, { cause });
  }
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8(bytes);
  } catch {
    return ''; // of no form
  }
}
