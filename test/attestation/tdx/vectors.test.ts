/**
 * The TDX quote corpus through `veilgate vectors`: verdict, authenticity, cause, TCB, warnings and parsed fields of
 * every case. The corpus lies beside the project; without it these tests are skipped.
 * @module
 */

import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { VectorLine } from '../../../cli/vectors.ts';
import { assertNoProblems, judgeCorpus, readManifest, skipWithout } from '../../support/corpus.ts';

const MANIFEST_PATH = '../shared/vectors/tdx/manifest.json';
const MANIFEST_MAX_BYTES = 64 * 1024 * 1024;
const CASES = 189;

const RECORD = z.record(z.string(), z.unknown());
const EXPECTATIONS = z.object({
  cases: z.array(
    z.object({
      id: z.string(),
      title: z.string(),
      expect: z.object({
        verdict: z.enum(['accept', 'reject']),
        authentic: z.boolean(),
        failingAnyOf: z.array(z.string()).optional(),
        warnings: z.array(z.string()).optional(),
        tcb: RECORD.optional(),
        fields: RECORD.optional(),
      }),
    }),
  ),
});
type Expected = z.infer<typeof EXPECTATIONS>['cases'][number];

function problemsOf({ expect }: Expected, line: VectorLine): readonly string[] {
  const problems: string[] = [];
  const demand = (holds: boolean, what: string): void => void (holds || problems.push(what));
  demand(line.verdict === expect.verdict, `verdict ${line.verdict}: ${line.failing.join(', ')}`);
  demand(line.authentic === expect.authentic, `authentic ${line.authentic}`);
  const causes = expect.failingAnyOf;
  demand(
    causes === undefined || causes.some((id) => line.failing.includes(id)),
    `none of ${causes?.join(', ')} failed, but ${line.failing.join(', ')}`,
  );
  demand(
    expect.verdict === 'reject' || line.failing.length === 0,
    `accepted with ${line.failing.join(', ')}`,
  );
  for (const id of expect.warnings ?? []) demand(line.warnings.includes(id), `no warning ${id}`);
  for (const member of ['tcb', 'fields'] as const) {
    for (const [name, want] of Object.entries(expect[member] ?? {})) {
      const got = line[member]?.[name];
      demand(isDeepStrictEqual(got, want), `${member}.${name} is ${JSON.stringify(got)}`);
    }
  }
  demand(expect.authentic || line.tcb === null, 'a TCB status for evidence that is not authentic');
  return problems;
}

test(
  'every case of the TDX corpus has the expected verdict, cause, TCB, warnings and fields',
  { skip: skipWithout(MANIFEST_PATH) },
  () => {
    const lines = judgeCorpus(MANIFEST_PATH, CASES);
    const { cases } = EXPECTATIONS.parse(readManifest(MANIFEST_PATH, MANIFEST_MAX_BYTES));
    assertNoProblems(cases, lines, problemsOf);
  },
);
