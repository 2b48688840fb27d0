/**
 * Writes the outcome of one policy line: what was wanted, what came, and where the line stands.
 * Spec: gpu-and-policy §5.3 (3), §5.5.
 * @module
 */

import type { Check } from '../verdict.ts';

export interface Expectation {
  readonly at: string;
  readonly want: string;
  readonly got: string;
}

export function demanded(id: string, holds: boolean, { at, want, got }: Expectation): Check {
  return holds ? { id, outcome: 'pass', at } : { id, outcome: 'fail', want, got, at };
}

export function waived(id: string, by: string, note: string): Check {
  return { id, outcome: 'waived', by, note };
}

export function skipped(id: string, because: string): Check {
  return { id, outcome: 'skipped', because };
}

/** Skipped and failed alike keep a worker out. */
export function holds({ outcome }: Check): boolean {
  return outcome === 'pass' || outcome === 'waived';
}

/** "one of a | b", and for an empty list the reason why nothing matches. */
export function listText(values: readonly string[]): string {
  return values.length === 0 ? 'nothing: the list is empty' : values.join(' | ');
}
