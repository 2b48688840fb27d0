/** Strict JSON: where the members of a document stand, and what finding that costs. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import { parseStrictJson } from '../../core/json.ts';

const MAX_BYTES = 1_048_576;

test('spans are byte offsets of each value, also behind characters of several bytes', () => {
  const bytes = utf8('{"é" : "ü😀", "b":{"ö":[1, 2]} ,"c":3}');
  const { spans } = parseStrictJson(bytes, { maxBytes: MAX_BYTES, numbers: 'integers' });
  const cut = [...spans].map(([name, [start, end]]) => [name, fromUtf8(bytes.slice(start, end))]);
  assert.deepEqual(cut, [
    ['é', '"ü😀"'],
    ['b', '{"ö":[1, 2]}'],
    ['c', '3'],
  ]);
});

const MEMBERS = 60_000;
/** Counting every prefix anew took over twenty seconds; counting once takes a tenth of one. */
const SLOW_MS = 5000;

test('many members behind one character of two bytes cost linear time', () => {
  const members = Array.from({ length: MEMBERS }, (_, i) => `"${i.toString(36)}":0`);
  const bytes = utf8(`{"é":0,${members.join(',')}}`);
  const started = performance.now();
  const { spans } = parseStrictJson(bytes, { maxBytes: MAX_BYTES, numbers: 'integers' });
  assert.equal(spans.size, MEMBERS + 1);
  assert.ok(performance.now() - started < SLOW_MS);
});
