/** `veilgate trial`: each party has what it needs and nobody else's secrets, and writing it again loses no name. @module */

import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseCard } from '../../attestation/card.ts';
import { openPublication } from '../../attestation/publication/open.ts';
import { systemClock } from '../../core/clock.ts';
import { loadConfig } from '../../core/node/config.ts';
import { writeTrial, type TrialFacts } from '../../cli/trial/write-trial.ts';
import { WORKER_CONFIG } from '../../enclave-worker/config.ts';
import { loadGatewayConfig } from '../../gateway/config.ts';
import { startService } from '../support/deploy/service.ts';

function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-trial-'));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

function write(directory: string, more: Partial<Record<'gateway' | 'owner', string>> = {}) {
  return writeTrial({
    directory,
    gateway: new URL(more.gateway ?? 'https://gateway:8443'),
    owner: new URL(more.owner ?? 'https://owner:8790'),
    worker: new URL('https://worker:8444'),
    now: systemClock,
  });
}

const workerOf = ({ worker }: TrialFacts) =>
  loadConfig(WORKER_CONFIG, { part: 'worker', filePath: worker.config, environment: {} });

test('gateway and worker take what is written for them, and it fits together', async (context) => {
  const facts = await write(temporaryFolder(context));
  const gateway = loadGatewayConfig({ filePath: facts.gateway.config, environment: {} });
  assert.equal(gateway.plaintext, 'refuse');
  assert.equal(gateway.listen.httpPort, null);
  assert.equal(gateway.listen.host, '0.0.0.0');
  assert.deepEqual(gateway.listen.baseUrls, ['https://gateway:8443']);
  assert.equal(gateway.publication?.directory, facts.team.published);
  const worker = workerOf(facts);
  assert.equal(worker.gateway.aud, facts.aud);
  assert.equal(worker.gateway.tlsSpkiSha256?.length, 1);
  assert.ok(worker.owner?.tlsSpkiSha256 !== undefined);
  assert.equal(worker.listen.endpoint, 'https://worker:8444');
  const card = readFileSync(worker.cardFile ?? '');
  assert.deepEqual(card, readFileSync(facts.owner.card));
  assert.equal(parseCard(card).prices.completion, 0n);
  assert.equal(readFileSync(facts.owner.gateways, 'utf8'), `${facts.aud}\n`);
});

test('on loopback nothing listens to the network, and the owner speaks clear text', async (context) => {
  const places = { gateway: 'https://127.0.0.1:1', owner: 'http://127.0.0.1:2' };
  const facts = await write(temporaryFolder(context), places);
  const gateway = loadGatewayConfig({ filePath: facts.gateway.config, environment: {} });
  assert.equal(gateway.listen.host, '127.0.0.1');
  assert.equal(workerOf(facts).owner?.tlsSpkiSha256, undefined);
});

test('every file but what is published is its owner’s alone, and secrets are where they belong', async (context) => {
  const folder = temporaryFolder(context);
  await write(folder);
  const files = globSync('**', { cwd: folder, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1));
  for (const path of files.filter((one) => !one.startsWith('team/published/'))) {
    assert.equal(statSync(join(folder, path)).mode & 0o077, 0, path);
  }
  const secrets = files.filter((path) => /\.(key|pkcs8)$|token$/.test(path));
  assert.deepEqual(
    secrets.filter((path) => !/^(team\/keys|gateway\/data|owner\/keys)\//.test(path)).sort(),
    [
      'timestamp/timestamp.key',
      ...secrets.filter((path) => path.startsWith('worker/pki/')),
      'worker/token',
    ].sort(),
  );
  assert.deepEqual(files.filter((path) => path.startsWith('app/')).sort(), [
    'app/gateway.crt',
    'app/root.json',
  ]);
});

test('written again, names stay and the policy is the next one, under the same root', async (context) => {
  const folder = temporaryFolder(context);
  const first = await write(folder);
  const pinnedRoot = readFileSync(first.app.root);
  const pin = workerOf(first).gateway.tlsSpkiSha256;
  const second = await write(folder);
  assert.deepEqual(second, first);
  assert.deepEqual(readFileSync(second.app.root), pinnedRoot);
  assert.deepEqual(workerOf(second).gateway.tlsSpkiSha256, pin);
  assert.deepEqual(globSync('*.json', { cwd: join(second.team.published, 'bundles') }).sort(), [
    '1.json',
    '2.json',
  ]);
  assert.equal(
    openPublication({ pinnedRoot, nowMs: systemClock() }).root.payload.policy,
    'development',
  );
});

test('the command says what to run, and refuses what is no origin', async (context) => {
  const folder = temporaryFolder(context);
  await using said = startService(['cli/veilgate.ts', 'trial', folder]);
  const { status, stdout } = await said.ended;
  assert.equal(status, 0);
  for (const part of [
    'revoke timestamp',
    'owner serve',
    'gateway/main.ts',
    'enclave-worker/main.ts',
    'deploy/ask.mjs',
  ]) {
    assert.ok(stdout.includes(part), part);
  }
  for (const option of [
    '--gateway=http://gateway:1',
    '--worker=https://worker/x',
    '--owner=owner:1',
  ]) {
    await using refused = startService(['cli/veilgate.ts', 'trial', join(folder, 'x'), option]);
    const ended = await refused.ended;
    assert.equal(ended.status, 1, option);
    assert.match(ended.stderr, /^veilgate: cli\.option: --(gateway|worker|owner) takes https?:/);
  }
});

test('the owner signs for the gateways of a file, and for nobody when it names none', async (context) => {
  const facts = await write(temporaryFolder(context));
  const { directory, card, gateways } = facts.owner;
  const serve = (list: string) =>
    startService([
      'cli/veilgate.ts',
      'owner',
      'serve',
      directory,
      '--card',
      card,
      '--gateway',
      list,
      '--listen',
      '127.0.0.1:0',
      '--json',
    ]);
  await using serving = serve(gateways);
  assert.match(await serving.firstLine, /"url":"http:\/\/127\.0\.0\.1:\d+"/);
  for (const list of [card, '/dev/null', 'gw1.short']) {
    await using refused = serve(list);
    const { status, stderr } = await refused.ended;
    assert.equal(status, 1, list);
    assert.match(stderr, /cli\.(option|file)/, list);
  }
});
