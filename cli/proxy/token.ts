/**
 * The token of a run: whoever has it asks, and pays, through this proxy. Made fresh at every start unless a file keeps it,
 * which is its owner's alone.
 * @module
 */

import { dirname } from 'node:path';
import { constantTimeEqual, randomBytes, sha256 } from '#primitives';
import { fromUtf8, toBase64Url, utf8 } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import {
  assertPrivateFolder,
  readPrivate,
  saveOnce,
  systemCodeOf,
} from '../../core/node/private-files.ts';
import { proxyError } from './errors.ts';
import { AUTHORIZATION_MAX_CHARS, TOKEN_BYTES, TOKEN_FILE_MAX_BYTES } from './limits.ts';

/** Says what it is where it is found, and that it is no key of a gateway's. */
const PREFIX = 'vgproxy_';
const FORM = /^vgproxy_[A-Za-z0-9_-]{43}$/;

export function newToken(): string {
  return `${PREFIX}${toBase64Url(randomBytes(TOKEN_BYTES))}`;
}

/** Made where it is not there. Throws `proxy.token_file`. */
export function tokenIn(path: string): string {
  const known = readToken(path);
  if (known !== undefined) return known;
  try {
    assertPrivateFolder(dirname(path));
    saveOnce(path, `${newToken()}\n`);
  } catch (cause) {
    throw unusable(path, cause);
  }
  // Two proxies may begin at once: both take what is there now.
  const made = readToken(path);
  if (made === undefined) throw proxyError('proxy.token_file', `${path} is gone again`);
  return made;
}

function readToken(path: string): string | undefined {
  let bytes: Uint8Array | undefined;
  try {
    bytes = readPrivate(path, { privacy: 'secret', maxBytes: TOKEN_FILE_MAX_BYTES });
  } catch (cause) {
    throw unusable(path, cause);
  }
  if (bytes === undefined) return undefined;
  const text = fromUtf8(bytes).trim();
  if (FORM.test(text)) return text;
  throw proxyError('proxy.token_file', `${path} holds no token of this proxy; name another file`);
}

function unusable(path: string, cause: unknown): VeilError {
  const why = cause instanceof VeilError ? cause.message : `${path} (${systemCodeOf(cause)})`;
  return proxyError('proxy.token_file', why, { cause });
}

/** Whether an `authorization` header carries the token. Digests are compared, so that lengths tell nothing either. */
export function bearerOf(token: string): (authorization: string | undefined) => boolean {
  const wanted = sha256(utf8(token));
  return (authorization = '') => {
    if (authorization.length > AUTHORIZATION_MAX_CHARS) return false;
    const given = /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? '';
    return constantTimeEqual(sha256(utf8(given)), wanted);
  };
}
