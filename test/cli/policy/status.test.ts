/** `veilgate policy status`: what people see first when something is wrong. @module */

import assert from 'node:assert/strict';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { test } from 'node:test';
import { done, report, run } from '../../support/commands.ts';
import { publishedTeam, team } from '../../support/policy-team.ts';

interface FakeGateway extends AsyncDisposable {
  readonly url: string;
  readonly say: (revocations: number) => void;
  readonly complain: () => void;
}

/** The admin listener of a gateway, as far as `GET /policy`. */
async function fakeGateway(): Promise<FakeGateway> {
  let revocations = 0;
  let isWrong = false;
  const server: Server = createServer((request, response) => {
    const publication = { root: 1, release: 1, revocations, timestamp: '2026-11-26T00:00:00Z' };
    const policy = { name: 'production', serial: 1, digest: 'sha256:00' };
    response.writeHead(request.url === '/policy' ? 200 : 404);
    const since = '2026-11-26T00:00:00Z';
    const troubles = [{ what: 'release', code: 'publication.rollback', since }];
    const wrong = isWrong ? { stale: 'behind', troubles } : { stale: null, troubles: [] };
    response.end(JSON.stringify({ policy, publication, ...wrong, more: true }));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    say: (number) => {
      revocations = number;
    },
    complain: () => {
      isWrong = true;
    },
    [Symbol.asyncDispose]: async () => {
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

test('all is well, and each thing that is not', async () => {
  using made = await publishedTeam();
  const status = ['policy', 'status', '--repo', made.repo];
  assert.match((await done(...status)).stdout, /all is well/);
  const timestamp = readFileSync(made.path('repo/timestamp.json'));
  rmSync(made.path('repo/timestamp.json'));
  assert.match((await run(...status)).stdout, /gateways admit nobody: there is no timestamp/);
  writeFileSync(made.path('repo/timestamp.json'), timestamp);
  const release = readFileSync(made.path('repo/release.json'), 'utf8');
  writeFileSync(made.path('repo/release.json'), release.replace(/"sig": "...../, '"sig": "AAAAA'));
  const broken = await run(...status);
  assert.equal(broken.status, 1);
  assert.match(broken.stdout, /readers refuse the release: publication\.signature/);
  const wrong = await run('policy', 'status', '--repo', made.path('nowhere'));
  assert.equal(wrong.status, 3);
  assert.match(wrong.stderr, /holds no root\/1\.json, so it is no repository\nnext: /);
});

test('an empty repository says what comes next', async () => {
  using made = await team();
  const { status, stdout } = await run('policy', 'status', '--repo', made.repo);
  assert.equal(status, 1);
  assert.match(
    stdout,
    /no policy is in force: gateways admit nobody\n {2}next {3}veilgate policy publish/,
  );
});

test('a gateway that has caught up, and one that has not', async () => {
  using made = await publishedTeam();
  await using gateway = await fakeGateway();
  const status = ['policy', 'status', '--repo', made.repo, '--gateway', gateway.url];
  const behind = await report(...status);
  assert.equal(behind['exit'], 1);
  gateway.say(1);
  assert.equal((await report(...status))['exit'], 0);
  gateway.complain();
  const { stdout } = await run(...status);
  assert.match(stdout, /PROBLEM +the gateway admits nobody: behind/);
  assert.match(stdout, /the gateway has trouble with release since .*: publication\.rollback/);
  const elsewhere = await run(
    'policy',
    'status',
    '--repo',
    made.repo,
    '--gateway',
    'http://example.org',
  );
  assert.equal(elsewhere.status, 2);
});

test('revoke waits until the gateway has the number', async () => {
  using made = await publishedTeam();
  await using gateway = await fakeGateway();
  gateway.say(2);
  const { stdout } = await done(
    'revoke',
    'add',
    'image',
    'test-image',
    '--repo',
    made.repo,
    '--as',
    made.key('bob'),
    '--reason',
    'leaked',
    '--wait',
    gateway.url,
  );
  assert.match(stdout, /gateway {2}has it, after \d+ ms/);
});

test('a policy in force that was revoked is not well', async () => {
  using made = await publishedTeam();
  const revoke = ['--repo', made.repo, '--as', made.key('bob'), '--reason', 'wrong image'];
  await done('revoke', 'add', 'policy', '1', ...revoke);
  await done('revoke', 'timestamp', '--once', '--repo', made.repo, '--as', made.key('server'));
  const { status, stdout } = await run('policy', 'status', '--repo', made.repo);
  assert.equal(status, 1);
  assert.match(
    stdout,
    /PROBLEM {2}production#1 is revoked by bob \(wrong image\): gateways admit nobody/,
  );
});
