/**
 * A repository whose first root somebody knows from elsewhere. Whoever can write there chooses the files, and with another
 * root the keys that count: what is shown, signed and added to would be theirs. Spec: docs/publication.md §2 "Root".
 * @module
 */

import { parseEnvelope } from '../../attestation/publication/envelope.ts';
import { equalPublic } from '../../core/bytes.ts';
import { repositoryError } from './errors.ts';
import { readRepository, type RepositoryFiles } from './repository.ts';
import { openRoot } from './root-report.ts';

/** For commander. */
export const ROOT_OPTION = [
  '--root <file>',
  'the first root, as you know it: another one there is not believed',
] as const;

/** Without `root` what lies there is believed. Throws `repository.*`, `cli.file`, `publication.*`. */
export function readPinnedRepository(directory: string, root: string | undefined): RepositoryFiles {
  const files = readRepository(directory);
  if (root !== undefined) assertFirstRoot(files, openRoot(root).bytes);
  return files;
}

/** Throws `repository.unusable`. */
export function assertFirstRoot(
  { directory, roots: [first] }: RepositoryFiles,
  pinned: Uint8Array,
): void {
  const got = first === undefined ? undefined : parseEnvelope(first, 'root').digest;
  if (got !== undefined && equalPublic(parseEnvelope(pinned, 'root').digest, got)) return;
  throw repositoryError(
    'repository.unusable',
    `the first root in ${directory} is not the one that was named\nnext: ask who else writes there, before anything is signed`,
  );
}
