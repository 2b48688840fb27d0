/** The gateway as a process: what its operator and its supervisor get to see. @module */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { sha256 } from '#primitives';
import { utf8 } from '../../core/bytes.ts';
import { labConfig, writePolicy } from '../support/gateway-lab.ts';
import { Publisher } from '../support/publisher.ts';
import { startService } from '../support/deploy/service.ts';

const MAIN = 'gateway/main.ts';

/** The configuration of a gateway that would start, changed. */
function configFile(context: TestContext, changes: object): string {
  const dir = mkdtempSync(join(tmpdir(), 'veilgate-main-'));
  context.after(() => rmSync(dir, { recursive: true }));
  const config = labConfig(dir, writePolicy(dir, sha256(utf8('a root'))));
  const path = join(dir, 'gateway.json');
  writeFileSync(path, JSON.stringify({ ...config, ...changes }));
  return path;
}

async function listening(
  context: TestContext,
): Promise<{ readonly port: number; readonly met: Promise<unknown> }> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  context.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  return { port: address.port, met: once(server, 'connection') };
}

test('it says once who it is and where it listens, and ends on SIGTERM with status 0', async (context) => {
  await using gateway = startService([MAIN, '--config', configFile(context, {})]);
  const line = await gateway.firstLine;
  assert.match(line, /^\{"aud":"gw1\.[\w-]{43}",.*"httpPort":\d+/);
  gateway.child.kill('SIGTERM');
  const { status, stdout, stderr } = await gateway.ended;
  assert.equal(status, 0);
  assert.equal(stdout, `${line}\n`);
  assert.match(stderr, /"event":"gateway.stopped"/);
});

test('a port that is taken ends it with status 1 and a line that names the address', async (context) => {
  const { port } = await listening(context);
  const listen = { httpPort: port, httpsPort: null };
  await using gateway = startService([MAIN, '--config', configFile(context, { listen })]);
  const { status, stdout, stderr } = await gateway.ended;
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.ok(stderr.endsWith(`could not start (EADDRINUSE listen 127.0.0.1:${port})\n`), stderr);
});

test('asked to end while it still starts, it ends with status 0', async (context) => {
  // Takes the connection and never answers: the gateway waits for its policy.
  const { port, met } = await listening(context);
  const dir = mkdtempSync(join(tmpdir(), 'veilgate-main-'));
  context.after(() => rmSync(dir, { recursive: true }));
  const { rootFile } = new Publisher(dir, [sha256(utf8('a root'))]);
  const publication = { rootFile, url: `http://127.0.0.1:${port}`, allowDevelopment: true };
  const path = configFile(context, { policyFile: null, publication });
  await using gateway = startService([MAIN, '--config', path]);
  await met;
  gateway.child.kill('SIGTERM');
  const { status, stdout } = await gateway.ended;
  assert.equal(status, 0);
  assert.equal(stdout, '');
});

test('a mode that this program has not refuses to start', async (context) => {
  const path = configFile(context, { plaintext: 'operator-can-read' });
  await using gateway = startService([MAIN, '--config', path]);
  const { status, stderr } = await gateway.ended;
  assert.equal(status, 1);
  assert.match(stderr, /^gateway\.config: plaintext: /);
});

test('--check-config prints what would run and opens nothing', async (context) => {
  const { port } = await listening(context);
  const listen = { httpPort: port, httpsPort: null };
  const path = configFile(context, { listen });
  await using gateway = startService([MAIN, '--config', path, '--check-config']);
  const { status, stdout, stderr } = await gateway.ended;
  assert.equal(status, 0, stderr);
  assert.match(stdout, new RegExp(`"httpPort": ${port}`));
});

/** Loaded before the program: throws as soon as somebody would hear of it. */
const THROWS = `data:text/javascript,${encodeURIComponent(`process.on('newListener', (name) => {
  if (name === 'uncaughtException') setImmediate(() => { throw new Error('a prompt'); });
});`)}`;

test('a foreign error that escapes ends it with status 1 and none of its words', async (context) => {
  const path = configFile(context, {});
  await using gateway = startService(['--import', THROWS, MAIN, '--config', path]);
  const { status, stderr } = await gateway.ended;
  assert.equal(status, 1);
  assert.match(stderr, /the gateway failed: internal\.invariant\n$/);
  assert.doesNotMatch(stderr, /a prompt/);
});

for (const main of [MAIN, 'enclave-worker/main.ts']) {
  test(`${main} --help explains itself`, async () => {
    await using service = startService([main, '--help']);
    const { status, stdout, stderr } = await service.ended;
    assert.deepEqual([status, stderr], [0, '']);
    for (const part of [
      `usage: node ${main} --config FILE`,
      '--check-config',
      'SIGTERM',
      'Exit status',
    ]) {
      assert.ok(stdout.includes(part), part);
    }
  });

  test(`${main} ends with status 2 for a command line that is none`, async () => {
    await using service = startService([main, '--confg', 'x']);
    const { status, stdout, stderr } = await service.ended;
    assert.deepEqual([status, stdout], [2, '']);
    assert.equal(stderr, `usage: node ${main} --config FILE [--check-config]\n`);
  });
}

test('a worker that nobody configures says how it is started', async () => {
  await using worker = startService(['enclave-worker/main.ts']);
  const { status, stderr } = await worker.ended;
  assert.equal(status, 2);
  assert.equal(stderr, 'usage: node enclave-worker/main.ts --config FILE [--check-config]\n');
});
