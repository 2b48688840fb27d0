/** `veilgate policy sign` and `publish`: whatever should not be signed or published is refused, and says what to do. @module */

import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { formatInstant, systemClock } from '../../../core/clock.ts';
import { done, report, run } from '../../support/commands.ts';
import { publishedTeam, team, type Team } from '../../support/policy-team.ts';

const DAY_MS = 86_400_000;

async function sign({ key, repo, path }: Team, sources: string, ...more: readonly string[]) {
  const out = ['--out', path('out.json')];
  return run('policy', 'sign', sources, '--as', key('alice'), '--repo', repo, ...out, ...more);
}

test('the first signer: what should not be signed', async () => {
  using made = await publishedTeam();
  const nowMs = systemClock();
  const issued = formatInstant(Math.floor(nowMs / 1000) * 1000 + 3_600_000);
  const past = { issued: '2026-01-01T00:00:00Z', expires: '2026-02-01T00:00:00Z' };
  const cases: readonly (readonly [string, RegExp])[] = [
    [
      made.policy(1, { note: 'changed' }),
      /production#1 is not above the highest serial.*, 1\n.*say "serial: 2"/,
    ],
    [made.policy(2, { issued }), /is in the future\nnext: say when it was decided/],
    [made.policy(3, past), /nobody should sign|it expired/],
    [
      made.policy(4, { name: 'other' }),
      /this is for the policy other, and the repository holds production/,
    ],
    [made.policy(5, { images: [] }), /nobody should sign|is not defined here/],
  ];
  for (const [sources, message] of cases) {
    const ran = await sign(made, sources);
    assert.equal(ran.status, 1, ran.stdout);
    assert.match(ran.stderr, message);
    assert.equal(existsSync(made.path('out.json')), false);
  }
  const outless = await run(
    'policy',
    'sign',
    made.policy(6),
    '--as',
    made.key('alice'),
    '--repo',
    made.repo,
  );
  assert.equal(outless.status, 2);
  assert.equal((await sign(made, made.path('absent'))).status, 3);
});

test('the second signer: other sources, a changed file, a key without the role', async () => {
  using made = await publishedTeam();
  const sources = made.policy(2);
  await sign(made, sources);
  const file = made.path('out.json');
  const second = ['policy', 'sign', file, '--repo', made.repo, '--as'];
  const other = await run(...second, made.key('bob'), '--source', made.policy(3));
  assert.equal(other.status, 1);
  assert.match(other.stderr, /compiles to production#3 with another digest/);
  const stranger = await run(...second, made.key('server'));
  assert.equal(stranger.status, 1);
  assert.match(
    stranger.stderr,
    /may sign timestamp only\nnext: ask one of policy \(alice, bob, carol\)/,
  );
  const blind = await done(...second, made.key('bob'));
  assert.match(blind.stdout, /not compared with any checkout of yours/);
  const seen = await done(...second, made.key('carol'), '--source', sources);
  assert.match(seen.stdout, /your checkout compiles to this digest/);
  const text = readFileSync(file, 'utf8');
  const signatures = [...text.matchAll(/"sig": "([^"]+)"/g)].map((it) => it[1] ?? '');
  writeFileSync(file, text.replace(signatures[0] ?? '', signatures[1] ?? ''));
  const changed = await run(...second, made.key('carol'));
  assert.equal(changed.status, 1);
  assert.match(changed.stderr, /the signature of alice .* somebody changed the file/);
});

test('both sign the same bytes, also when both begin from their own checkout', async () => {
  using made = await publishedTeam();
  const sources = made.policy(2);
  const out = made.path('out.json');
  const one = await report(
    'policy',
    'sign',
    sources,
    '--as',
    made.key('alice'),
    '--repo',
    made.repo,
    '--out',
    out,
  );
  const two = await report(
    'policy',
    'sign',
    sources,
    '--as',
    made.key('bob'),
    '--repo',
    made.repo,
    '--out',
    out,
  );
  assert.equal(one['digest'], two['digest']);
  await done('policy', 'publish', '--repo', made.repo, '--bundle', out, '--as', made.key('carol'));
});

test('a policy written as JSON is one, whatever its name', async () => {
  using made = await team();
  const file = made.path('policy.json');
  writeFileSync(file, readFileSync(`${made.policy(1)}/policy.yaml`));
  const signed = await sign(made, file);
  assert.equal(signed.status, 0, signed.stderr);
  writeFileSync(file, '{"payloadType":"application/vnd.veilgate.other+json"}');
  const other = await sign(made, file);
  assert.equal(other.status, 1);
  assert.match(other.stderr, /publication\.malformed/);
});

test('publish: too few signatures, a key without the role, nothing to be a candidate beside', async () => {
  using made = await team();
  await sign(made, made.policy(1));
  const publish = ['policy', 'publish', '--repo', made.repo, '--bundle'];
  const few = await run(...publish, made.path('out.json'), '--as', made.key('carol'));
  assert.equal(few.status, 1);
  assert.match(
    few.stderr,
    /not enough have signed .*policy: 1 of 2 needed \(alice\); 1 more of bob, carol\nnext: /,
  );
  const bundle = await made.bundle(1);
  const wrongKey = await run(...publish, bundle, '--as', made.key('server'));
  assert.match(wrongKey.stderr, /may sign timestamp only/);
  const candidate = await run(...publish, bundle, '--as', made.key('carol'), '--candidate');
  assert.match(candidate.stderr, /no policy in force yet/);
  const none = await run(
    'policy',
    'promote',
    '--repo',
    made.repo,
    '--as',
    made.key('carol'),
    '--share',
    '5',
  );
  assert.match(none.stderr, /there is no candidate/);
  assert.equal((await run('policy', 'publish', '--repo', made.repo)).status, 2);
  assert.equal((await run(...publish, bundle)).status, 2);
  assert.equal((await run(...publish, bundle, '--candidate', '100', '--as', 'x')).status, 2);
  assert.equal(existsSync(made.path('repo/release.json')), false);
});

test('rollback: a serial that is not there, another content in the checkout', async () => {
  using made = await publishedTeam();
  const back = ['policy', 'rollback', '--repo', made.repo, '--out', made.path('back.json'), '--to'];
  const absent = await run(...back, '7');
  assert.equal(absent.status, 1);
  assert.match(absent.stderr, /the repository has no bundle 7\nnext: name one of 1/);
  const other = made.policy(9, { models: [], advisories: [], note: 'other' });
  assert.notEqual((await run(...back, '1', '--source', other)).status, 0);
  const ready = await report(...back, '1', '--source', made.policy(1), '--expires', '30d');
  assert.equal(ready['contentOf'], 1);
  assert.equal(ready['document'], 'bundle production#2');
});

test('verify: what holds, what does not, and under which root', async () => {
  using made = await publishedTeam();
  const bundle = made.path('1.json');
  const root = ['--root', made.path('root-1.json')];
  assert.equal(
    (await run('policy', 'verify', bundle, made.path('repo/timestamp.json'), ...root)).status,
    0,
  );
  await sign(made, made.policy(2));
  const { status, stdout } = await run('policy', 'verify', made.path('out.json'), ...root);
  assert.equal(status, 1);
  assert.match(stdout, /^REFUSED {2}bundle production#2$/m);
  assert.match(stdout, /publication\.threshold: policy: 1 of 2/);
  assert.equal((await run('policy', 'verify', made.path('absent.json'), ...root)).status, 3);
  assert.equal((await run('policy', 'verify', bundle)).status, 2);
});

test('a release that two have to sign is passed on', async () => {
  using made = await team();
  const root = made.path('strict.json');
  const people = 'alice,bob,carol';
  const previous = made.path('root-1.json');
  const role = ['--role', `release=2:${people}`];
  await done('policy', 'root', 'rotate', previous, ...role, '--out', root);
  for (const name of ['alice', 'bob']) {
    await done('policy', 'root', 'sign', root, '--as', made.key(name), '--previous', previous);
  }
  await done('policy', 'publish', '--repo', made.repo, root);
  const bundle = await made.bundle(1);
  const publish = ['policy', 'publish', '--repo', made.repo];
  const alone = await run(...publish, '--bundle', bundle, '--as', made.key('alice'));
  assert.equal(alone.status, 1);
  assert.match(alone.stderr, /release: 1 of 2 needed \(alice\).*\nnext: .*--out FILE/);
  const draft = made.path('release.json');
  const passed = await run(
    ...publish,
    '--bundle',
    bundle,
    '--as',
    made.key('alice'),
    '--out',
    draft,
  );
  assert.equal(passed.status, 1);
  assert.match(passed.stdout, /^NOT published/);
  await done('policy', 'sign', draft, '--as', made.key('bob'), '--repo', made.repo);
  const { stdout } = await done(...publish, draft, bundle);
  assert.match(stdout, /in force {5}serial 1/);
  const late = made.path('late.json');
  writeFileSync(late, readFileSync(draft));
  await done(
    ...publish,
    '--bundle',
    await made.bundle(2),
    '--as',
    made.key('alice'),
    '--as',
    made.key('bob'),
  );
  const stale = await run('policy', 'sign', late, '--as', made.key('carol'), '--repo', made.repo);
  assert.match(stale.stderr, /has number 1, and the repository has 2 already/);
});

test('the expiry of a policy is seen before it comes', async () => {
  using made = await team();
  const nowMs = Math.floor(systemClock() / 1000) * 1000;
  const expires = formatInstant(nowMs + 5 * DAY_MS);
  const bundle = await made.bundle(1, { expires });
  await done('policy', 'publish', '--repo', made.repo, '--bundle', bundle, '--as', made.key('bob'));
  const { status, stdout } = await run('policy', 'status', '--repo', made.repo);
  assert.equal(status, 1);
  assert.match(stdout, /PROBLEM {2}production#1 expires in 4 days/);
});
