/** A repository on a disk, as somebody published it. Spec: docs/publication.md §2. @module */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { replaceFile } from '../../cli/publication/repository.ts';
import { firstDay, makeRoot } from './publication.ts';

export interface TestRepository extends Disposable {
  readonly directory: string;
  /** Beside the repository. */
  readonly path: (name: string) => string;
  readonly write: (name: string, bytes: Uint8Array) => void;
}

/** Root 1 and nothing else. */
export function bareRepository(): TestRepository {
  const parent = mkdtempSync(join(tmpdir(), 'veilgate-repository-'));
  const directory = join(parent, 'repo');
  const write = (name: string, bytes: Uint8Array): void => replaceFile(directory, { name, bytes });
  write('root/1.json', makeRoot());
  return {
    directory,
    path: (name) => join(parent, name),
    write,
    [Symbol.dispose]: () => rmSync(parent, { recursive: true }),
  };
}

/** Everything of the first day but the timestamp. */
export function firstRepository(): TestRepository {
  const made = bareRepository();
  const { bundles, release, revocations } = firstDay();
  for (const [serial, bytes] of bundles) made.write(`bundles/${serial}.json`, bytes);
  made.write('release.json', release);
  made.write('revocations.json', revocations);
  return made;
}
