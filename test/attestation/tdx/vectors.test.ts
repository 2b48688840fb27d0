/**
 * The TDX quote corpus through `veilgate vectors`: verdict, authenticity, cause, TCB, warnings and parsed fields of
 * every case. The corpus lies beside the project; without it these tests are skipped.
 * @module
 */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { z } from 'zod';
import { runVectors, type VectorLine } from '../../../cli/vectors.ts';
import { parseJson } from '../../../core/json.ts';

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
      demand(isEqual(got, want), `${member}.${name} is ${JSON.stringify(got)}`);
    }
  }
  demand(expect.authentic || line.tcb === null, 'a TCB status for evidence that is not authentic');
  return problems;
}

function isEqual(got: unknown, want: unknown): boolean {
  try {
    assert.deepEqual(got, want);
    return true;
  } catch {
    return false;
  }
}

const isHere = existsSync(MANIFEST_PATH);

test(
  'every case of the TDX corpus has the expected verdict, cause, TCB, warnings and fields',
  { skip: isHere ? false : `${MANIFEST_PATH} is not here` },
  () => {
    const lines = new Map<string, VectorLine>();
    const summary = runVectors(MANIFEST_PATH, (line) => void lines.set(line.id, line));
    assert.deepEqual(summary, { judged: CASES, unsupported: 0, errors: 0 });
    const { cases } = EXPECTATIONS.parse(
      parseJson(readFileSync(MANIFEST_PATH), MANIFEST_MAX_BYTES),
    );
    const problems = cases.flatMap((expected) => {
      const line = lines.get(expected.id);
      const found = line === undefined ? ['no line'] : problemsOf(expected, line);
      return found.map((problem) => `${expected.id} (${expected.title}): ${problem}`);
    });
    assert.deepEqual(problems, []);
  },
);
