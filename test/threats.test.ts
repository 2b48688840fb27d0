/** The two tables of threats name tests that are there, and every attack of the list has its row. @module */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';

const GROUPS = { A: 12, B: 7, C: 12, D: 10, E: 9 } as const;
const ID = /^[A-E]\d{1,2}$/;

interface Row {
  readonly cells: readonly string[];
  readonly id: string;
}

function rowsOf(name: string): readonly Row[] {
  const text = readFileSync(new URL(`../docs/${name}`, import.meta.url), 'utf8');
  return text
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) => line.slice(1, -1).split('|'))
    .map((cells) => cells.map((cell) => cell.trim()))
    .map((cells) => ({ cells, id: cells[0] ?? '' }));
}

/** A name without a folder is an attack's, as the one before it. */
function filesOf(name: string): readonly string[] {
  const cwd = new URL('.', import.meta.url);
  return [name, `attacks/${name}`].flatMap((path) =>
    ['.test.ts', '.contract.ts', '/*.test.ts'].flatMap((end) => globSync(`${path}${end}`, { cwd })),
  );
}

function namesIn(cell: string): readonly string[] {
  // Titles of tests stand in quotes.
  return [...cell.replaceAll(/"[^"]*"/g, '').matchAll(/`([^`]+)`/g)].map(([, name = '']) => name);
}

const THREATS = rowsOf('threats.md').filter(({ id }) => ID.test(id));

test('every attack of the list has one row', () => {
  const want = Object.entries(GROUPS).flatMap(([letter, count]) =>
    Array.from({ length: count }, (_, at) => `${letter}${at + 1}`),
  );
  assert.deepEqual(
    THREATS.map(({ id }) => id),
    want,
  );
});

for (const { id, cells } of THREATS) {
  test(`the tests of ${id} are there`, () => {
    const [, , , tests = ''] = cells;
    assert.equal(cells.length, 5);
    const names = namesIn(tests);
    assert.ok(names.length > 0);
    for (const name of names) assert.ok(filesOf(name).length > 0, name);
  });
}

for (const letter of ['C', 'D'] as const) {
  test(`every attack of ${letter}, and E9, has a file in test/attacks that names it or is named after it`, () => {
    for (const { id, cells } of THREATS.filter(
      (row) => row.id.startsWith(letter) || row.id === 'E9',
    )) {
      assert.match(cells[3] ?? '', /`attacks\//, id);
    }
  });
}

test('the tests that the threats of payment name are there', () => {
  const rows = rowsOf('threats-of-payment.md').filter(({ cells }) => cells.at(-1)?.includes('`'));
  const names = rows.flatMap(({ cells }) => namesIn(cells.at(-1) ?? ''));
  assert.ok(names.length > 40);
  assert.deepEqual(
    names.filter((name) => filesOf(name).length === 0),
    [],
  );
});
