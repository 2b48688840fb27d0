/**
 * Whoever holds the repository puts a root of their own there, which names the team's keys beside theirs: what the timestamp
 * service has remembered verifies under it, and so does whatever they sign next. Spec: docs/publication.md §2 "Timestamp", §3.
 * @module
 */

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRepository } from '../../cli/publication/repository.ts';
import {
  signTimestampOnce,
  type TimestampReport,
} from '../../cli/publication/timestamp-service.ts';
import { NOW_MS } from '../support/tdx/pki.ts';
import {
  entry,
  makeRevocations,
  makeRoot,
  PEOPLE,
  publicKeyOf,
  rootFields,
  secretKeyOf,
} from '../support/publication.ts';
import { firstRepository, type TestRepository } from '../support/repository.ts';

function stampOnce({ directory, path }: TestRepository, pinnedRoot?: Uint8Array): TimestampReport {
  const secretKey = secretKeyOf('server');
  return signTimestampOnce({
    directory,
    secretKey,
    memoryPath: path('seen.json'),
    ...(pinnedRoot && { pinnedRoot }),
    now: () => NOW_MS,
  });
}

/** Made without any key of the team. */
function foreignRoot(version: number): Uint8Array {
  const people = [...PEOPLE, 'mallory'];
  const role = { threshold: 1, keys: people };
  const roles = {
    root: { threshold: 1, keys: ['mallory'] },
    policy: role,
    release: role,
    revocation: role,
    timestamp: { threshold: 1, keys: ['server'] },
  };
  const keys = [...people, 'server'].map((name) => ({ name, publicKey: publicKeyOf(name) }));
  return makeRoot({ ...rootFields(), version, keys, roles }, ['mallory']);
}

test('a service that starts again vouches for nothing under a root that nobody it knows has signed', () => {
  using repository = firstRepository();
  assert.equal(stampOnce(repository).outcome, 'signed');
  const before = readRepository(repository.directory).timestamp;
  rmSync(join(repository.directory, 'root/1.json'));
  repository.write('root/99.json', foreignRoot(99));
  const list = makeRevocations({ number: 1_000_000, entries: [entry('rule', 'a')] }, ['mallory']);
  repository.write('revocations.json', list);
  assert.throws(() => stampOnce(repository), /repository\.unusable/);
  assert.deepEqual(readRepository(repository.directory).timestamp, before);
});

test('a service that was told the root begins under no other', () => {
  using repository = firstRepository();
  repository.write('root/1.json', foreignRoot(1));
  assert.throws(() => stampOnce(repository, makeRoot()), /repository\.unusable/);
  repository.write('root/1.json', makeRoot({}, ['alice', 'bob', 'carol']));
  assert.equal(stampOnce(repository, makeRoot()).outcome, 'signed');
});

test('roots that the service has climbed may go from the repository', () => {
  using repository = firstRepository();
  repository.write('root/2.json', makeRoot({ version: 2 }));
  assert.equal(stampOnce(repository).outcome, 'signed');
  rmSync(join(repository.directory, 'root/1.json'));
  assert.equal(stampOnce(repository).outcome, 'signed');
});
