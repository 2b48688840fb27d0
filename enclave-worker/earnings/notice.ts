/**
 * What a notice of settlement means beside what this worker knows: news, late on its way, unsound, or the word of a gateway
 * that has forgotten. Spec: P§15.2; ton-settlement §4.7 (rollback witness), §4.11 rule 5.
 * @module
 */

import type { Settled } from '../../protocol/settled.ts';
import { NOTICE_CLOCK_AHEAD_MAX_MS, NOTICE_OVERTAKING_MS } from '../limits.ts';
import type { Acknowledged } from './store.ts';

export interface NoticeGround {
  readonly asset: Settled['asset'];
  readonly nowMs: number;
  /** Of the statement that the notice is about; undefined: not one of this worker's. */
  readonly standing: { readonly issued: bigint; readonly acknowledged: bigint } | undefined;
  /** The newest before it. */
  readonly last: Acknowledged | undefined;
}

export type NoticeFault = 'asset' | 'clock' | 'paid' | 'statement';

export type JudgedNotice =
  | { readonly outcome: 'news' }
  | { readonly outcome: 'late' }
  | { readonly outcome: 'unsound'; readonly fault: NoticeFault }
  | { readonly outcome: 'rolled_back'; readonly known: bigint; readonly said: bigint };

export function judgeNotice(notice: Settled, ground: NoticeGround): JudgedNotice {
  const { standing, last } = ground;
  if (notice.asset !== ground.asset) return { outcome: 'unsound', fault: 'asset' };
  // One mistake of its clock must not make everything after it look late.
  if (notice.atMs > ground.nowMs + NOTICE_CLOCK_AHEAD_MAX_MS) {
    return { outcome: 'unsound', fault: 'clock' };
  }
  if (notice.paid > notice.earned) return { outcome: 'unsound', fault: 'paid' };
  if (standing === undefined) return { outcome: 'unsound', fault: 'statement' };
  if (notice.workerSeq > standing.issued) {
    return { outcome: 'rolled_back', known: standing.issued, said: notice.workerSeq };
  }
  if (last !== undefined && notice.atMs < last.atMs) return { outcome: 'late' };
  const loss = lossOf(notice, standing.acknowledged, last);
  if (loss === undefined) return { outcome: 'news' };
  // Two replicas of a gateway read the same books, and their notices may overtake each other.
  const isOvertaken = last !== undefined && notice.atMs < last.atMs + NOTICE_OVERTAKING_MS;
  return isOvertaken ? { outcome: 'late' } : { outcome: 'rolled_back', ...loss };
}

/** What the gateway knew before and does not know any more. */
function lossOf(
  { workerSeq, earned, paid }: Settled,
  acknowledged: bigint,
  last: Acknowledged | undefined,
): { readonly known: bigint; readonly said: bigint } | undefined {
  const pairs = [
    [acknowledged, workerSeq],
    [last?.earned ?? 0n, earned],
    [last?.paid ?? 0n, paid],
  ] as const;
  for (const [known, said] of pairs) if (said < known) return { known, said };
  return undefined;
}
