/** Writes a file whole or not at all: whoever reads it meanwhile sees the old one or the new one. @module */

import { chmodSync, lstatSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import { cliError } from '../errors.ts';

const DRAFT_ID_BYTES = 8;

/** Takes the place of what is there, and its access rights. Throws `cli.file`. */
export function saveFile(what: string, path: string, bytes: Uint8Array): void {
  const draft = `${path}.${toHex(randomBytes(DRAFT_ID_BYTES))}`;
  try {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found !== undefined && !found.isFile()) throw new Error('not a plain file');
    writeFileSync(draft, bytes, { flag: 'wx', flush: true });
    if (found !== undefined) chmodSync(draft, found.mode & 0o777);
    renameSync(draft, path);
  } catch (cause) {
    rmSync(draft, { force: true });
    throw cliError('cli.file', `cannot write ${what} ${path}`, { cause });
  }
}
