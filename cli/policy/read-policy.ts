/**
 * A policy from where the user keeps it: one file, or a directory with `policy.yaml` and a folder for each list that is
 * split. In a directory everything counts or is refused by name: a file that is skipped in silence is a release that admits
 * nobody, or an exception that was never taken back. Spec: gpu-and-policy §5.2.
 * @module
 */

import { lstatSync, readdirSync, statSync, type Dirent } from 'node:fs';
import { basename, join } from 'node:path';
import { compilePolicyFiles, type CompiledPolicy } from '../../attestation/policy/compile.ts';
import { SPLIT_LISTS, type PolicyFile } from '../../attestation/policy/sources.ts';
import { POLICY_MAX_BYTES } from '../../attestation/policy/yaml.ts';
import { cliError } from '../errors.ts';
import { readBoundedFile } from '../measure/files.ts';

const MAIN_FILE = 'policy.yaml';
/** For people and their editors. */
const IGNORED: readonly string[] = ['README.md', 'policy-1.schema.json'];
const FILES_MAX = 1024;
const DIRECTORY_MAX_BYTES = 8 * POLICY_MAX_BYTES;
/** No name that a shell, a terminal or a message could take for something else. */
const ENTRY_FILE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}\.(?:yaml|yml|json)$/;

/** Throws `cli.file` for what cannot be read, `policy.*` for what is no policy. */
export function readPolicy(path: string): CompiledPolicy {
  return compilePolicyFiles(readPolicyFiles(path));
}

/** Not compiled yet: the policy first, then the entries of its lists. Throws `cli.file`. */
export function readPolicyFiles(path: string): readonly PolicyFile[] {
  if (!isDirectory(path)) {
    return [{ name: basename(path), bytes: readBoundedFile('policy', path, POLICY_MAX_BYTES) }];
  }
  return readDirectory(path);
}

/** A path that leads nowhere is said to be so by whoever reads it. */
function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function readDirectory(root: string): readonly PolicyFile[] {
  const entries = listed(root).filter(({ name }) => !isIgnored(name));
  for (const entry of entries) assertExpected(root, entry);
  if (!entries.some(({ name }) => name === MAIN_FILE)) {
    throw cliError('cli.file', `${root} holds no ${MAIN_FILE}, so it is no policy`);
  }
  const names = [
    MAIN_FILE,
    ...SPLIT_LISTS.filter((list) => entries.some(({ name }) => name === list)).flatMap((list) =>
      entryFiles(root, list),
    ),
  ];
  if (names.length > FILES_MAX) {
    throw cliError('cli.file', `${root} holds over ${FILES_MAX} files`);
  }
  return readAll(root, names);
}

function readAll(root: string, names: readonly string[]): readonly PolicyFile[] {
  let total = 0;
  return names.map((name) => {
    const bytes = readBoundedFile('policy', join(root, name), POLICY_MAX_BYTES);
    total += bytes.length;
    if (total > DIRECTORY_MAX_BYTES) {
      throw cliError('cli.file', `the files of ${root} have over ${DIRECTORY_MAX_BYTES} bytes`);
    }
    return { name, bytes };
  });
}

function listed(folder: string): readonly Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (cause) {
    throw cliError('cli.file', `cannot list ${folder}`, { cause });
  }
}

function isIgnored(name: string): boolean {
  return name.startsWith('.') || IGNORED.includes(name);
}

const FOLDERS: readonly string[] = SPLIT_LISTS;

function assertExpected(root: string, entry: Dirent): void {
  const path = join(root, entry.name);
  assertNoLink(path, entry);
  if (entry.name === MAIN_FILE && entry.isFile()) return;
  if (FOLDERS.includes(entry.name) && entry.isDirectory()) return;
  const known = `${MAIN_FILE}, ${SPLIT_LISTS.map((list) => `${list}/`).join(', ')} and README.md`;
  throw cliError('cli.file', `${path} is no part of a policy: want ${known}, nothing else`);
}

function entryFiles(root: string, list: string): readonly string[] {
  const folder = join(root, list);
  return listed(folder)
    .filter(({ name }) => !isIgnored(name))
    .map((entry) => {
      const path = join(folder, entry.name);
      assertNoLink(path, entry);
      if (!entry.isFile() || !ENTRY_FILE.test(entry.name)) {
        throw cliError('cli.file', `${path} is no part of a policy: want *.yaml, *.yml or *.json`);
      }
      return `${list}/${entry.name}`;
    });
}

/** A link can point at what nobody reviewed. */
function assertNoLink(path: string, entry: Dirent): void {
  if (!entry.isSymbolicLink() && !lstatSync(path).isSymbolicLink()) return;
  throw cliError('cli.file', `${path} is a symbolic link: a policy's directory holds plain files`);
}
