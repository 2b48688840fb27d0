/** Turns that are taken by name. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from '../../../settlement/settler/turns.ts';

test('one name is one at a time, in the order of asking; another waits for nobody', async () => {
  const turns = new Turns();
  const seen: string[] = [];
  const first = await turns.take('a');
  const second = turns.take('a').then((release) => {
    seen.push('second');
    return release;
  });
  const third = turns.take('a').then((release) => {
    seen.push('third');
    return release;
  });
  (await turns.take('b'))();
  assert.deepEqual(seen, []);
  first();
  const release = await second;
  assert.deepEqual(seen, ['second']);
  release();
  (await third)();
  assert.deepEqual(seen, ['second', 'third']);
  (await turns.take('a'))();
});
