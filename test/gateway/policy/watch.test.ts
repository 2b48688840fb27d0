/** Who holds the published files, or one of the keys, cannot keep a policy or a revocation from coming into force. @module */

import assert from 'node:assert/strict';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Json } from '../../../core/json.ts';
import type { Vouching } from '../../../gateway/workers/vouching.ts';
import { openSignedLab } from '../../support/gateway-lab.ts';
import { answering } from '../../support/sx-worker.ts';
import { until } from '../../support/until.ts';

/** Collateral that takes its time when there is something new, as from a slow network. */
class SlowVouching implements Vouching {
  #revision = 0;
  #takeMs: readonly number[] = [0];
  #asked = 0;

  readonly revision = (): number => this.#revision;

  readonly covers = (): boolean => true;
  readonly vouch: Vouching['vouch'] = async (bundle, signal) => {
    const ms = this.#takeMs[this.#asked++] ?? this.#takeMs.at(-1);
    await pause(ms, undefined, { signal });
    return bundle;
  };

  /** Of one question after the other; the last goes on. */
  news(...takeMs: readonly number[]): void {
    this.#revision++;
    this.#takeMs = takeMs;
    this.#asked = 0;
  }

  get asked(): number {
    return this.#asked;
  }
}

async function opened(context: TestContext) {
  const vouching = new SlowVouching();
  const lab = await openSignedLab({ deps: { vouching, sweepIntervalMs: 600_000 } });
  context.after(() => lab.close());
  return { lab, vouching };
}

/** No rule takes the workers of the lab. */
function withoutRules(policy: Record<string, Json>): void {
  policy['rules'] = [];
  policy['advisories'] = [];
}

/** Over and over, until the test has ended. */
function repeat(context: TestContext, ms: number, act: (turn: number) => void): void {
  let turn = 0;
  const timer = setInterval(() => act(++turn), ms);
  context.after(() => clearInterval(timer));
}

test('a release that comes in another spelling every moment does not keep a policy from coming into force', async (context) => {
  const { lab, vouching } = await opened(context);
  await lab.worker(answering('{}'));
  vouching.news(1200);
  lab.publisher.publish(lab.publisher.policy(withoutRules));
  const path = join(lab.publisher.directory, 'release.json');
  const text = readFileSync(path, 'utf8');
  repeat(context, 150, (turn) => {
    writeFileSync(`${path}.draft`, text + ' '.repeat(turn % 60));
    renameSync(`${path}.draft`, path);
  });
  await until(() => lab.gateway.desk.current().document.serial === 2);
  assert.equal(lab.gateway.registry.all().length, 0);
});

test('a key that makes one release after the other does not keep all of them from coming into force', async (context) => {
  const { lab, vouching } = await opened(context);
  await lab.worker(answering('{}'));
  vouching.news(1200);
  lab.publisher.publish(lab.publisher.policy(withoutRules));
  const candidate = lab.publisher.policy();
  repeat(context, 150, (turn) => lab.publisher.candidate(candidate, turn % 2));
  await until(() => lab.gateway.desk.current().document.serial === 2);
});

test('a newer policy takes the place of one that is still being judged', async (context) => {
  const { lab, vouching } = await opened(context);
  await lab.worker(answering('{}'));
  vouching.news(2000);
  lab.publisher.publish(lab.publisher.policy(withoutRules));
  await until(() => lab.logLines.some((line) => /"document":"release","number":2/.test(line)));
  lab.publisher.publish(lab.publisher.policy());
  await until(() => lab.gateway.desk.current().document.serial === 3);
  assert.equal(lab.logLines.filter((line) => line.includes('"policy.enforced"')).length, 1);
  assert.equal(lab.gateway.registry.all().length, 1);
});

test('a revocation does not wait for a candidate that is being judged in the shadow', async (context) => {
  const { lab, vouching } = await opened(context);
  await lab.worker(answering('{}'));
  lab.publisher.candidate(lab.publisher.policy(withoutRules));
  await until(() => lab.gateway.desk.candidate() !== undefined);
  vouching.news(60_000);
  // The next round judges the candidate, and waits.
  await pause(1500);
  const [live] = lab.gateway.registry.all();
  const fact = live?.verdict.revocable.find(({ kind }) => kind === 'key');
  assert.ok(fact !== undefined);
  lab.publisher.revoke(fact);
  await until(() => lab.gateway.registry.all().length === 0);
});

test('who is revoked after it was judged under a policy that is on its way does not come back with it', async (context) => {
  const { lab, vouching } = await opened(context);
  const first = await lab.worker(answering('{}'));
  const second = await lab.worker(answering('{}'));
  vouching.news(0, 1500);
  lab.publisher.publish(lab.publisher.policy());
  await until(() => vouching.asked === 2);
  const [judged] = lab.gateway.registry.byWorkerId(first.workerId);
  const fact = judged?.verdict.revocable.find(({ kind }) => kind === 'key');
  assert.ok(fact !== undefined);
  lab.publisher.revoke(fact);
  await until(() => lab.gateway.registry.all().length === 1);
  assert.equal(lab.gateway.desk.current().document.serial, 1);
  await until(() => lab.gateway.desk.current().document.serial === 2);
  assert.deepEqual(
    lab.gateway.registry.all().map(({ workerId }) => workerId),
    [second.workerId],
  );
});

test('who is given back does not come in under a policy that has gone meanwhile', async (context) => {
  const { lab, vouching } = await opened(context);
  await lab.worker(answering('{}'));
  const [live] = lab.gateway.registry.all();
  const fact = live?.verdict.revocable.find(({ kind }) => kind === 'key');
  assert.ok(fact !== undefined);
  lab.publisher.revoke(fact);
  await until(() => lab.gateway.registry.benched().length === 1);
  // The look at the bench waits for its collateral, the change of policy behind it does not.
  vouching.news(1500, 0);
  lab.publisher.revocations([], ['revocation', 'policy']);
  await until(() => vouching.asked === 1);
  lab.publisher.publish(lab.publisher.policy(withoutRules));
  await until(() => lab.gateway.desk.current().document.serial === 2);
  await pause(2000);
  assert.equal(lab.gateway.registry.all().length, 0);
});

test('a candidate is in force for more workers as soon as its share grows', async (context) => {
  const { lab } = await opened(context);
  const candidate = lab.publisher.policy();
  lab.publisher.candidate(candidate, 0);
  await until(() => lab.gateway.desk.candidate()?.share === 0);
  lab.publisher.candidate(candidate, 99);
  await until(() => lab.gateway.desk.candidate()?.share === 99);
});

test('who leaves while it is judged under a new policy stays away', async (context) => {
  const { lab, vouching } = await opened(context);
  const worker = await lab.worker(answering('{}'));
  vouching.news(1000);
  lab.publisher.publish(lab.publisher.policy());
  await until(() => vouching.asked === 1);
  assert.equal((await worker.leave()).status, 200);
  await until(() => lab.gateway.desk.current().document.serial === 2);
  assert.equal(lab.gateway.registry.all().length + lab.gateway.registry.benched().length, 0);
  assert.ok(!lab.logLines.some((line) => line.includes('"gateway.failed"')));
});

test('collateral that does not come does not keep a policy away', async (context) => {
  const { lab, vouching } = await opened(context);
  for (const _ of [1, 2, 3]) await lab.worker(answering('{}'));
  vouching.news(3_600_000);
  lab.publisher.publish(lab.publisher.policy(withoutRules));
  await until(() => lab.gateway.desk.current().document.serial === 2);
  assert.equal(lab.gateway.registry.benched().length, 3);
});
