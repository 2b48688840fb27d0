/** One piece of work per key; ended when nobody waits for it. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Flights } from '../../../attestation/collateral/flights.ts';
import { hasCode } from '../../../core/errors.ts';

const { signal } = new AbortController();

test('work under one key runs once at a time', async () => {
  const flights = new Flights<number>(10);
  let runs = 0;
  const gate = Promise.withResolvers<void>();
  const work = async (): Promise<number> => {
    runs++;
    await gate.promise;
    return runs;
  };
  const both = Promise.all([flights.join('a', signal, work), flights.join('a', signal, work)]);
  gate.resolve();
  assert.deepEqual(await both, [1, 1]);
  assert.equal(flights.size, 0);
  assert.equal(await flights.join('a', signal, work), 2);
});

test('all who wait see the failure, and the next one tries again', async () => {
  const flights = new Flights<number>(10);
  const fail = async (): Promise<number> => {
    throw new Error('no');
  };
  const outcomes = await Promise.allSettled([
    flights.join('a', signal, fail),
    flights.join('a', signal, fail),
  ]);
  assert.ok(outcomes.every(({ status }) => status === 'rejected'));
  assert.equal(await flights.join('a', signal, async () => 1), 1);
});

test('work goes on while one waits, and ends with the last', async () => {
  const flights = new Flights<number>(10);
  let ended: AbortSignal | undefined;
  const work = (ending: AbortSignal): Promise<number> => {
    ended = ending;
    return new Promise(() => undefined);
  };
  const [first, last] = [new AbortController(), new AbortController()];
  const waiting = [flights.join('a', first.signal, work), flights.join('a', last.signal, work)].map(
    (promise) => assert.rejects(promise),
  );
  first.abort();
  await waiting[0];
  assert.equal(ended?.aborted, false);
  last.abort();
  await waiting[1];
  assert.equal(ended?.aborted, true);
  assert.equal(flights.size, 0);
});

test('a late failure of work that everybody left disturbs nobody', async () => {
  const flights = new Flights<number>(10);
  const leaving = new AbortController();
  const late = Promise.withResolvers<number>();
  const left = flights.join('a', leaving.signal, () => late.promise);
  leaving.abort();
  await assert.rejects(left);
  late.reject(new Error('late'));
  await new Promise((resolve) => setImmediate(resolve));
});

test('no more than so many at once', async () => {
  const flights = new Flights<number>(2);
  const forever = (): Promise<number> => new Promise(() => undefined);
  const leaving = new AbortController();
  const held = ['a', 'b'].map((key) => flights.join(key, leaving.signal, forever));
  await assert.rejects(flights.join('c', signal, forever), (error) =>
    hasCode(error, 'collateral.rate_limited'),
  );
  const joined = flights.join('a', leaving.signal, forever);
  leaving.abort();
  await Promise.allSettled([...held, joined]);
  assert.equal(await flights.join('c', signal, async () => 3), 3);
});
