/** The statement cases of the shared corpus, through the same runner as `veilgate vectors`. @module */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { statementVectors } from '../../cli/vectors/statement.ts';
import { parseJson } from '../../core/json.ts';

const CORPUS = '../shared/vectors/nvidia';
const MANIFEST_MAX_BYTES = 16_777_216;
const isHere = existsSync(`${CORPUS}/manifest.json`);

const MANIFEST = z.object({
  cases: z.array(
    z.looseObject({
      id: z.string(),
      kind: z.string(),
      expect: z.object({
        verdict: z.enum(['accept', 'reject']),
        reasons: z.array(z.string()),
        facts: z.record(z.string(), z.unknown()).exactOptional(),
      }),
    }),
  ),
});

function statementCases() {
  const manifest = parseJson(readFileSync(`${CORPUS}/manifest.json`), MANIFEST_MAX_BYTES);
  return MANIFEST.parse(manifest).cases.filter(({ kind }) => kind === 'statement');
}

test(
  'every statement case of the corpus gives the expected verdict, reason and values',
  { skip: isHere ? false : `${CORPUS} is not here` },
  () => {
    const cases = statementCases();
    assert.equal(cases.length, 26);
    for (const { expect, ...entry } of cases) {
      const outcome = statementVectors.run(entry, (path) => readFileSync(`${CORPUS}/${path}`));
      assert.equal(outcome.verdict, expect.verdict, entry.id);
      if (expect.verdict === 'reject') {
        assert.deepEqual(outcome.failing, expect.reasons, entry.id);
      } else {
        assert.deepEqual(outcome.fields, expect.facts, entry.id);
      }
    }
  },
);
