/**
 * Intel's TCB recoveries as its service numbered them, for messages: a policy's floors decide, never this table. A number
 * becomes the service's standard about a year after its day.
 * Spec: tdx.md §2 ("tcbEvaluationDataNumbers"), observed at api.trustedservices.intel.com; the service itself decides.
 * @module
 */

import { parseInstant } from '../../../core/clock.ts';

export interface TdxRecovery {
  readonly number: number;
  /** Of the recovery event. */
  readonly day: string;
  /** Month in which the service was first seen to serve it as its standard. */
  readonly standardSince: string;
}

export const TDX_RECOVERIES_AS_OF = '2026-08';

export const TDX_RECOVERIES = [
  { number: 17, day: '2024-03-12', standardSince: '2025-10' },
  { number: 18, day: '2024-11-12', standardSince: '2026-02' },
  { number: 19, day: '2025-05-13', standardSince: '2026-05' },
  { number: 20, day: '2025-08-12', standardSince: '2026-08' },
] as const satisfies readonly TdxRecovery[];

/** What a platform had to reach at that instant. */
export function standardRecovery(nowMs: number): TdxRecovery | undefined {
  return TDX_RECOVERIES.findLast(
    ({ standardSince }) => (parseInstant(`${standardSince}-01T00:00:00Z`) ?? 0) <= nowMs,
  );
}
