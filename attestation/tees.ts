/** Every kind of machine that can be appraised. To add one: write its verifier, add its line here. @module */

import { assert } from '../core/errors.ts';
import { SignatureMemo } from './pki/signature.ts';
import { SnpCache } from './snp/cache.ts';
import { snp } from './snp/verifier.ts';
import { TdxCache } from './tdx/cache.ts';
import { tdx } from './tdx/verifier.ts';
import type { AppraisalCaches, Tee } from './tee.ts';
import type { TeeName } from './verdict.ts';

export const TEES: readonly Tee[] = [tdx, snp];

/** Memory for one party that appraises again and again. */
export function newCaches(): AppraisalCaches {
  return { tdx: new TdxCache(), snp: new SnpCache(), signatures: new SignatureMemo() };
}

/** Evidence is decoded to the names of this registry, so a miss is a bug. */
export function teeOf(name: TeeName): Tee {
  const tee = TEES.find((candidate) => candidate.name === name);
  assert(tee !== undefined, 'a TEE that no verifier serves');
  return tee;
}
