/**
 * What a repository's holder, or somebody who publishes at the same moment, can make commands and services do.
 * Spec: docs/publication.md §2.
 * @module
 */

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, symlinkSync } from 'node:fs';
import { test } from 'node:test';
import { publish } from '../../cli/publication/publishing.ts';
import { readRepository } from '../../cli/publication/repository.ts';
import { bundlesOf, makeRelease, makeRoot, named, policyOf } from '../support/publication.ts';
import { firstRepository } from '../support/repository.ts';
import { NOW_MS } from '../support/tdx/pki.ts';

const NOW = { nowMs: NOW_MS };

test('a pipe or a device in place of a document is refused, not waited for or read to its end', () => {
  using repository = firstRepository();
  const path = repository.path('repo/revocations.json');
  rmSync(path);
  execFileSync('mkfifo', [path]);
  assert.throws(() => readRepository(repository.directory), /repository\.unusable.*no plain file/);
  rmSync(path);
  symlinkSync('/dev/zero', path);
  assert.throws(() => readRepository(repository.directory), /repository\.unusable.*no plain file/);
});

test('a root does not retire a release that came while it was being published', async () => {
  using repository = firstRepository();
  const seen = readRepository(repository.directory);
  const release = makeRelease({ number: 2, current: named(policyOf(2)) });
  await publish(seen, { bundles: bundlesOf([policyOf(2)]), release }, NOW);
  await assert.rejects(
    publish(seen, { roots: [makeRoot({ version: 2 })] }, NOW),
    /repository\.changed/,
  );
});

test('a bundle that nobody signed is not put among those that somebody did', async () => {
  using repository = firstRepository();
  const files = readRepository(repository.directory);
  await assert.rejects(
    publish(files, { bundles: bundlesOf([policyOf(2)], ['dave']) }, NOW),
    /repository\.refused.*publication\.threshold/s,
  );
  await publish(files, { bundles: bundlesOf([policyOf(2)]) }, NOW);
});
