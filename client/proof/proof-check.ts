/** Checks of a kept proof in the form of a verdict's, so that one report shows both. @module */

import type { Check } from '../../attestation/verdict.ts';

export function passed(id: string): Check {
  return { id, outcome: 'pass' };
}

export function failed(id: string, want: string, got = 'something else'): Check {
  return { id, outcome: 'fail', want, got };
}

export function named(id: string, holds: boolean, want: string, got?: string): Check {
  return holds ? passed(id) : failed(id, want, got);
}

export function skippedFor(id: string, because: string): Check {
  return { id, outcome: 'skipped', because };
}

/** Unless said otherwise by whoever verifies, who did not say what it has to be. */
export function waivedBy(id: string, note: string, by = 'the verifier'): Check {
  return { id, outcome: 'waived', by, note };
}
