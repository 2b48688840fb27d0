/** Where members of a policy stand: the member itself, or the nearest one around it. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lineTable, textAt, type LineTable } from '../../../attestation/policy/lines.ts';
import type { Json } from '../../../core/json.ts';

const VALUE: Json = {
  rules: [{ id: 'a', cpu: { tee: 'tdx' } }, { id: 'b' }],
  'a/b': { '~': [1, 2] },
  '~1': true,
};

/** Each path has a line of its own. */
function numbered(): LineTable {
  let line = 0;
  return lineTable(VALUE, () => ({ file: 'p.yaml', line: ++line }));
}

/** As docs/publication.md has it: by the joined path, one name less until there is one. */
function searched({ files, at }: LineTable, path: readonly PropertyKey[]): string {
  for (let depth = path.length; depth >= 0; depth--) {
    const joined = path
      .slice(0, depth)
      .map((name) => String(name).replaceAll('~', '~0').replaceAll('/', '~1'))
      .join('/');
    const found = at.findLast(([known]) => known === joined);
    if (found !== undefined) return `${files[found[1]]}:${found[2]}`;
  }
  return 'policy';
}

const PATHS: readonly (readonly PropertyKey[])[] = [
  [],
  ['rules'],
  ['rules', 0],
  ['rules', '0', 'cpu', 'tee'],
  ['rules', 1, 'cpu', 'tee'],
  ['rules', 2, 'id'],
  ['a/b', '~', 1],
  ['a/b', '~', 7],
  ['a', 'b'],
  ['~1'],
  ['/'],
  ['nowhere', 'at', 'all'],
];

test('every member and every path beside one has the place that a search finds', () => {
  const table = numbered();
  const at = textAt(table);
  for (const path of PATHS) assert.equal(at(...path), searched(table, path), path.join(' '));
});

test('a table with holes gives the nearest one around', () => {
  const table: LineTable = {
    files: ['p.yaml'],
    at: [
      ['rules', 0, 3],
      ['rules/0/cpu/tee', 0, 9],
    ],
  };
  const at = textAt(table);
  assert.equal(at('rules', 0, 'cpu'), 'p.yaml:3');
  assert.equal(at('rules', 0, 'cpu', 'tee'), 'p.yaml:9');
  assert.equal(at('images'), 'policy');
});
