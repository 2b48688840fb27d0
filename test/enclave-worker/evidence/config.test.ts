/** What the worker's configuration can say about evidence, in a file and in the environment. @module */

import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { hasCode } from '../../../core/errors.ts';
import { decodeConfig, loadConfig } from '../../../core/node/config.ts';
import { WORKER_CONFIG, type WorkerConfig } from '../../../enclave-worker/config.ts';
import { thisGuest } from '../../../enclave-worker/evidence/guest.ts';
import { openProvider } from '../../../enclave-worker/evidence/open-provider.ts';
import { workerSetup, type WorkerSetup } from '../worker-fixture.ts';

const GATEWAY = { url: 'http://127.0.0.1:1', aud: `gw1.${'A'.repeat(43)}` };
const CONTEXT = {
  guest: thisGuest,
  signal: new AbortController().signal,
  onFinding: () => undefined,
};

let setup: WorkerSetup;
before(async () => {
  setup = await workerSetup();
});
after(() => rmSync(setup.dir, { recursive: true, force: true }));

function decoded(evidence: unknown): WorkerConfig['evidence'] {
  return decodeConfig(WORKER_CONFIG, { ...setup.config(GATEWAY), evidence }).evidence;
}

function loaded(environment: Readonly<Record<string, string>>): WorkerConfig['evidence'] {
  const { evidence: _unsaid, ...rest } = setup.config(GATEWAY);
  const filePath = join(setup.dir, 'worker.json');
  writeFileSync(filePath, JSON.stringify(rest));
  return loadConfig(WORKER_CONFIG, { part: 'worker', filePath, environment }).evidence;
}

test('a worker that was told nothing looks for a real machine', () => {
  assert.deepEqual(decoded(undefined), { provider: 'auto' });
  assert.deepEqual(loaded({}), { provider: 'auto' });
});

test('each provider takes its own members', () => {
  assert.deepEqual(decoded({ provider: 'configfs-tsm' }), {
    provider: 'configfs-tsm',
    privlevel: 0,
  });
  assert.deepEqual(decoded({ provider: 'configfs-tsm', privlevel: 2 }), {
    provider: 'configfs-tsm',
    privlevel: 2,
  });
  assert.deepEqual(decoded({ provider: 'dstack' }), { provider: 'dstack' });
  const simulator = { provider: 'simulator', pkiDir: '/pki' };
  assert.deepEqual(decoded(simulator), simulator);
});

test('members of another provider, unknown ones and values out of range refuse the start', () => {
  const refused: readonly unknown[] = [
    {},
    { provider: 'sgx' },
    { provider: 'auto', pkiDir: '/pki' },
    { provider: 'auto', privlevel: 0 },
    { provider: 'simulator' },
    { provider: 'simulator', pkiDir: '' },
    { provider: 'dstack', pkiDir: '/pki' },
    { provider: 'dstack', socketPath: '' },
    { provider: 'configfs-tsm', socketPath: '/run/dstack.sock' },
    { provider: 'configfs-tsm', privlevel: 4 },
    { provider: 'configfs-tsm', privlevel: -1 },
    { provider: 'configfs-tsm', privlevel: '0' },
  ];
  for (const evidence of refused) {
    assert.throws(
      () => decoded(evidence),
      (error) => hasCode(error, 'config.invalid'),
      JSON.stringify(evidence),
    );
  }
});

test('the environment can choose a provider and its members', () => {
  assert.deepEqual(
    loaded({
      VEILGATE_WORKER_EVIDENCE_PROVIDER: 'simulator',
      VEILGATE_WORKER_EVIDENCE_PKI_DIR: '/pki',
    }),
    { provider: 'simulator', pkiDir: '/pki' },
  );
  assert.deepEqual(
    loaded({
      VEILGATE_WORKER_EVIDENCE_PROVIDER: 'configfs-tsm',
      VEILGATE_WORKER_EVIDENCE_PRIVLEVEL: '1',
    }),
    { provider: 'configfs-tsm', privlevel: 1 },
  );
});

test('the environment cannot mix providers or invent members', () => {
  assert.throws(
    () =>
      loaded({
        VEILGATE_WORKER_EVIDENCE_PROVIDER: 'dstack',
        VEILGATE_WORKER_EVIDENCE_PKI_DIR: '/pki',
      }),
    (error) => hasCode(error, 'config.invalid'),
  );
  assert.throws(
    () => loaded({ VEILGATE_WORKER_EVIDENCE_PKI_DIR: '/pki' }),
    (error) => hasCode(error, 'config.invalid'),
    'a folder alone does not choose the simulator',
  );
  assert.throws(
    () => loaded({ VEILGATE_WORKER_EVIDENCE_ROOT: '/' }),
    (error) => hasCode(error, 'config.unknown_variable'),
  );
});

test('a provider that was asked for by name is opened, or the start fails', async () => {
  const simulator = await openProvider({ provider: 'simulator', pkiDir: setup.pkiDir }, CONTEXT);
  assert.equal(simulator.simulated, true);
  await assert.rejects(
    openProvider({ provider: 'dstack', socketPath: join(setup.dir, 'no.sock') }, CONTEXT),
    (error) => hasCode(error, 'evidence.unavailable'),
  );
});
