/** The SEV-SNP cases of the shared corpus, through the same runner as `veilgate vectors`. @module */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { sevSnpVectors } from '../../../cli/vectors/sev-snp.ts';
import { parseJson } from '../../../core/json.ts';

const CORPUS = '../shared/vectors/sev-snp';
const MANIFEST_MAX_BYTES = 16_777_216;
const isHere = existsSync(`${CORPUS}/manifest.json`);

const MANIFEST = z.object({
  cases: z.array(
    z.looseObject({
      id: z.string(),
      expect: z.object({
        verdict: z.enum(['accept', 'reject']),
        reason: z.string().optional(),
        reason_any_of: z.array(z.string()).optional(),
        fields: z.record(z.string(), z.unknown()).optional(),
      }),
    }),
  ),
});

test(
  'every case of the corpus gives the expected verdict, reason and fields',
  { skip: isHere ? false : `${CORPUS} is not here` },
  () => {
    const manifest = parseJson(readFileSync(`${CORPUS}/manifest.json`), MANIFEST_MAX_BYTES);
    const { cases } = MANIFEST.parse(manifest);
    assert.equal(cases.length, 219);
    for (const { expect, ...entry } of cases) {
      const outcome = sevSnpVectors.run(entry, (path) => readFileSync(`${CORPUS}/${path}`));
      assert.equal(outcome.verdict, expect.verdict, entry.id);
      if (expect.verdict === 'reject') {
        const allowed = expect.reason_any_of ?? [expect.reason ?? ''];
        assert.ok(outcome.failing.length > 0, entry.id);
        for (const reason of outcome.failing) assert.ok(allowed.includes(reason), entry.id);
      }
      for (const [name, value] of Object.entries(expect.fields ?? {})) {
        assert.deepEqual(outcome.fields?.[name], value, `${entry.id}: ${name}`);
      }
    }
  },
);
