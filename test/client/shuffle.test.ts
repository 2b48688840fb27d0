/** The order in which recipients are tried is nobody's to predict. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shuffled } from '../../client/shuffle.ts';

test('a shuffle keeps every item once and leaves the input alone', () => {
  const items = Array.from({ length: 64 }, (_, i) => i);
  const out = shuffled(items);
  assert.deepEqual(
    [...out].sort((a, b) => a - b),
    items,
  );
  assert.deepEqual(items, [...items.keys()]);
});

test('each of three items leads about as often as the others', () => {
  const counts = new Map<string, number>();
  const ROUNDS = 3000;
  for (let i = 0; i < ROUNDS; i++) {
    const [first = ''] = shuffled(['a', 'b', 'c']);
    counts.set(first, (counts.get(first) ?? 0) + 1);
  }
  // Six standard deviations around 1000.
  for (const count of counts.values()) assert.ok(Math.abs(count - ROUNDS / 3) < 160, `${count}`);
  assert.equal(counts.size, 3);
});

test('nothing shuffles to nothing', () => {
  assert.deepEqual(shuffled([]), []);
});
