/**
 * D1. Attack: one ciphertext that two workers open to two prompts, each under a content key of its own, so that what one
 * refuses or reports is not what the other served ("salamander"). Spec: P§6.1.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8, type Bytes } from '../../core/bytes.ts';
import { randomBytes } from '#primitives';
import { exchangeFixture, MODEL_ID, scriptedEngine } from '../enclave-worker/exchange-fixture.ts';
import { craftRequest, framesOver, innerBytes } from '../support/crafted-request.ts';

const BODY = { model: MODEL_ID, messages: [{ role: 'user', content: 'x' }] };

function worker() {
  const engine = scriptedEngine(async function* hello() {
    yield { kind: 'started' };
    yield { kind: 'text', text: 'Hello' };
    yield { kind: 'end', reason: 'stop' };
  });
  return { engine, ...exchangeFixture({ engine }) };
}

/** The status of each worker, and how many jobs its engine was given. */
async function served(contentKeyOf?: (place: number) => Bytes<32>) {
  const workers = [worker(), worker()] as const;
  const [first] = workers;
  const sealed = craftRequest({
    keys: workers.map(({ worker: { key } }) => key),
    like: first.seal(BODY),
    ...(contentKeyOf && { contentKeyOf }),
    frames: framesOver(innerBytes(utf8(JSON.stringify(BODY)))),
  });
  const found: (readonly [status: number, jobs: number])[] = [];
  for (const { exchange, engine } of workers) {
    const { outerStatus } = await exchange(sealed);
    found.push([outerStatus, engine.jobs.length]);
  }
  return found;
}

test('D1: with one content key both open it', async () => {
  assert.deepEqual(await served(), [
    [200, 1],
    [200, 1],
  ]);
});

test('D1: with two content keys only the one that was committed to opens it, and the other runs nothing', async () => {
  const keys = [randomBytes(32), randomBytes(32)];
  assert.deepEqual(await served((place) => keys[place] ?? randomBytes(32)), [
    [200, 1],
    [400, 0],
  ]);
});
