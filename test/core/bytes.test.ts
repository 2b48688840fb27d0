/** Gathering what arrives in pieces. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, Gatherer } from '../../core/bytes.ts';

test('pieces of any size become one string in their order', () => {
  const pieces = [0, 1, 4095, 2, 9000, 0, 3].map((size, i) => new Uint8Array(size).fill(i));
  const gathered = new Gatherer();
  for (const piece of pieces) gathered.push(piece);
  assert.deepEqual(gathered.bytes(), concat(...pieces));
  assert.equal(gathered.size, gathered.bytes().length);
});

test('nothing gathered is an empty string', () => {
  assert.equal(new Gatherer().bytes().length, 0);
});

test('a piece may change after it was pushed', () => {
  const gathered = new Gatherer();
  const piece = Uint8Array.of(1);
  gathered.push(piece);
  piece.fill(9);
  assert.deepEqual([...gathered.bytes()], [1]);
});
