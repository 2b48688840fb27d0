/** `veilgate policy root`: who may sign what, said so that people see it before they sign. @module */

import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { done, report, run } from '../../support/commands.ts';
import { rootOptions, team } from '../../support/policy-team.ts';

test('each mistake in its options is told, and nothing is written', async () => {
  using made = await team();
  const options = rootOptions(made.path);
  const out = made.path('other.json');
  const swapped = (from: string, to: string): readonly string[] =>
    options.map((word) => (word === from ? to : word));
  const wrong: readonly (readonly [readonly string[], number, RegExp])[] = [
    [options.filter((_, at) => at < options.length - 2), 2, /--role timestamp=… is missing/],
    [
      swapped('policy=2:alice,bob,carol', 'policy=4:alice,bob,carol'),
      1,
      /threshold above the number/,
    ],
    [swapped('policy=2:alice,bob,carol', 'policy=2:alice,eve'), 1, /no such key/],
    [
      swapped('policy=2:alice,bob,carol', 'polcy=2:alice,bob'),
      2,
      /--role takes role=threshold:names/,
    ],
    [swapped('timestamp=1:server', 'timestamp=1:alice'), 1, /a key of timestamp, which is online/],
    [swapped('1y', 'soon'), 2, /--expires takes 90d, 1y/],
    [
      swapped(`bob=${made.path('bob.pub')}`, `bob=${made.path('alice.pub')}`),
      1,
      /a key stands twice/,
    ],
  ];
  for (const [words, status, message] of wrong) {
    const ran = await run('policy', 'root', 'init', ...words, '--out', out);
    assert.equal(ran.status, status, ran.stderr);
    assert.match(ran.stderr, message);
    assert.throws(() => readFileSync(out));
  }
});

test('one that people have signed is not written over', async () => {
  using made = await team();
  const out = made.path('root-1.json');
  const before = readFileSync(out);
  const ran = await run('policy', 'root', 'init', ...rootOptions(made.path), '--out', out);
  assert.equal(ran.status, 1);
  assert.deepEqual(readFileSync(out), before);
});

test('what is dangerous is said: one person for policy, all in one hand, no key to spare', async () => {
  using made = await team();
  const out = made.path('alone.json');
  await done(
    'policy',
    'root',
    'init',
    '--policy',
    'production',
    '--out',
    out,
    '--expires',
    '10d',
    ...['alice', 'server'].flatMap((name) => ['--key', `${name}=${made.path(`${name}.pub`)}`]),
    ...['root', 'policy', 'release', 'revocation'].flatMap((role) => ['--role', `${role}=1:alice`]),
    '--role',
    'timestamp=1:server',
  );
  const { stdout } = await run('policy', 'root', 'show', out);
  assert.match(stdout, /one person alone can admit whatever they like/);
  assert.match(stdout, /one person holds every role but timestamp/);
  assert.match(stdout, /if one key of root is lost/);
  assert.match(stdout, /expires in 9 days: rotate it/);
});

test('show says who is missing, and 1 until nobody is', async () => {
  using made = await team();
  const root = made.path('next.json');
  await done('policy', 'root', 'rotate', made.path('root-1.json'), '--out', root);
  const previous = ['--previous', made.path('root-1.json')];
  const before = await run('policy', 'root', 'show', root, ...previous);
  assert.equal(before.status, 1);
  assert.match(before.stdout, /by root 1 {2}root: 0 of 2 needed \(nobody yet\); 2 more of alice/);
  for (const name of ['alice', 'carol']) {
    await done('policy', 'root', 'sign', root, '--as', made.key(name), ...previous);
  }
  assert.equal((await run('policy', 'root', 'show', root, ...previous)).status, 0);
  const stranger = await run('policy', 'root', 'sign', root, '--as', made.key('dave'), ...previous);
  assert.equal(stranger.status, 1);
  assert.match(stranger.stderr, /the key of dave .* is in no role of the root\nnext: ask one of/);
});

test('a file changed after it was signed shows as broken', async () => {
  using made = await team();
  const path = made.path('root-1.json');
  const text = readFileSync(path, 'utf8');
  const [first = '', second = ''] = [...text.matchAll(/"sig": "([^"]+)"/g)].map(
    (it) => it[1] ?? '',
  );
  writeFileSync(path, text.replace(first, second));
  const shown = await report('policy', 'root', 'show', path);
  assert.equal(shown['exit'], 1);
  assert.deepEqual(shown['broken'], ['alice']);
});

test('an unsigned root does not go where readers look', async () => {
  using made = await team();
  await done(
    'policy',
    'publish',
    '--repo',
    made.repo,
    '--bundle',
    await made.bundle(1),
    '--as',
    made.key('carol'),
  );
  const out = made.path('repo/root/2.json');
  const ran = await run('policy', 'root', 'rotate', made.path('root-1.json'), '--out', out);
  assert.equal(ran.status, 1);
  assert.match(ran.stderr, /nobody has signed this root yet/);
});

test('nobody holds a key after a trial by accident: it is marked wherever it shows', async () => {
  using made = await team();
  const repo = made.path('trial');
  await done(
    'policy',
    'repo',
    'init',
    '--repo',
    repo,
    '--trial',
    'dev',
    '--keys',
    made.path('keys'),
  );
  const { stdout } = await run('policy', 'status', '--repo', repo);
  assert.match(stdout, /FOR TRIAL ONLY/);
});
