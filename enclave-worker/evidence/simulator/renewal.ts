/** Signed documents that are made anew before they expire. @module */

import type { Clock } from '../../../core/clock.ts';

/** Machines whose clocks run a little behind still find the documents valid. */
const BACKDATED_MS = 3600_000;
const DOCUMENT_LIFE_MS = 7 * 24 * 3600_000;

export interface DocumentTimes {
  readonly issueMs: number;
  readonly nextUpdateMs: number;
}

/** Signs once now, and again at half the life of what was signed last. */
export async function renewed<T>(
  now: Clock,
  sign: (times: DocumentTimes) => Promise<T>,
): Promise<() => Promise<T>> {
  let documents = await sign(timesAt(now()));
  let renewAtMs = now() + DOCUMENT_LIFE_MS / 2;
  return async () => {
    const nowMs = now();
    if (nowMs < renewAtMs) return documents;
    // Two callers at this moment sign twice; both results are good.
    documents = await sign(timesAt(nowMs));
    renewAtMs = nowMs + DOCUMENT_LIFE_MS / 2;
    return documents;
  };
}

function timesAt(nowMs: number): DocumentTimes {
  return {
    issueMs: wholeSecond(nowMs - BACKDATED_MS),
    nextUpdateMs: wholeSecond(nowMs + DOCUMENT_LIFE_MS),
  };
}

function wholeSecond(ms: number): number {
  return Math.floor(ms / 1000) * 1000;
}
