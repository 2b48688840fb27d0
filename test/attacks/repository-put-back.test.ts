/**
 * Whoever holds the repository puts yesterday's list back, or takes it away: who revokes next would sign a second content
 * under a number that readers have, and be told that it is done. Spec: docs/publication.md §2, §3.
 * @module
 */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { keyIdOf } from '../../attestation/publication/envelope.ts';
import type { SigningKey } from '../../cli/publication/keys.ts';
import { publishList } from '../../cli/publication/next-list.ts';
import { releaseAfter } from '../../cli/publication/next-release.ts';
import { ownState } from '../../cli/publication/own-state.ts';
import { publish } from '../../cli/publication/publishing.ts';
import { readRepository } from '../../cli/publication/repository.ts';
import { signTimestampOnce } from '../../cli/publication/timestamp-service.ts';
import {
  bundlesOf,
  entry,
  makeRelease,
  makeRevocations,
  named,
  policyOf,
  publicKeyOf,
  secretKeyOf,
} from '../support/publication.ts';
import { firstRepository, type TestRepository } from '../support/repository.ts';
import { NOW_MS } from '../support/tdx/pki.ts';

function carol(): SigningKey {
  const [publicKey, secretKey] = [publicKeyOf('carol'), secretKeyOf('carol')];
  return { name: 'carol', path: 'carol.key', publicKey, secretKey, keyid: keyIdOf(publicKey) };
}

function revoke(repository: TestRepository, value: string): ReturnType<typeof publishList> {
  return publishList({
    directory: repository.directory,
    keys: [carol()],
    roles: ['revocation'],
    now: () => NOW_MS,
    out: undefined,
    change: (entries) => [...entries, entry('rule', value)],
  });
}

async function secondDay(): Promise<TestRepository> {
  const repository = firstRepository();
  const files = readRepository(repository.directory);
  const publication = {
    bundles: bundlesOf([policyOf(2)]),
    release: makeRelease({ number: 2, current: named(policyOf(2)) }),
    revocations: makeRevocations({ number: 2, entries: [entry('rule', 'a')] }),
  };
  await publish(files, publication, { nowMs: NOW_MS });
  const secretKey = secretKeyOf('server');
  const memoryPath = repository.path('seen.json');
  signTimestampOnce({
    directory: repository.directory,
    secretKey,
    memoryPath,
    now: () => NOW_MS,
  });
  return repository;
}

test('nobody revokes on top of a list that was put back', async () => {
  using repository = await secondDay();
  repository.write('revocations.json', makeRevocations());
  await assert.rejects(revoke(repository, 'b'), /repository\.refused.*names list 2.*holds list 1/s);
});

test('nobody revokes where the list was taken away', async () => {
  using repository = await secondDay();
  rmSync(repository.path('repo/revocations.json'));
  await assert.rejects(revoke(repository, 'b'), /repository\.refused.*names list 2.*holds none/s);
});

test('nobody releases on top of a release that was put back', async () => {
  using repository = await secondDay();
  repository.write('release.json', makeRelease());
  const files = readRepository(repository.directory);
  const { state } = ownState(files, NOW_MS);
  assert.throws(
    () =>
      releaseAfter(files, state, { nowMs: NOW_MS, current: named(policyOf(3)), candidate: null }),
    /repository\.refused.*names release 2.*holds release 1/s,
  );
});

test('what is ahead of the timestamp is what it is about to name', async () => {
  using repository = await secondDay();
  const first = await revoke(repository, 'b');
  const second = await revoke(repository, 'c');
  assert.deepEqual(
    [first, second].map((it) => it.outcome === 'published' && it.number),
    [3, 4],
  );
});
