/** `veilgate revoke`: one person, seconds; no way to believe that something was revoked when nothing was. @module */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { done, report, run } from '../support/commands.ts';
import { publishedTeam, type Team } from '../support/policy-team.ts';

const PPID = '00112233445566778899aabbccddeeff';

async function add({ repo, key }: Team, kind: string, value: string, ...more: readonly string[]) {
  const as = more.includes('--as') ? [] : ['--as', key('carol')];
  return run(
    'revoke',
    'add',
    kind,
    value,
    '--repo',
    repo,
    '--reason',
    'incident 214',
    ...as,
    ...more,
  );
}

test('a value is taken in the form in which it is looked up', async () => {
  using made = await publishedTeam();
  const said = await add(made, 'cpu', `0x${PPID.toUpperCase()}`, '--by', 'soc@example.org');
  assert.equal(said.status, 0, said.stderr);
  assert.match(said.stdout, new RegExp(`revoked {2}cpu ${PPID}\nsince {4}20`));
  assert.match(said.stdout, /by {7}soc@example\.org/);
  const policy = await add(made, 'policy', '1');
  assert.match(policy.stdout, /revoked {2}policy sha256:[0-9a-f]{64}/);
  assert.match(
    policy.stdout,
    /WARNING {2}this is production#1, in force: nobody is admitted any more/,
  );
  const gpu = await add(made, 'driver', '570.172.08');
  assert.match(gpu.stdout, /WARNING {2}driver is kept in the list but not judged yet/);
});

test('what would take nothing away is refused', async () => {
  using made = await publishedTeam();
  const cases: readonly (readonly [string, string, number, RegExp])[] = [
    ['cpu', '0011', 2, /takes 32 hex digits \(PPID of TDX\) or 128 .*these are 4 digits/],
    ['measurement', PPID, 2, /takes 96 hex digits/],
    ['policy', 'production', 2, /takes sha256: and 64 hex digits, or the serial/],
    ['policy', '9', 2, /the repository has no bundle 9/],
    ['imagee', 'test-image', 2, /KIND is one of .*did you mean image\?/],
    [
      'image',
      'test-imag',
      1,
      /no published policy has the image test-imag.*\nnext: did you mean test-image\?/,
    ],
    ['rule', 'nothing', 1, /so revoking it would take nothing away/],
  ];
  for (const [kind, value, status, message] of cases) {
    const ran = await add(made, kind, value);
    assert.equal(ran.status, status, ran.stdout);
    assert.match(ran.stderr, message);
  }
  assert.equal((await report('revoke', 'list', '--repo', made.repo))['number'], 1);
  assert.equal((await add(made, 'image', 'to-come', '--unknown')).status, 0);
});

test('twice, without the role, without a reason', async () => {
  using made = await publishedTeam();
  await add(made, 'image', 'test-image');
  const twice = await add(made, 'image', 'test-image');
  assert.equal(twice.status, 1);
  assert.match(
    twice.stderr,
    /it is revoked already, since .* by carol: incident 214\nnext: nothing/,
  );
  const stranger = await add(made, 'cpu', PPID, '--as', made.key('dave'));
  assert.equal(stranger.status, 1);
  assert.match(
    stranger.stderr,
    /is in no role of the root\nnext: ask one of revocation \(alice, bob, carol\)/,
  );
  assert.equal((await add(made, 'cpu', PPID, '--reason', ' ')).status, 2);
  assert.equal((await run('revoke', 'add', 'cpu', PPID, '--repo', made.repo)).status, 2);
});

test('giving back needs those who give', async () => {
  using made = await publishedTeam();
  await add(made, 'image', 'test-image');
  const remove = ['revoke', 'remove', 'image', 'test-image', '--repo', made.repo];
  const alone = await run(...remove, '--as', made.key('carol'));
  assert.equal(alone.status, 1);
  assert.match(alone.stderr, /policy: 1 of 2 needed \(carol\); 1 more of alice, bob/);
  const draft = made.path('list.json');
  assert.equal((await run(...remove, '--as', made.key('carol'), '--out', draft)).status, 1);
  const early = await run('policy', 'publish', '--repo', made.repo, draft);
  assert.match(
    early.stderr,
    /publication\.revocation_withdrawn.*\nnext: giving back needs the role policy/,
  );
  const signed = await done(
    'policy',
    'sign',
    draft,
    '--as',
    made.key('alice'),
    '--repo',
    made.repo,
  );
  assert.match(signed.stdout, /- TRUSTED AGAIN: image test-image/);
  await done('policy', 'publish', '--repo', made.repo, draft);
  assert.deepEqual((await report('revoke', 'list', '--repo', made.repo))['entries'], []);
  const again = await run(...remove, '--as', made.key('alice'), '--as', made.key('bob'));
  assert.match(again.stderr, /image test-image is not revoked\nnext: veilgate revoke list/);
});

test('the list: the newest first, who, why, when; also of a file', async () => {
  using made = await publishedTeam();
  await add(made, 'image', 'test-image');
  await add(made, 'cpu', PPID);
  const { stdout } = await done('revoke', 'list', '--repo', made.repo);
  assert.match(stdout, /^list 3 of production, 2 entries, /);
  assert.match(stdout, /Z {2}image +test-image +carol +incident 214$/m);
  const file = await done('revoke', 'list', made.path('repo/revocations.json'));
  assert.match(file.stdout, /\(signatures not checked\)/);
  assert.equal((await run('revoke', 'list')).status, 2);
});

test('nothing is revoked over a list that cannot be believed', async () => {
  using made = await publishedTeam();
  await add(made, 'image', 'test-image');
  const path = made.path('repo/revocations.json');
  writeFileSync(path, readFileSync(path, 'utf8').replace(/"sig": "...../, '"sig": "AAAAA'));
  const ran = await add(made, 'cpu', PPID);
  assert.equal(ran.status, 1);
  assert.match(
    ran.stderr,
    /does not verify \(publication\.signature\), so a new one could leave out what it revokes\nnext: restore /,
  );
});

test('timestamp --once: signed, or why not', async () => {
  using made = await publishedTeam();
  const stamp = ['revoke', 'timestamp', '--once', '--repo', made.repo, '--as'];
  const wrong = await run(...stamp, made.key('alice'));
  assert.equal(wrong.status, 1);
  assert.match(wrong.stderr, /publication\.threshold.*\nnext: name a key of the role timestamp/);
  const { stdout } = await done(...stamp, made.key('server'));
  assert.equal(stdout, 'signing release 1, revocations 1\n');
});

test('the service: one line per change, and a clean end', { timeout: 60_000 }, async () => {
  using made = await publishedTeam();
  const service = spawn(
    process.execPath,
    [
      'cli/veilgate.ts',
      'revoke',
      'timestamp',
      '--repo',
      made.repo,
      '--as',
      made.key('server'),
      '--every',
      '1s',
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const lines: string[] = [];
  const reader = createInterface({ input: service.stdout });
  reader.on('line', (line) => lines.push(line));
  const nextLine = async (): Promise<void> => void (await once(reader, 'line'));
  await nextLine();
  const heard = nextLine();
  await add(made, 'image', 'test-image');
  await heard;
  service.kill('SIGTERM');
  const [status] = await once(service, 'close');
  assert.equal(status, 0);
  assert.deepEqual(
    lines.map((line) => line.slice('2026-11-26T00:00:00Z  '.length)),
    ['signing release 1, revocations 1', 'signing release 1, revocations 2'],
  );
  assert.match((await done('policy', 'status', '--repo', made.repo)).stdout, /all is well/);
});
