/**
 * The files that weights consist of, in their one order, each with what the file system says of it: two readings are of the
 * same files only when nothing of it differs. Spec: docs/engines.md "What is hashed".
 * @module
 */

import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import type { BigIntStats } from 'node:fs';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import { weightsError } from './errors.ts';

const FILES_MAX = 10_000;
const DEPTH_MAX = 16;
const NAME_MAX_BYTES = 4096;
const SEPARATOR = '/';

export interface WeightFile {
  /** From the root of the tree, with `/`; empty for a single file. */
  readonly name: string;
  readonly path: string;
  readonly size: bigint;
  /** Device, inode, size, times of content and of the inode. Whoever writes to a file cannot set the last one back. */
  readonly state: string;
}

export interface WeightTree {
  readonly kind: 'file' | 'folder';
  /** By the bytes of their names. At least one. */
  readonly files: readonly WeightFile[];
}

/** Throws `weights.unreadable`, `weights.form`. */
export async function listWeights(path: string): Promise<WeightTree> {
  const root = await readable(() => realpath(path));
  const found = await readable(() => stat(root, { bigint: true }));
  if (found.isFile()) return { kind: 'file', files: [fileOf('', root, found)] };
  if (!found.isDirectory()) throw weightsError('weights.form', 'neither a file nor a folder');
  const files: WeightFile[] = [];
  await walk({ root, name: '', depth: 0, files });
  if (files.length === 0) throw weightsError('weights.form', 'an empty folder');
  files.sort((one, other) => compareBytes(utf8(one.name), utf8(other.name)));
  return { kind: 'folder', files };
}

export function stateOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return [dev, ino, size, mtimeNs, ctimeNs].join(':');
}

/** Of the same files, with the same names, and none of them touched. */
export function isSameTree(one: WeightTree, other: WeightTree): boolean {
  return (
    one.kind === other.kind &&
    one.files.length === other.files.length &&
    one.files.every(({ name, state }, at) => {
      const file = other.files[at];
      return file?.name === name && file.state === state;
    })
  );
}

function compareBytes(one: Uint8Array, other: Uint8Array): number {
  const at = one.findIndex((byte, place) => byte !== other[place]);
  if (at === -1) return one.length - other.length;
  return (one[at] ?? 0) - (other[at] ?? -1);
}

interface Walk {
  readonly root: string;
  readonly name: string;
  readonly depth: number;
  readonly files: WeightFile[];
}

async function walk({ root, name, depth, files }: Walk): Promise<void> {
  if (depth > DEPTH_MAX) throw weightsError('weights.form', 'folders too deep');
  const folder = name === '' ? root : `${root}${SEPARATOR}${name}`;
  const entries = await readable(() => readdir(folder, { encoding: 'buffer' }));
  if (files.length + entries.length > FILES_MAX) throw weightsError('weights.form', 'too many');
  for (const entry of entries) {
    const inner = name === '' ? textOf(entry) : `${name}${SEPARATOR}${textOf(entry)}`;
    if (utf8(inner).length > NAME_MAX_BYTES) throw weightsError('weights.form', 'a long name');
    await add({ root, name: inner, depth: depth + 1, files });
  }
}

/** A link stands for the file that it leads to, wherever that is: caches of models are made of such links. */
async function add(at: Walk): Promise<void> {
  const path = `${at.root}${SEPARATOR}${at.name}`;
  const own = await readable(() => lstat(path, { bigint: true }));
  if (own.isDirectory()) {
    await walk(at);
    return;
  }
  const found = own.isSymbolicLink() ? await readable(() => stat(path, { bigint: true })) : own;
  if (!found.isFile())
    throw weightsError('weights.form', 'not a file, a folder or a link to a file');
  at.files.push(fileOf(at.name, path, found));
}

function fileOf(name: string, path: string, stats: BigIntStats): WeightFile {
  return { name, path, size: stats.size, state: stateOf(stats) };
}

function textOf(name: Uint8Array): string {
  try {
    return fromUtf8(name);
  } catch (cause) {
    throw weightsError('weights.form', 'a name that is not UTF-8', { cause });
  }
}

async function readable<Value>(look: () => Promise<Value>): Promise<Value> {
  try {
    return await look();
  } catch (cause) {
    throw weightsError('weights.unreadable', '', { cause });
  }
}
