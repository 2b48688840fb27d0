/** Every kind of machine that can be appraised. To add one: write its verifier, add its line here. @module */

import { assert } from '../core/errors.ts';
import { tdx } from './tdx/verifier.ts';
import type { Tee } from './tee.ts';
import type { TeeName } from './verdict.ts';

export const TEES: readonly Tee[] = [tdx];

/** Evidence is decoded to the names of this registry, so a miss is a bug. */
export function teeOf(name: TeeName): Tee {
  const tee = TEES.find((candidate) => candidate.name === name);
  assert(tee !== undefined, 'a TEE that no verifier serves');
  return tee;
}
