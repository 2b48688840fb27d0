/**
 * The launch digest corpus through `veilgate vectors`: every case has the measurement that another tool computed. The
 * corpus lies beside the project; without it this test is skipped.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { judgeCorpus, readManifest, skipWithout } from '../../../support/corpus.ts';

const MANIFEST_PATH = '../shared/vectors/sev-snp/launch-digest/cases.json';
const MANIFEST_MAX_BYTES = 1024 * 1024;
const CASES = 10;

const EXPECTATIONS = z.object({
  cases: z.array(z.object({ id: z.string(), expect_measurement: z.string() })),
});

test(
  'every case of the launch digest corpus has the expected measurement',
  { skip: skipWithout(MANIFEST_PATH) },
  () => {
    const lines = judgeCorpus(MANIFEST_PATH, CASES);
    const { cases } = EXPECTATIONS.parse(readManifest(MANIFEST_PATH, MANIFEST_MAX_BYTES));
    assert.equal(cases.length, CASES);
    for (const { id, expect_measurement } of cases) {
      const line = lines.get(id);
      assert.equal(line?.verdict, 'accept', id);
      assert.deepEqual(line.failing, [], id);
      assert.deepEqual(line.fields, { measurement: expect_measurement }, id);
    }
  },
);
