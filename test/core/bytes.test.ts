/** Gathering what arrives in pieces; hex. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fromHex, Gatherer, toHex } from '../../core/bytes.ts';

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

test('hex of any length comes back as the same bytes', () => {
  for (const size of [0, 1, 16, 16_383, 16_384, 16_385, 70_000]) {
    const bytes = Uint8Array.from({ length: size }, (_, i) => i * 7);
    const hex = toHex(bytes);
    assert.equal(hex, Buffer.from(bytes).toString('hex'));
    assert.deepEqual(fromHex(hex), bytes);
  }
});
