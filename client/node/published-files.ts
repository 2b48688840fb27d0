/**
 * Published documents on this machine: a directory in the layout of docs/publication.md §2, or one file. Loaded only when
 * a path is given; browsers never get here.
 * @module
 */

import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCodeOf } from '../../core/node/private-files.ts';
import { VeilError } from '../../core/errors.ts';
import type { DocumentSource } from '../documents.ts';
import { clientError } from '../errors.ts';

/** What the path leads to. */
export type PublishedFiles =
  | { readonly kind: 'directory'; readonly documents: DocumentSource }
  | { readonly kind: 'file'; readonly bytes: Uint8Array };

/** Throws `client.policy_bundle`. */
export async function openPublishedFiles(path: string, maxBytes: number): Promise<PublishedFiles> {
  const bytes = await readBounded(path, maxBytes, 'client.policy_bundle');
  if (bytes !== undefined) return { kind: 'file', bytes };
  if (!(await isDirectory(path))) throw clientError('client.policy_bundle', `no ${path}`);
  return {
    kind: 'directory',
    documents: (name, documentMaxBytes) =>
      readBounded(join(path, name), documentMaxBytes, 'client.policy_bundle'),
  };
}

/** Throws `client.policy_root`. */
export async function readRootFile(path: string, maxBytes: number): Promise<Uint8Array> {
  const bytes = await readBounded(path, maxBytes, 'client.policy_root');
  if (bytes === undefined) throw clientError('client.policy_root', `no file ${path}`);
  return bytes;
}

/** Undefined for what is not there, or is a directory. */
async function readBounded(
  path: string,
  maxBytes: number,
  code: 'client.policy_bundle' | 'client.policy_root',
): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(path, 'r');
    const { size } = await file.stat();
    if (size > maxBytes) throw clientError(code, `${path}: larger than ${maxBytes} bytes`);
    const bytes = new Uint8Array(size);
    const { bytesRead } = await file.read(bytes, 0, size, 0);
    return bytes.subarray(0, bytesRead);
  } catch (cause) {
    if (cause instanceof VeilError) throw cause;
    const system = systemCodeOf(cause);
    if (system === 'ENOENT' || system === 'EISDIR') return undefined;
    throw clientError(code, `${path}: ${system}`, { cause });
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    if (systemCodeOf(cause) === 'ENOENT') return false;
    throw clientError('client.policy_bundle', path, { cause });
  }
}
