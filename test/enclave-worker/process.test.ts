/** The worker as a process: configured and signed for over IPC, drained by a signal, silent but for its log. @module */

import assert from 'node:assert/strict';
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { toHex, utf8 } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { parseJson } from '../../core/json.ts';
import { workerIdOf } from '../../attestation/card.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { channelTo } from '../../enclave-worker/ipc.ts';
import { openOwnerAgent } from '../../enclave-worker/owner-agent.ts';
import { localOwnerSigner, serveOwner } from '../../enclave-worker/owner.ts';
import { startTestGateway } from './gateway-fixture.ts';
import { workerSetup } from './worker-fixture.ts';

const MAIN = fileURLToPath(new URL('../../enclave-worker/main.ts', import.meta.url));

const READY = z.strictObject({
  kind: z.literal('ready'),
  workerId: z.string(),
  pid: z.int(),
  endpoint: z.string(),
});

const LOG_LINE = z.looseObject({ part: z.literal('worker'), event: z.string() });

function launch(): { readonly child: ChildProcess; readonly output: Promise<readonly string[]> } {
  const child = fork(MAIN, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: {} });
  assert.ok(child.stdout !== null && child.stderr !== null);
  return { child, output: Promise.all([text(child.stdout), text(child.stderr)]) };
}

test('a worker process says when it is ready, drains on SIGTERM and prints only log events', async () => {
  const setup = await workerSetup();
  const simulator = await createSimulator({ pkiDir: setup.pkiDir });
  const gateway = await startTestGateway(simulator.rootSha256(), systemClock);
  const { child, output } = launch();
  try {
    serveOwner(channelTo(child), localOwnerSigner(setup.owner.secretKey, setup.cardBytes));
    const ready = new Promise<z.infer<typeof READY>>((resolve, reject) => {
      child.once('exit', (status) => reject(new Error(`ended with ${status} before it was ready`)));
      child.on('message', (message) => {
        const decoded = READY.safeParse(message);
        if (decoded.success) resolve(decoded.data);
      });
    });
    child.send({ kind: 'config', config: setup.config(gateway) });
    const { workerId, pid, endpoint } = await ready;
    assert.equal(workerId, toHex(workerIdOf(setup.owner.publicKey)));
    assert.equal(pid, child.pid);
    assert.equal(gateway.registrations.at(-1)?.endpoint, endpoint);
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
    assert.equal(gateway.left.length, 1);
    const [out = '', err = ''] = await output;
    assert.equal(out, '');
    const events = err
      .trim()
      .split('\n')
      .map((line) => LOG_LINE.parse(parseJson(utf8(line), 10_000)).event);
    assert.deepEqual(events, [
      'worker.evidence',
      'worker.started',
      'worker.registered',
      'worker.closing',
      'worker.closed',
    ]);
  } finally {
    child.kill('SIGKILL');
    await gateway.close();
    await rm(setup.dir, { recursive: true, force: true });
  }
});

test('a worker that nobody started over IPC takes a file, and its owner signs elsewhere', async () => {
  const setup = await workerSetup();
  const simulator = await createSimulator({ pkiDir: setup.pkiDir });
  const gateway = await startTestGateway(simulator.rootSha256(), systemClock);
  const tokenFile = join(setup.dir, 'token');
  const configFile = join(setup.dir, 'worker.json');
  await writeFile(tokenFile, 'the-token\n');
  const agent = await openOwnerAgent({
    signer: localOwnerSigner(setup.owner.secretKey, setup.cardBytes),
    token: 'the-token',
    host: '127.0.0.1',
    port: 0,
    onRequest: () => undefined,
  });
  const owner = { url: `http://127.0.0.1:${agent.port}`, tokenFile };
  const own = setup.config(gateway);
  // As the page about workers writes it: from where the worker was started.
  const engine = { modelPath: relative(process.cwd(), own.engine.modelPath ?? '') };
  await writeFile(configFile, JSON.stringify({ ...own, engine, owner }));
  const child = spawn(process.execPath, [MAIN, '--config', configFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {},
  });
  const errors = text(child.stderr);
  try {
    while (gateway.registrations.length === 0) {
      assert.equal(child.exitCode, null);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0, await errors);
    assert.equal(gateway.left.length, 1);
  } finally {
    child.kill('SIGKILL');
    await agent.close();
    await gateway.close();
    await rm(setup.dir, { recursive: true, force: true });
  }
});

test('a worker with a file and no owner says what is missing', async () => {
  const setup = await workerSetup();
  const configFile = join(setup.dir, 'worker.json');
  const gateway = { url: 'http://127.0.0.1:1', aud: `gw1.${'A'.repeat(43)}` };
  await writeFile(configFile, JSON.stringify(setup.config(gateway)));
  const child = spawn(process.execPath, [MAIN, '--config', configFile], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {},
  });
  const errors = text(child.stderr);
  const [code] = await once(child, 'exit');
  assert.equal(code, 1);
  assert.match(await errors, /worker\.config: owner/);
  await rm(setup.dir, { recursive: true });
});

test('a worker that is called in a way it does not know says how it is called', async () => {
  const child = spawn(process.execPath, [MAIN, '--oops'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {},
  });
  const errors = text(child.stderr);
  const [code] = await once(child, 'exit');
  assert.equal(code, 2);
  assert.match(await errors, /^usage: .*--config FILE/);
});

test('a worker that is killed leaves neither its engine nor its copy of the model behind', async () => {
  const setup = await workerSetup();
  const simulator = await createSimulator({ pkiDir: setup.pkiDir });
  const gateway = await startTestGateway(simulator.rootSha256(), systemClock);
  const copyRoot = join(setup.dir, 'copies');
  await mkdir(copyRoot);
  const { child } = launch();
  try {
    serveOwner(channelTo(child), localOwnerSigner(setup.owner.secretKey, setup.cardBytes));
    const own = setup.config(gateway);
    const exit = once(child, 'exit');
    child.send({ kind: 'config', config: { ...own, engine: { ...own.engine, copyRoot } } });
    while (gateway.registrations.length === 0) {
      assert.equal(child.exitCode, null);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.equal((await readdir(copyRoot)).length, 1);
    child.kill('SIGKILL');
    await exit;
    while ((await readdir(copyRoot)).length > 0) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  } finally {
    child.kill('SIGKILL');
    await gateway.close();
    await rm(setup.dir, { recursive: true, force: true });
  }
});

test('a worker process with a bad configuration ends with its code in the log', async () => {
  const { child, output } = launch();
  child.send({ kind: 'config', config: { surprise: true } });
  const [code] = await once(child, 'exit');
  assert.equal(code, 1);
  const [out, err = ''] = await output;
  assert.equal(out, '');
  assert.match(err, /"event":"worker\.failed","code":"config\.invalid"/);
});

test('a worker process without the machine that it was told of ends with that in the log', async () => {
  const setup = await workerSetup();
  const { child, output } = launch();
  const evidence = { provider: 'dstack', socketPath: join(setup.dir, 'no.sock') };
  const gateway = { url: 'http://127.0.0.1:1', aud: `gw1.${'A'.repeat(43)}` };
  child.send({ kind: 'config', config: { ...setup.config(gateway), evidence } });
  const [code] = await once(child, 'exit');
  assert.equal(code, 1);
  const [, err = ''] = await output;
  assert.match(err, /"event":"worker\.failed","code":"evidence\.unavailable"/);
  await rm(setup.dir, { recursive: true });
});

test('an error that nobody caught ends the process without its words', async () => {
  const error = "new Error('what was asked')";
  for (const act of [`throw ${error}`, `void Promise.reject(${error})`]) {
    const trap = `const t = setInterval(() => {
      if (process.listenerCount('uncaughtException') === 0) return;
      clearInterval(t);
      ${act};
    }, 20)`;
    const child = fork(MAIN, {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: {},
      execArgv: ['--import', `data:text/javascript,${encodeURIComponent(trap)}`],
    });
    assert.ok(child.stderr !== null);
    const errors = text(child.stderr);
    const [status] = await once(child, 'exit');
    assert.equal(status, 1);
    assert.doesNotMatch(await errors, /what was asked/);
    assert.match(await errors, /"event":"worker\.failed"/);
  }
});

test('a worker process that loses its parent ends', async () => {
  const { child, output } = launch();
  const exit = once(child, 'exit');
  child.disconnect();
  const [code] = await exit;
  assert.equal(code, 1);
  const [, err = ''] = await output;
  assert.match(err, /^\{.*"event":"worker\.failed","code":"worker\.(closed|config)"\}\n$/);
});
