/**
 * The event log corpus through `veilgate vectors`: verdict, cause, registers, events and facts of every case. The
 * corpus lies beside the project; without it these tests are skipped.
 * @module
 */

import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { VectorLine } from '../../../../cli/vectors.ts';
import {
  assertNoProblems,
  judgeCorpus,
  readManifest,
  skipWithout,
} from '../../../support/corpus.ts';

const MANIFEST_PATH = '../shared/vectors/tdx/rtmr/manifest.json';
const MANIFEST_MAX_BYTES = 1024 * 1024;
const CASES = 23;

const EXPECTATIONS = z.object({
  logs: z.array(
    z.object({
      id: z.string(),
      title: z.string(),
      expect: z.object({
        verdict: z.enum(['match', 'mismatch', 'reject']),
        failingAnyOf: z.array(z.string()).optional(),
        replayed: z.array(z.string()).optional(),
        events: z.number().optional(),
        list: z.array(z.array(z.unknown())).optional(),
        facts: z.record(z.string(), z.string()).optional(),
        applicationEvents: z.array(z.string()).optional(),
      }),
    }),
  ),
});
type Expected = z.infer<typeof EXPECTATIONS>['logs'][number];

function problemsOf({ expect }: Expected, line: VectorLine): readonly string[] {
  const problems: string[] = [];
  const demand = (holds: boolean, what: string): void => void (holds || problems.push(what));
  demand(line.verdict === expect.verdict, `verdict ${line.verdict}: ${line.failing.join(', ')}`);
  const causes = expect.failingAnyOf;
  demand(
    causes === undefined
      ? line.failing.length === 0
      : causes.some((id) => line.failing.includes(id)),
    `none of ${causes?.join(', ')} failed, but ${line.failing.join(', ')}`,
  );
  for (const member of ['replayed', 'events', 'list', 'facts', 'applicationEvents'] as const) {
    const want = expect[member];
    demand(
      want === undefined || isDeepStrictEqual(line[member], want),
      `${member} is something else`,
    );
  }
  demand(expect.verdict === 'match' || line.facts === null, 'facts from a log that does not match');
  demand(expect.verdict !== 'reject' || line.replayed === null, 'registers of a rejected log');
  return problems;
}

test(
  'every case of the event log corpus has the expected verdict, cause, registers and facts',
  { skip: skipWithout(MANIFEST_PATH) },
  () => {
    const lines = judgeCorpus(MANIFEST_PATH, CASES);
    const { logs } = EXPECTATIONS.parse(readManifest(MANIFEST_PATH, MANIFEST_MAX_BYTES));
    assertNoProblems(logs, lines, problemsOf);
  },
);
