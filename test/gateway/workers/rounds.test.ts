/** The rounds beside whatever else the gateway does. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { systemClock } from '../../../core/clock.ts';
import { createLog } from '../../../core/node/log.ts';
import { createCounters } from '../../../gateway/counters.ts';
import { GATEWAY_EVENTS } from '../../../gateway/events.ts';
import { WorkerJudge } from '../../../gateway/workers/judge.ts';
import { Rounds } from '../../../gateway/workers/rounds.ts';
import { openLab } from '../../support/gateway-lab.ts';

const WORKERS = 4;

test('a round gives way after each worker, so that no stream waits for all of them', async (context) => {
  const lab = await openLab();
  context.after(() => lab.close());
  for (let i = 0; i < WORKERS; i++) await lab.worker();
  const { registry, desk, aud } = lab.gateway;
  const log = createLog({
    events: GATEWAY_EVENTS,
    part: 'gateway',
    destination: { write: () => {} },
  });
  const judge = new WorkerJudge({ clock: systemClock, aud, desk, log });
  const counters = createCounters();
  const rounds = new Rounds({ clock: systemClock, registry, judge, desk, log, counters });
  const ended = new AbortController();
  const round = rounds.sweep(new AbortController().signal).finally(() => ended.abort());
  let turns = 0;
  for (; !ended.signal.aborted; turns++) await nextTurn();
  await round;
  assert.equal(registry.all().length, WORKERS);
  assert.ok(turns >= WORKERS, `${turns} turns for ${WORKERS} workers`);
});
