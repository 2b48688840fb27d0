/** What is served is what was measured, or nothing is. @module */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { toHex } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import type { Engine } from '../../../enclave-worker/engine.ts';
import { ENGINES, type EngineStart } from '../../../enclave-worker/engines.ts';
import { measureServed } from '../../../enclave-worker/weights/measure-served.ts';
import { NEVER } from '../../support/engine-jobs.ts';
import { startFakeUpstream, type FakeUpstream } from '../../support/fake-upstream.ts';
import { configFor, outcomeOf } from './fixture.ts';

let dir = '';
let fake: FakeUpstream;

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'veilgate-upstream-'));
  await writeFile(join(dir, 'model.safetensors'), 'weights');
  fake = await startFakeUpstream();
});
after(async () => {
  await fake.close();
  await rm(dir, { recursive: true, force: true });
});

function start(more: Partial<EngineStart>): Promise<Engine> {
  const kind = ENGINES.find(({ name }) => name === 'openai-upstream');
  assert.ok(kind !== undefined);
  return kind.start({
    modelSha256Hex: 'ab'.repeat(32),
    upstream: configFor(fake),
    evidence: 'real',
    contextTokens: 8192,
    slots: 2,
    threads: 1,
    serves: ['chat'],
    gpu: false,
    environment: {},
    signal: NEVER,
    onState: () => undefined,
    onProblem: () => undefined,
    onMeasured: () => undefined,
    ...more,
  });
}

test('weights that are those of the card start, on a real machine too', async () => {
  const { digest } = await measureServed(dir, configFor(fake));
  const engine = await start({ modelPath: dir, modelSha256Hex: toHex(digest) });
  assert.equal((await outcomeOf({ engine })).text, 'Hello from the fake.');
  await engine.close();
});

test('other weights than those of the card do not, and the upstream is not asked', async () => {
  const before = fake.asked.length;
  await assert.rejects(start({ modelPath: dir }), (error) => hasCode(error, 'engine.digest'));
  assert.equal(fake.asked.length, before);
});

test('the same weights, started otherwise, are another model', async () => {
  const { digest } = await measureServed(dir, configFor(fake));
  const upstream = configFor(fake, { arguments: ['--quantization', 'fp8'] });
  await assert.rejects(
    start({ modelPath: dir, modelSha256Hex: toHex(digest), upstream }),
    (error) => hasCode(error, 'engine.digest'),
  );
});

test('on a real machine weights have to be measured; a simulated one may go without', async () => {
  await assert.rejects(start({}), (error) => hasCode(error, 'worker.config'));
  const engine = await start({ evidence: 'simulated' });
  await engine.close();
});

test('an engine is given what is its own', async () => {
  const [llamaCpp] = ENGINES;
  const { upstream, ...rest } = { upstream: configFor(fake) };
  assert.deepEqual(rest, {});
  const common = { modelSha256Hex: '', evidence: 'simulated', contextTokens: 1, slots: 1 } as const;
  const more = { threads: 1, serves: [], gpu: false, environment: {}, signal: NEVER } as const;
  const told = {
    onState: () => undefined,
    onProblem: () => undefined,
    onMeasured: () => undefined,
  };
  const start = (own: object): (() => Promise<Engine>) => {
    return async () => llamaCpp.start({ ...common, ...more, ...told, ...own });
  };
  await assert.rejects(start({}), (error) => hasCode(error, 'worker.config'));
  await assert.rejects(start({ modelPath: '/m', upstream }), (error) =>
    hasCode(error, 'worker.config'),
  );
});
