/**
 * Writes the outcome of one policy line: what was wanted, what came, and where the line stands.
 * Spec: gpu-and-policy §5.3 (3), §5.5.
 * @module
 */

import { textOf, type LazyText } from '../check-sheet.ts';
import { passedAt, skippedCheck, waivedCheck } from '../shared-checks.ts';
import type { Check } from '../verdict.ts';

/** Texts that cost something are made only when needed. */
export interface Expectation {
  readonly at: string;
  readonly want: LazyText;
  readonly got: LazyText;
}

export function demanded(id: string, holds: boolean, { at, want, got }: Expectation): Check {
  if (holds) return passedAt(id, at);
  return { id, outcome: 'fail', want: textOf(want), got: textOf(got), at };
}

export function waived(id: string, by: string, note: string): Check {
  return waivedCheck(id, by, note);
}

export function skipped(id: string, because: string): Check {
  return skippedCheck(id, because);
}

/** Skipped and failed alike keep a worker out. */
export function holds({ outcome }: Check): boolean {
  return outcome === 'pass' || outcome === 'waived';
}

/** "one of a | b", and for an empty list the reason why nothing matches. */
export function listText(values: readonly string[]): string {
  return values.length === 0 ? 'nothing: the list is empty' : values.join(' | ');
}
