/**
 * The life of a policy by the commands that people type: three people, two of three; what a gateway makes of the repository is
 * asked of the reader itself after every step.
 * @module
 */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { advance } from '../../../attestation/publication/advance.ts';
import { freshness } from '../../../attestation/publication/freshness.ts';
import type { PublicationState } from '../../../attestation/publication/memory.ts';
import { openPublication } from '../../../attestation/publication/open.ts';
import { offeredOf } from '../../../cli/publication/own-state.ts';
import { readRepository } from '../../../cli/publication/repository.ts';
import { systemClock } from '../../../core/clock.ts';
import { done, run } from '../../support/commands.ts';
import { publishedTeam, type Team } from '../../support/policy-team.ts';

const LIMITS = {
  evidence_age: '2h',
  reattest_every: '1h',
  revocation_age: { gateway: '60s', client: '5m' },
  collateral_grace: '0s',
  challenge: 'required',
};

/** A gateway that has pinned root 1 and takes what lies there. */
function gateway({ repo }: Team): {
  readonly take: () => PublicationState;
} {
  const [pinnedRoot = new Uint8Array()] = readRepository(repo).roots;
  let state = openPublication({ pinnedRoot, nowMs: systemClock() });
  return {
    take: () => {
      const files = readRepository(repo);
      const offered = { roots: files.roots, ...offeredOf(files) };
      const { state: next, refused } = advance(state, offered, systemClock());
      assert.deepEqual(refused, []);
      state = next;
      return state;
    },
  };
}

async function stamp({ repo, key }: Team): Promise<void> {
  await done('revoke', 'timestamp', '--once', '--repo', repo, '--as', key('server'));
}

test('from keys to a policy that gateways take; candidate, shares, all; back; revoked; keys rotated', async () => {
  using team = await publishedTeam();
  const { repo, key, path } = team;
  const reader = gateway(team);
  const first = reader.take();
  assert.equal(first.release?.current.document.payload.policy.document.serial, 1);
  assert.equal(freshness(first, 60_000, systemClock()).fresh, true);

  const second = await team.bundle(2, { limits: LIMITS });
  const publish = ['policy', 'publish', '--repo', repo, '--as', key('carol')];
  await done(...publish, '--bundle', second, '--candidate');
  assert.equal(reader.take().release?.document.payload.candidate?.share, 0);
  const promote = ['policy', 'promote', '--repo', repo, '--as', key('carol'), '--share'];
  await done(...promote, '5');
  assert.equal(reader.take().release?.document.payload.candidate?.share, 5);
  const full = await done(...promote, 'full');
  assert.match(full.stdout, /WIDER {5}policy: limits\.evidence_age: longer/);
  assert.equal(reader.take().highestSerial, 2);

  const third = path('3.json');
  const back = ['policy', 'rollback', '--repo', repo, '--to', '1', '--out', third];
  await done(...back, '--source', team.policy(1), '--as', key('alice'));
  await done('policy', 'sign', third, '--as', key('carol'), '--repo', repo);
  await done(...publish, '--bundle', third);
  const { policy } = reader.take().release?.current.document.payload ?? {};
  assert.equal(policy?.document.serial, 3);
  assert.equal(policy?.document.limits.evidence_age, 3_600_000);

  const revoke = ['--repo', repo, '--as', key('bob'), '--reason', 'leaked'];
  await done('revoke', 'add', 'image', 'test-image', ...revoke);
  assert.equal(reader.take().revocations?.set.find('image', 'test-image')?.by, 'bob');
  await stamp(team);
  assert.equal(freshness(reader.take(), 60_000, systemClock()).fresh, true);

  await rotate(team);
  const rotated = reader.take();
  assert.equal(rotated.root.payload.version, 2);
  assert.equal(rotated.release?.current.document.payload.policy.document.serial, 3);
  await stamp(team);
  assert.equal(freshness(reader.take(), 60_000, systemClock()).fresh, true);
  const status = await run('policy', 'status', '--repo', repo);
  assert.match(status.stdout, /all is well/);
});

/** Alice leaves, Dave comes: what is published gets his signature first, the root comes last. */
async function rotate({ repo, key, path }: Team): Promise<void> {
  const root = path('root-2.json');
  const people = 'bob,carol,dave';
  await done(
    'policy',
    'root',
    'rotate',
    join(repo, 'root/1.json'),
    '--out',
    root,
    '--remove-key',
    'alice',
    '--key',
    `dave=${path('dave.pub')}`,
    ...['root=2', 'policy=2', 'release=1', 'revocation=1'].flatMap((role) => [
      '--role',
      `${role}:${people}`,
    ]),
  );
  const previous = ['--previous', join(repo, 'root/1.json')];
  const alone = await run('policy', 'root', 'show', root, ...previous);
  assert.match(alone.stdout, /- key alice/);
  assert.match(alone.stdout, /\+ key dave/);
  assert.match(alone.stdout, /~ role policy: 2 of alice, bob, carol → 2 of bob, carol, dave/);
  for (const name of ['alice', 'bob', 'carol']) {
    await done('policy', 'root', 'sign', root, '--as', key(name), ...previous);
  }
  const early = await run('policy', 'publish', '--repo', repo, root);
  assert.equal(early.status, 1);
  assert.match(early.stderr, /does not support release and bundles: every gateway would deny/);
  const bundle = path('3.json');
  writeFileSync(bundle, readFileSync(join(repo, 'bundles/3.json')));
  await done('policy', 'sign', bundle, '--as', key('dave'), '--repo', repo, '--next-root', root);
  await done('policy', 'publish', '--repo', repo, bundle, root);
}
