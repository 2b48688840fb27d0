/**
 * D7. Attack: so many requests that a worker's memory of what it has opened is full, in the hope that it forgets an old one,
 * which could then be sent again. It refuses new work instead, and costs nobody who is refused anything. Spec: P§8.3.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { manualClock } from '../../core/clock.ts';
import { ReplaySet } from '../../protocol/sx/replay.ts';
import type { SealedRequest } from '../../protocol/sx/seal.ts';
import { exchangeFixture, MODEL_ID, scriptedEngine } from '../enclave-worker/exchange-fixture.ts';
import { sendTo } from '../support/attacked-worker.ts';
import { flip } from '../protocol/sx/stage.ts';

const ROOM = 20;
const LIFE_MS = 60_000 + 60_000;
const BODY = { model: MODEL_ID, messages: [{ role: 'user', content: 'x' }] };

function smallWorker() {
  const engine = scriptedEngine(async function* hello() {
    yield { kind: 'started' };
    yield { kind: 'text', text: 'Hello' };
    yield { kind: 'end', reason: 'stop' };
  });
  const { now: clock, advance } = manualClock(1_800_000_000_000);
  const fixture = exchangeFixture({ engine, clock });
  const full = { ...fixture, deps: { ...fixture.deps, replay: new ReplaySet(ROOM) } };
  const send = async (sealed: SealedRequest): Promise<number> => (await sendTo(full, sealed)).outer;
  return { engine, advance, send, seal: () => fixture.seal(BODY), replay: full.deps.replay };
}

test('D7: a full memory refuses what is new, and still knows each of the old ones', async () => {
  const { engine, send, seal } = smallWorker();
  const sent = Array.from({ length: ROOM }, () => seal());
  for (const sealed of sent) assert.equal(await send(sealed), 200);
  for (let more = 0; more < ROOM; more++) assert.equal(await send(seal()), 503);
  for (const sealed of sent) assert.equal(await send(sealed), 409);
  assert.equal(engine.jobs.length, ROOM);
});

test('D7: what was refused for want of room is welcome once there is room, with the same bytes', async () => {
  const { advance, send, seal } = smallWorker();
  for (let sent = 0; sent < ROOM; sent++) await send(seal());
  advance(LIFE_MS - 50_000);
  const waiting = seal();
  assert.equal(await send(waiting), 503);
  advance(50_001);
  assert.equal(await send(waiting), 200);
  assert.equal(await send(waiting), 409);
});

test('D7: whoever cannot seal to the worker takes no room in it', async () => {
  const { send, seal, replay } = smallWorker();
  for (let sent = 0; sent < 3 * ROOM; sent++) {
    const sealed = seal();
    const bytes = flip(sealed.bytes, sealed.bytes.length < 400 ? 40 : 200 + sent);
    assert.equal(await send({ ...sealed, bytes }), 400);
  }
  assert.equal(replay.size, 0);
});
