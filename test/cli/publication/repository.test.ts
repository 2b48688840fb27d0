/** What lies in a repository at every moment: after a crash, and when several people publish at once. @module */

import assert from 'node:assert/strict';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { advance } from '../../../attestation/publication/advance.ts';
import type { PublicationState } from '../../../attestation/publication/memory.ts';
import { publishList } from '../../../cli/publication/next-list.ts';
import { offeredOf, ownState, readByNewcomer } from '../../../cli/publication/own-state.ts';
import { publish, type Publication } from '../../../cli/publication/publishing.ts';
import { commit, readRepository, replaceFile } from '../../../cli/publication/repository.ts';
import {
  bundlesOf,
  entry,
  makeRelease,
  makeRevocations,
  makeRoot,
  named,
  policyOf,
  publicKeyOf,
  secretKeyOf,
} from '../../support/publication.ts';
import { firstRepository } from '../../support/repository.ts';
import { NOW_MS } from '../../support/tdx/pki.ts';
import { keyIdOf } from '../../../attestation/publication/envelope.ts';
import type { SigningKey } from '../../../cli/publication/keys.ts';

const NOW = { nowMs: NOW_MS };

/** Policy 2, a revocation and a new root, all at once. */
function everything(): Required<Publication> {
  return {
    roots: [makeRoot({ version: 2 })],
    bundles: bundlesOf([policyOf(2)]),
    release: makeRelease({ number: 2, current: named(policyOf(2)) }),
    revocations: makeRevocations({ number: 2, entries: [entry('rule', 'a')] }),
  };
}

function signingKey(name: string): SigningKey {
  const publicKey = publicKeyOf(name);
  const secretKey = secretKeyOf(name);
  return { name, path: `${name}.key`, publicKey, secretKey, keyid: keyIdOf(publicKey) };
}

function serialOf({ release }: PublicationState): number | undefined {
  return release?.current.document.payload.policy.document.serial;
}

test('a crash at any write leaves a publication that old and new readers take', async () => {
  using before = firstRepository();
  using after = firstRepository();
  const longAgo = ownState(readRepository(before.directory), NOW_MS).state;
  const { written } = await publish(readRepository(after.directory), everything(), NOW);
  assert.deepEqual(written, ['revocations.json', 'bundles/2.json', 'release.json', 'root/2.json']);
  for (let count = 0; count <= written.length; count++) {
    const crashed = mkdtempSync(join(tmpdir(), 'veilgate-crash-'));
    cpSync(before.directory, crashed, { recursive: true });
    mkdirSync(join(crashed, 'root'), { recursive: true });
    for (const name of written.slice(0, count)) {
      cpSync(join(after.directory, name), join(crashed, name));
    }
    // The one that was being written.
    writeFileSync(join(crashed, '.release.json.0123456789abcdef'), '{"payloadTy');
    const files = readRepository(crashed);
    const old = advance(longAgo, { roots: files.roots, ...offeredOf(files) }, NOW_MS);
    const fresh = readByNewcomer(files, NOW_MS);
    assert.deepEqual([old.refused, fresh.refused], [[], []], `after ${count} writes`);
    const want = count < 3 ? 1 : 2;
    assert.deepEqual([serialOf(old.state), serialOf(fresh.state)], [want, want]);
    // And whoever publishes next is not in its way.
    if (count < 3) await publish(files, everything(), NOW);
    assert.deepEqual(readByNewcomer(readRepository(crashed), NOW_MS).refused, []);
    rmSync(crashed, { recursive: true });
  }
});

test('a failed disk leaves no draft behind', () => {
  using repository = firstRepository();
  mkdirSync(join(repository.directory, 'release.json.d'));
  mkdirSync(repository.path('repo/bundles/9.json'));
  assert.throws(
    () => replaceFile(repository.directory, { name: 'bundles/9.json', bytes: new Uint8Array(1) }),
    /repository\.unusable/,
  );
  assert.deepEqual(readdirSync(repository.path('repo/bundles')).sort(), ['1.json', '9.json']);
});

test('drafts of a crash are cleared away by the next who publishes', async () => {
  using repository = firstRepository();
  writeFileSync(repository.path('repo/.release.json.0123456789abcdef'), 'half');
  await commit(repository.directory, [], []);
  assert.deepEqual(readdirSync(repository.directory).sort(), [
    'bundles',
    'release.json',
    'revocations.json',
    'root',
  ]);
});

test('published files are for everybody to read, whatever the umask', () => {
  const before = process.umask(0o077);
  try {
    using repository = firstRepository();
    assert.equal(statSync(repository.path('repo/release.json')).mode & 0o777, 0o644);
  } finally {
    process.umask(before);
  }
});

describe('two people at once', () => {
  test('whoever is second is told, and the first one stands', async () => {
    using repository = firstRepository();
    const seen = readRepository(repository.directory);
    const release = (serial: number): Publication => ({
      bundles: bundlesOf([policyOf(serial)]),
      release: makeRelease({ number: 2, current: named(policyOf(serial)) }),
    });
    const outcomes = await Promise.allSettled([
      publish(seen, release(2), NOW),
      publish(seen, release(3), NOW),
    ]);
    const failures = outcomes.filter((it) => it.status === 'rejected');
    assert.equal(failures.length, 1);
    assert.match(String(failures[0]?.reason), /repository\.changed.*somebody else has written/);
    const { state, refused } = ownState(readRepository(repository.directory), NOW_MS);
    assert.deepEqual(refused, []);
    assert.equal(state.release?.document.payload.number, 2);
  });

  test('a root that came meanwhile is noticed too', async () => {
    using repository = firstRepository();
    const seen = readRepository(repository.directory);
    await publish(seen, { roots: [makeRoot({ version: 2 })] }, NOW);
    await assert.rejects(
      publish(seen, { revocations: makeRevocations({ number: 2 }) }, NOW),
      /repository\.changed/,
    );
  });

  test('revocations are tried again until each has its number: none is lost', async () => {
    using repository = firstRepository();
    const names = ['a', 'b', 'c', 'd', 'e'];
    const results = await Promise.all(
      names.map((name) =>
        publishList({
          directory: repository.directory,
          keys: [signingKey('carol')],
          roles: ['revocation'],
          now: () => NOW_MS,
          out: undefined,
          change: (entries) => [...entries, entry('rule', name)],
        }),
      ),
    );
    const numbers = results.map((it) => (it.outcome === 'published' ? it.number : 0));
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      [2, 3, 4, 5, 6],
    );
    const { state } = ownState(readRepository(repository.directory), NOW_MS);
    const values = state.revocations?.document.payload.entries.map(({ value }) => value);
    assert.deepEqual(values?.sort(), names);
  });
});

describe('what readers would refuse is not written', () => {
  const refusals: readonly (readonly [string, Publication, RegExp])[] = [
    ['too few signatures', { release: makeRelease({ number: 2 }, ['alice']) }, /threshold/],
    ['a number that was there', { release: makeRelease({ issuedMs: NOW_MS }) }, /equivocation/],
    [
      'a bundle that is missing',
      { release: makeRelease({ number: 2, current: named(policyOf(2)) }) },
      /missing_bundle/,
    ],
    [
      'a list from the future',
      { revocations: makeRevocations({ number: 2, issuedMs: NOW_MS + 120_000 }) },
      /future/,
    ],
    ['a root out of turn', { roots: [makeRoot({ version: 3 })] }, /root_chain/],
    [
      'a root that its predecessor did not sign',
      { roots: [makeRoot({ version: 2 }, ['dave', 'alice'])] },
      /threshold/,
    ],
  ];
  for (const [name, publication, want] of refusals) {
    test(name, async () => {
      using repository = firstRepository();
      const files = readRepository(repository.directory);
      await assert.rejects(publish(files, publication, NOW), want);
      assert.deepEqual(readRepository(repository.directory), files);
    });
  }

  test('another content under a serial that lies there, released or not', async () => {
    using repository = firstRepository();
    const [bytes = new Uint8Array()] = bundlesOf([policyOf(2)]).values();
    repository.write('bundles/2.json', bytes);
    const other = policyOf(2, { note: 'another' });
    const files = readRepository(repository.directory);
    const release = makeRelease({ number: 2, current: named(other) });
    await assert.rejects(
      publish(files, { bundles: bundlesOf([other]), release }, NOW),
      /another content/,
    );
  });

  test('a policy that has expired is passed by the next one', async () => {
    using repository = firstRepository();
    const files = readRepository(repository.directory);
    const nowMs = Date.UTC(2026, 9, 1);
    assert.equal(ownState(files, nowMs).state.highestSerial, 1);
    assert.notEqual(readByNewcomer(files, nowMs).refused.length, 0);
    const next = policyOf(2, { issued: '2026-09-20T00:00:00Z', expires: '2026-12-01T00:00:00Z' });
    const release = makeRelease({ number: 2, issuedMs: nowMs, current: named(next) });
    await publish(files, { bundles: bundlesOf([next]), release }, { nowMs });
    assert.deepEqual(readByNewcomer(readRepository(repository.directory), nowMs).refused, []);
  });
});
