/** Strict JSON: where the members of a document stand, and what finding that costs. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseStrictJson } from '../../core/json.ts';

const MAX_BYTES = 1_048_576;
const codeIs = (code: string) => (error: unknown) =>
  error instanceof VeilError && error.code === code;

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

const MEMBERS_MAX = 10_000;
/** Counting every prefix anew takes many seconds; counting once takes a hundredth of one. */
const SLOW_MS = 5000;

test('many members behind one character of two bytes cost linear time', () => {
  const filler = '0'.repeat(90);
  const members = Array.from({ length: MEMBERS_MAX - 1 }, (_, i) => `"${i}":"${filler}"`);
  const bytes = utf8(`{"é":0,${members.join(',')}}`);
  assert.ok(bytes.length > 0.9 * MAX_BYTES);
  const started = performance.now();
  const { spans } = parseStrictJson(bytes, { maxBytes: MAX_BYTES, numbers: 'integers' });
  assert.equal(spans.size, MEMBERS_MAX);
  assert.ok(performance.now() - started < SLOW_MS);
});

test('an object has a bounded number of members, at every depth', () => {
  const members = Array.from({ length: MEMBERS_MAX + 1 }, (_, i) => `"${i}":0`).join(',');
  for (const text of [`{${members}}`, `{"a":{${members}}}`]) {
    assert.throws(
      () => parseStrictJson(utf8(text), { maxBytes: MAX_BYTES, numbers: 'integers' }),
      codeIs('json.members'),
    );
  }
});

test('a document has a bounded number of values, however they are nested', () => {
  const many = (count: number): string => Array.from({ length: count }, () => '{}').join(',');
  const read = (text: string): unknown =>
    parseStrictJson(utf8(text), { maxBytes: MAX_BYTES, maxValues: 100, numbers: 'integers' });
  read(`[${many(99)}]`);
  read(`[[${many(49)}],[${many(48)}]]`);
  for (const text of [`[${many(100)}]`, `[[${many(49)}],[${many(49)}]]`, `{"a":[${many(99)}]}`]) {
    assert.throws(() => read(text), codeIs('json.members'));
  }
});
