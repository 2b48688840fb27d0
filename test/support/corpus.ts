/** Corpora beside the project, through the runner of `veilgate vectors`. @module */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { runVectors, type VectorLine } from '../../cli/vectors.ts';
import { parseJson } from '../../core/json.ts';

/** For the `skip` of a test: why, or false where the corpus is there. */
export function skipWithout(path: string): string | false {
  return existsSync(path) ? false : `${path} is not here`;
}

export function readManifest(path: string, maxBytes: number): unknown {
  return parseJson(readFileSync(path), maxBytes);
}

/** By case. Fails unless exactly so many cases were judged, and no other was met. */
export function judgeCorpus(path: string, cases: number): ReadonlyMap<string, VectorLine> {
  const lines = new Map<string, VectorLine>();
  const summary = runVectors(path, (line) => void lines.set(line.id, line));
  assert.deepEqual(summary, { judged: cases, unsupported: 0, errors: 0 });
  return lines;
}

interface TitledCase {
  readonly id: string;
  readonly title: string;
}

/** Fails with all that is wrong, not with the first. */
export function assertNoProblems<Case extends TitledCase>(
  cases: readonly Case[],
  lines: ReadonlyMap<string, VectorLine>,
  problemsOf: (expected: Case, line: VectorLine) => readonly string[],
): void {
  assert.ok(cases.length > 0);
  const problems = cases.flatMap((expected) => {
    const line = lines.get(expected.id);
    const found = line === undefined ? ['no line'] : problemsOf(expected, line);
    return found.map((problem) => `${expected.id} (${expected.title}): ${problem}`);
  });
  assert.deepEqual(problems, []);
}
