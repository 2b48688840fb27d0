/** Carol's key was stolen. She had signed the list of revocations and the release: what the others do, step by step. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { done, report, run } from '../../support/commands.ts';
import { publishedTeam, type Team } from '../../support/policy-team.ts';

/** Root 2: Dave in place of Carol. */
async function rootWithoutCarol({ path, key }: Team): Promise<string> {
  const root = path('root-2.json');
  const previous = path('root-1.json');
  const roles = ['root=2', 'policy=2', 'release=1', 'revocation=1'];
  await done(
    'policy',
    'root',
    'rotate',
    previous,
    '--remove-key',
    'carol',
    '--key',
    `dave=${path('dave.pub')}`,
    ...roles.flatMap((role) => ['--role', `${role}:alice,bob,dave`]),
    '--out',
    root,
  );
  for (const name of ['alice', 'bob']) {
    await done('policy', 'root', 'sign', root, '--as', key(name), '--previous', previous);
  }
  return root;
}

test('without an interruption: what she signed is signed again, and goes out with the root', async () => {
  using made = await publishedTeam();
  const { repo, key, path } = made;
  const root = await rootWithoutCarol(made);
  const early = await run('policy', 'publish', '--repo', repo, root);
  assert.equal(early.status, 1);
  assert.match(early.stderr, /does not support release and bundles and the list of revocations/);
  for (const name of ['release.json', 'revocations.json']) {
    const again = ['--repo', repo, '--out', path(name), '--next-root', root];
    await done('policy', 'sign', path(`repo/${name}`), '--as', key('dave'), ...again);
  }
  await done(
    'policy',
    'publish',
    '--repo',
    repo,
    path('release.json'),
    path('revocations.json'),
    root,
  );
  await done('revoke', 'timestamp', '--once', '--repo', repo, '--as', key('server'));
  assert.match((await done('policy', 'status', '--repo', repo)).stdout, /all is well/);
  const thief = await run(
    'revoke',
    'add',
    'image',
    'test-image',
    '--reason',
    'x',
    '--repo',
    repo,
    '--as',
    key('carol'),
  );
  assert.match(thief.stderr, /is in no role of the root/);
});

test('at once, with an interruption: the root first, and then what it needs', async () => {
  using made = await publishedTeam();
  const { repo, key, path } = made;
  await done('policy', 'publish', '--repo', repo, '--retire', await rootWithoutCarol(made));
  const status = await run('policy', 'status', '--repo', repo);
  assert.equal(status.status, 1);
  assert.match(status.stdout, /readers refuse the release: publication\.threshold/);
  const revoke = ['revoke', 'add', 'image', 'test-image', '--reason', 'x', '--repo', repo, '--as'];
  const blocked = await run(...revoke, key('dave'));
  assert.match(blocked.stderr, /next: if its keys were rotated away, look at it with/);
  const again = ['--repo', repo, '--out', path('list.json')];
  await done('policy', 'sign', path('repo/revocations.json'), '--as', key('dave'), ...again);
  await done('policy', 'publish', '--repo', repo, path('list.json'));
  await done(...revoke, key('dave'));
  const bundle = await made.bundle(2);
  await done('policy', 'publish', '--repo', repo, '--bundle', bundle, '--as', key('dave'));
  await done('revoke', 'timestamp', '--once', '--repo', repo, '--as', key('server'));
  const after = await report('policy', 'status', '--repo', repo);
  assert.deepEqual([after['exit'], after['release'], after['revocations']], [0, 2, 2]);
});
