/** F4: a gateway that is killed and started again forwards no request a second time. @module */

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromUtf8 } from '../../core/bytes.ts';
import { systemClock } from '../../core/clock.ts';
import { createSimulator } from '../../enclave-worker/evidence/simulator/simulator.ts';
import { createApiKey } from '../../gateway/accounts.ts';
import { openSqliteStore } from '../../gateway/store/sqlite.ts';
import { FREE_PRICES, testWorker } from '../support/attested-key.ts';
import { exchange, labConfig, sealFor, writePolicy } from '../support/gateway-lab.ts';
import { startSxWorker } from '../support/sx-worker.ts';

interface Running {
  readonly child: ChildProcess;
  readonly port: number;
  readonly aud: string;
}

function startGateway(configFile: string): Promise<Running> {
  const child = spawn(process.execPath, ['gateway/main.ts', '--config', configFile], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return new Promise((resolve, reject) => {
    child.once('exit', () => reject(new Error('the gateway did not start')));
    child.stdout.once('data', (chunk: Buffer) => {
      const text = chunk.toString('utf8');
      const port = Number(/"httpPort":(\d+)/.exec(text)?.[1]);
      resolve({ child, port, aud: /"aud":"([^"]+)"/.exec(text)?.[1] ?? '' });
    });
  });
}

function killed(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill('SIGKILL');
  });
}

test('after kill -9 the same sealed bytes are a replay, and the identity is the same', async (context) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'veilgate-restart-'));
  context.after(() => rmSync(dataDir, { recursive: true, force: true }));
  const provider = await createSimulator({ pkiDir: join(dataDir, 'pki') });
  const configFile = join(dataDir, 'gateway.json');
  const config = labConfig(dataDir, writePolicy(dataDir, provider.rootSha256()));
  writeFileSync(configFile, JSON.stringify({ ...config, store: { durability: 'full' } }));
  const store = openSqliteStore({ path: join(dataDir, 'gateway.sqlite'), durability: 'full' });
  const { apiKey } = createApiKey(store, 'restart', systemClock());
  store.close();

  const first = await startGateway(configFile);
  context.after(() => first.child.kill('SIGKILL'));
  const worker = await startSxWorker({
    provider,
    aud: first.aud,
    gatewayUrl: `http://127.0.0.1:${first.port}`,
    // Killed while the worker has the request and nothing was answered.
    script: { kind: 'hang' },
  });
  context.after(() => worker.close());
  assert.equal((await worker.register()).status, 200);
  // The gateway needs no key of the client's making to route: the kid of the statement is what it looks at.
  const { key } = testWorker('X-Wing', {
    pair: worker.epoch.recipient,
    statementHash: worker.epoch.statementHash,
    prices: FREE_PRICES,
  });
  const sealed = sealFor(apiKey, [key]);
  const cut = exchange({ port: first.port, apiKey }, sealed.bytes).then(
    (answer) => answer.complete,
    () => false,
  );
  while (worker.seen.count === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await killed(first.child);
  assert.equal(await cut, false);

  const second = await startGateway(configFile);
  context.after(() => killed(second.child));
  assert.equal(second.aud, first.aud);
  const again = await exchange({ port: second.port, apiKey }, sealed.bytes);
  assert.equal(again.status, 409);
  assert.match(fromUtf8(again.body), /sx\.replay/);
  assert.equal(worker.seen.count, 1);
});
