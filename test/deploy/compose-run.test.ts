/**
 * The trial of deploy/compose.yaml without an engine: its services as processes of this machine, with the words, in the order and
 * behind the health checks that stand there, until the app prints an answer. Names become loopback, volumes one folder. What
 * this does not show is what an engine adds: images, isolation, mounts. @module
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseJson } from '../../core/json.ts';
import {
  mountsOf,
  parseCompose,
  type Compose,
  type ComposeService,
} from '../support/deploy/compose.ts';
import { chainOf, execForm, parseDockerfile } from '../support/deploy/dockerfile.ts';
import { pathsIn } from '../support/deploy/example-paths.ts';
import {
  SERVING_LONGEST_MS,
  startService,
  type Ended,
  type Service,
} from '../support/deploy/service.ts';
import { until } from '../support/until.ts';

const COMPOSE: Compose = parseCompose(readFileSync('deploy/compose.yaml', 'utf8'));
const DOCKERFILE = parseDockerfile(readFileSync('deploy/Dockerfile', 'utf8'));
const CONFIG_MAX_BYTES = 65_536;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

function serviceOf(name: string): ComposeService {
  const service = COMPOSE.services[name];
  assert.ok(service !== undefined, name);
  return service;
}

/** What the engine would start: the image's words where the file has none of its own. */
function programOf({ entrypoint, command, build }: ComposeService): readonly string[] {
  const chain = chainOf(DOCKERFILE, build.target);
  const ofImage = (word: string): readonly string[] =>
    execForm(chain.findLast((one) => one.word === word)?.rest ?? '') ?? [];
  return [...(entrypoint ?? ofImage('ENTRYPOINT')), ...(command ?? ofImage('CMD'))];
}

test('setup, timestamper, owner, gateway, worker and app, as they stand there, come to an answer', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'veilgate-compose-'));
  context.after(() => rmSync(folder, { recursive: true }));
  const [gateway, owner, worker] = [await freePort(), await freePort(), await freePort()];
  // The owner's service speaks clear text on loopback and TLS anywhere else.
  const places: readonly (readonly [string, string])[] = [
    ['/trial', folder],
    ['https://gateway:8443', `https://127.0.0.1:${gateway}`],
    ['https://127.0.0.1:8443', `https://127.0.0.1:${gateway}`],
    ['https://owner:8790', `http://127.0.0.1:${owner}`],
    ['https://127.0.0.1:8790', `http://127.0.0.1:${owner}`],
    ['0.0.0.0:8790', `127.0.0.1:${owner}`],
    ['https://worker:8444', `https://127.0.0.1:${worker}`],
  ];
  const here = (text: string): string =>
    places.reduce((out, [there, place]) => out.replaceAll(there, place), text);
  const start = (name: string): Service => {
    const service = serviceOf(name);
    const [program, ...words] = programOf(service);
    assert.equal(program, 'node');
    const env = Object.entries(service.environment).map(([key, value]) => [key, here(value)]);
    return startService(words.map(here), {
      env: Object.fromEntries(env),
      // The first of them serve until all is over.
      longestMs: SERVING_LONGEST_MS,
    });
  };
  const isHealthy = async (name: string): Promise<boolean> => {
    const [kind, program, ...words] = serviceOf(name).healthcheck.test;
    assert.deepEqual([kind, program], ['CMD', 'node']);
    await using check = startService(words.map(here));
    return (await check.ended).status === 0;
  };

  await using stack = new AsyncDisposableStack();
  const running = new Map<string, Service>();
  const finished = new Map<string, Ended>();
  /** What it waits for first, as the engine does. */
  const bring = async (name: string): Promise<void> => {
    if (running.has(name)) return;
    for (const [other, { condition }] of Object.entries(serviceOf(name).depends_on)) {
      await bring(other);
      if (condition === 'service_healthy') await until(() => isHealthy(other));
      else finished.set(other, await (running.get(other)?.ended ?? assert.fail(other)));
      const ended = finished.get(other);
      if (ended !== undefined) assert.equal(ended.status, 0, ended.stderr);
    }
    running.set(name, stack.use(start(name)));
  };
  await bring('ask');

  const answer = await (running.get('ask')?.ended ?? assert.fail());
  assert.equal(answer.status, 0, answer.stderr);
  assert.match(answer.stdout, /Remote attestation is/);
  assert.match(answer.stderr, /^end-to-end, by a simulated machine, worker [0-9a-f]{64}$/m);

  // In the containers each sees its own volumes alone.
  for (const [name, file] of [
    ['gateway', 'gateway.json'],
    ['worker', 'worker.json'],
  ] as const) {
    const config = parseJson(readFileSync(join(folder, name, file)), CONFIG_MAX_BYTES);
    for (const path of pathsIn(config).filter((one) => one.startsWith(folder))) {
      const mounts = mountsOf(serviceOf(name)).map(({ at }) => here(at));
      assert.ok(
        mounts.some((at) => path.startsWith(`${at}/`) || path === at),
        `${name}: ${path}`,
      );
    }
  }

  for (const name of ['worker', 'gateway', 'owner', 'timestamper']) {
    const service = running.get(name) ?? assert.fail(name);
    service.child.kill('SIGTERM');
    assert.equal((await service.ended).status, 0, name);
  }
});
