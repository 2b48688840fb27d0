/** One host's patience, on a clock that a test moves. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { backoffMs, SourceGate } from '../../../attestation/collateral/source-gate.ts';
import { hasCode } from '../../../core/errors.ts';
import { ManualTime } from '../../support/manual-time.ts';

const { signal } = new AbortController();

function gateAt(spacingMs: number, random = () => 0.5) {
  const time = new ManualTime(0);
  const gate = new SourceGate(
    { host: 'h', spacingMs },
    { now: time.now, pause: time.pause, random },
  );
  const starts: number[] = [];
  const work = async (): Promise<void> => {
    starts.push(time.now());
  };
  return { time, gate, starts, work };
}

test('requests to a paced host start that far apart, the first at once', async () => {
  const { time, gate, starts, work } = gateAt(10_000);
  const all = Promise.all([1, 2, 3].map(() => gate.run('shared', signal, work)));
  await time.settle(all);
  assert.deepEqual(starts, [0, 10_000, 20_000]);
});

test('a paced host gets one request at a time, however long it takes', async () => {
  const { time, gate } = gateAt(10_000);
  const slow = Promise.withResolvers<void>();
  let second = 0;
  const first = gate.run('shared', signal, () => slow.promise);
  const next = gate.run('shared', signal, async () => {
    second = time.now();
  });
  await time.advance(30_000);
  assert.equal(second, 0);
  slow.resolve();
  await time.settle(Promise.all([first, next]));
  assert.equal(second, 30_000);
});

test('a host without a pace gets a few at a time', async () => {
  const { time, gate } = gateAt(0);
  let active = 0;
  let most = 0;
  const release = Promise.withResolvers<void>();
  const all = Array.from({ length: 10 }, () =>
    gate.run('leaf', signal, async () => {
      active++;
      most = Math.max(most, active);
      await release.promise;
      active--;
    }),
  );
  await time.advance(0);
  assert.equal(active, 4);
  release.resolve();
  await time.settle(Promise.all(all));
  assert.equal(most, 4);
});

test('what all machines share goes before what one machine asks for', async () => {
  const { time, gate } = gateAt(10_000);
  const order: string[] = [];
  const note = (name: string) => async (): Promise<void> => {
    order.push(name);
  };
  const all = [
    gate.run('leaf', signal, note('leaf 1')),
    gate.run('leaf', signal, note('leaf 2')),
    gate.run('leaf', signal, note('leaf 3')),
    gate.run('shared', signal, note('list')),
    gate.run('shared', signal, note('chain')),
  ];
  await time.settle(Promise.all(all));
  assert.deepEqual(order, ['leaf 1', 'list', 'chain', 'leaf 2', 'leaf 3']);
});

test('a crowd is told to come again at once, and lists still get their turn', async () => {
  const { time, gate, starts, work } = gateAt(10_000);
  const crowd = Array.from({ length: 1000 }, () => gate.run('leaf', signal, work));
  const list = gate.run('shared', signal, work);
  const outcomes = Promise.allSettled(crowd);
  await time.advance(0);
  await time.settle(list);
  assert.ok(time.now() <= 10_000);
  const refused = (await time.settle(outcomes)).filter(({ status }) => status === 'rejected');
  assert.ok(refused.length >= 990, String(refused.length));
  assert.ok(starts.length <= 8, String(starts.length));
});

test('nobody waits for a turn longer than a minute', async () => {
  const { time, gate } = gateAt(0);
  const never = Array.from({ length: 4 }, () =>
    gate.run('leaf', signal, () => new Promise<void>(() => undefined)),
  );
  const late = gate.run('leaf', signal, async () => undefined);
  await assert.rejects(time.settle(late), (error) => hasCode(error, 'collateral.rate_limited'));
  assert.equal(time.now(), 60_001);
  assert.equal(never.length, 4);
});

test('a caller who leaves makes room for the next', async () => {
  const { time, gate, starts, work } = gateAt(10_000);
  await gate.run('leaf', signal, work);
  const leaving = new AbortController();
  const left = gate.run('leaf', leaving.signal, work);
  const stayed = gate.run('leaf', signal, work);
  await time.advance(5000);
  leaving.abort();
  await assert.rejects(left, (error) => hasCode(error, 'collateral.unavailable'));
  await time.settle(stayed);
  assert.deepEqual(starts, [0, 10_000]);
  assert.equal(time.sleeping, 0);
});

test('after a failure the host is left alone, longer each time, also by those who wait', async () => {
  const { time, gate, starts, work } = gateAt(10_000);
  await gate.run('shared', signal, work);
  const waiting = gate.run('shared', signal, work);
  await time.advance(1000);
  gate.failed({ code: 'collateral.unavailable', what: 'http.connect' });
  await assert.rejects(waiting, {
    code: 'collateral.unavailable',
    message: /: left alone after http\.connect$/,
  });
  await time.advance(1499);
  await assert.rejects(gate.run('shared', signal, work));
  await time.advance(1);
  await time.settle(gate.run('shared', signal, work));
  assert.equal(starts.length, 2);
  gate.failed({ code: 'collateral.unavailable', what: 'http.connect' });
  await time.advance(2999);
  await assert.rejects(gate.run('shared', signal, work));
  gate.succeeded();
  await time.advance(1);
  await time.settle(gate.run('shared', signal, work));
});

test('a plea for patience is honoured where it is longer', async () => {
  const { time, gate, work } = gateAt(0);
  gate.failed({ code: 'collateral.rate_limited', what: '429', askedMs: 120_000 });
  await time.advance(119_999);
  await assert.rejects(gate.run('shared', signal, work), (error) =>
    hasCode(error, 'collateral.rate_limited'),
  );
  await time.advance(1);
  await gate.run('shared', signal, work);
});

test('pauses double up to ten minutes, and chance has the upper half of each', () => {
  assert.deepEqual(
    [1, 2, 3, 4].map((failures) => backoffMs(failures, () => 0)),
    [1000, 2000, 4000, 8000],
  );
  assert.equal(backoffMs(1, () => 0.999_999) < 2000, true);
  assert.equal(
    backoffMs(100, () => 0),
    300_000,
  );
  assert.ok(backoffMs(1_000_000, () => 0.999_999) < 600_000);
});

test('a crowd of single machines does not use up the places of what all share', async () => {
  const { time, gate } = gateAt(0);
  const release = Promise.withResolvers<void>();
  const crowd = Array.from({ length: 100 }, () => gate.run('leaf', signal, () => release.promise));
  const outcomes = Promise.allSettled(crowd);
  await time.advance(0);
  let isListAsked = false;
  const list = gate.run('shared', signal, async () => {
    isListAsked = true;
  });
  release.resolve();
  await time.settle(Promise.allSettled([list, outcomes]));
  assert.equal(isListAsked, true);
});

test('a clock that is put back does not close a host until it is that late again', async () => {
  const { gate, starts, work, setTime } = gateOnClock(1_000_000_000);
  await gate.run('shared', signal, work);
  gate.failed({ code: 'collateral.rate_limited', what: '429', askedMs: 3_600_000 });
  await assert.rejects(gate.run('shared', signal, work));
  setTime(0);
  await gate.run('shared', signal, work);
  assert.deepEqual(starts, [1_000_000_000, 10_000]);
  // What closes it from now on is counted by the clock of now.
  gate.failed({ code: 'collateral.unavailable', what: 'http.connect' });
  setTime(1_000_000);
  await gate.run('shared', signal, work);
  assert.equal(starts.length, 3);
});

/** A paced gate whose clock may also go back; it goes on by itself while somebody waits. */
function gateOnClock(startMs: number) {
  let nowMs = startMs;
  const starts: number[] = [];
  const gate = new SourceGate(
    { host: 'h', spacingMs: 10_000 },
    {
      now: () => nowMs,
      pause: async (ms) => {
        nowMs += ms;
        return true;
      },
      random: () => 0.5,
    },
  );
  const work = async (): Promise<void> => void starts.push(nowMs);
  return { gate, starts, work, setTime: (ms: number) => void (nowMs = ms) };
}
