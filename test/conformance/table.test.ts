/** Every row of the table has exactly one file that runs it, and docs/conformance.md says what the rows say. @module */

import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { conformanceDocument } from '../support/conformance/document.ts';
import { cellName, pathsOf, rowOf, ROWS, type RowId } from '../support/conformance/rows.ts';

const IDS = Object.keys(ROWS).filter((id): id is RowId => id in ROWS);

function byName(one: string, other: string): number {
  return one < other ? -1 : 1;
}

test('no row is without its tests, and none has them twice', () => {
  const run = globSync('test/conformance/*.test.ts').flatMap((path) =>
    [...readFileSync(path, 'utf8').matchAll(/^row\(\s*'(C\d\d)'/gm)].map(([, id = '']) => id),
  );
  assert.deepEqual(run.toSorted(byName), IDS);
});

test('rows are numbered without a gap, and no two cells have one name', () => {
  assert.deepEqual(
    IDS,
    IDS.map((_, at) => `C${String(at + 1).padStart(2, '0')}`),
  );
  const names = IDS.flatMap((id) =>
    pathsOf(id).flatMap((path) => rowOf(id).clients.map((client) => cellName(id, client, path))),
  );
  assert.equal(new Set(names).size, names.length);
});

test('the document is the one that the rows make', () => {
  assert.equal(readFileSync('docs/conformance.md', 'utf8'), conformanceDocument());
});
