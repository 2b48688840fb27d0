/** An upstream that breaks, dies, comes back, or becomes another: when it is asked, and when no more. @module */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { hasCode } from '../../../core/errors.ts';
import { weightsError } from '../../../enclave-worker/weights/errors.ts';
import { NEVER } from '../../support/engine-jobs.ts';
import {
  reply,
  startFakeUpstream,
  type FakeScript,
  type FakeUpstream,
} from '../../support/fake-upstream.ts';
import { until } from '../../support/until.ts';
import { chat, outcomeOf, startOver, type UpstreamEngine } from './fixture.ts';

let fake: FakeUpstream;
let over: UpstreamEngine;
let areWeightsGone = false;

before(async () => {
  fake = await startFakeUpstream();
  over = await startOver(fake, {
    pace: { everyMs: 10, weightsEveryMs: 10, breakMs: 10 },
    slots: 2,
    assertWeights: () =>
      areWeightsGone ? Promise.reject(weightsError('weights.changed')) : Promise.resolve(),
  });
});
afterEach(async () => {
  fake.script = undefined;
  fake.routes.clear();
  if (!areWeightsGone) await until(() => over.engine.healthy());
  over.states.length = 0;
});
after(async () => {
  await over.engine.close();
  await fake.close();
});

const dies: FakeScript = ({ res }) => {
  res.destroy();
  return Promise.resolve();
};

test('one broken answer is nothing yet, and a whole one makes it forgotten', async () => {
  for (let at = 0; at < 4; at++) {
    fake.script = dies;
    await outcomeOf(over);
    await outcomeOf(over);
    fake.script = undefined;
    assert.equal((await outcomeOf(over)).error, undefined);
    assert.ok(over.engine.healthy());
  }
  assert.deepEqual(over.states, []);
});

test('after three broken answers nobody is sent there until it has answered itself', async () => {
  fake.script = dies;
  for (let at = 0; at < 3; at++) await outcomeOf(over);
  assert.ok(!over.engine.healthy());
  assert.throws(
    () => over.engine.generate(chat(), NEVER),
    (error) => hasCode(error, 'engine.down'),
  );
  const before = fake.asked.length;
  // It is tried by questions of our own, and stays closed as long as they break.
  await until(() => fake.asked.length > before + 1);
  assert.ok(!over.engine.healthy());
  for (const { body } of fake.asked.slice(before)) {
    assert.ok(!JSON.stringify(body).includes('Hello there'));
  }
  fake.script = undefined;
  await until(() => over.engine.healthy());
  assert.deepEqual(over.states, ['crashed', 'restarted']);
});

test('what an app brought about itself does not count', async () => {
  fake.script = ({ res }) => {
    reply(res, 400, { error: { message: 'x' } });
    return Promise.resolve();
  };
  for (let at = 0; at < 5; at++) await outcomeOf(over);
  fake.script = async ({ begin, chunk, gone }) => {
    begin();
    await chunk({ index: 0, delta: { content: 'x' } });
    await gone;
  };
  for (let at = 0; at < 5; at++) {
    const abort = new AbortController();
    for await (const { kind } of over.engine.generate(chat(), abort.signal).events) {
      if (kind === 'text') abort.abort();
    }
  }
  assert.ok(over.engine.healthy());
});

test('an upstream that no longer has the model is not asked, and is again when it has', async () => {
  const { model } = fake;
  fake.model = 'other/model';
  await until(() => !over.engine.healthy());
  fake.model = model;
  await until(() => over.engine.healthy());
  assert.deepEqual(over.states, ['crashed', 'restarted']);
});

test('an upstream that answers for another model is found out in the answer', async () => {
  assert.equal((await outcomeOf(over)).error, undefined);
  fake.script = async ({ begin, event, done }) => {
    begin();
    await event({ model: 'other/model', choices: [{ index: 0, delta: { content: 'x' } }] });
    await done();
  };
  const { error, text } = await outcomeOf(over);
  assert.deepEqual([error, text], ['engine.upstream model', '']);
});

test('no more answers at once than there are places', async () => {
  fake.script = async ({ begin, chunk, gone }) => {
    begin();
    await chunk({ index: 0, delta: { content: 'x' } });
    await gone;
  };
  const stop = new AbortController();
  const running = [1, 2].map(() => over.engine.generate(chat(), stop.signal));
  assert.throws(
    () => over.engine.generate(chat(), NEVER),
    (error) => hasCode(error, 'engine.busy'),
  );
  stop.abort();
  for (const { events } of running)
    for await (const { kind } of events) assert.notEqual(kind, 'text');
  fake.script = undefined;
  assert.equal((await outcomeOf(over)).error, undefined);
});

test('weights that were changed end it for good', async () => {
  areWeightsGone = true;
  await until(() => !over.engine.healthy());
  assert.deepEqual(over.states, ['given-up']);
  areWeightsGone = false;
  const looked = fake.asked.length;
  assert.throws(
    () => over.engine.generate(chat(), NEVER),
    (error) => hasCode(error, 'engine.down'),
  );
  assert.equal(fake.asked.length, looked);
  areWeightsGone = true;
});
