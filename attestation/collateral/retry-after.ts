/** How long a server asks us to wait. Spec: RFC 9110 §10.2.3 (Retry-After), §5.6.7 (IMF-fixdate). @module */

import { RETRY_AFTER_MAX_MS } from './limits.ts';

const SECOND_MS = 1000;
const MONTHS = 'JanFebMarAprMayJunJulAugSepOctNovDec';
const FIXDATE =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/;

/** Milliseconds from now, at most `RETRY_AFTER_MAX_MS`; 0 for a header that is absent, past or not understood. */
export function retryAfterMs(value: string | readonly string[] | undefined, nowMs: number): number {
  if (typeof value !== 'string') return 0;
  const text = value.trim();
  const waitMs = /^\d{1,10}$/.test(text) ? Number(text) * SECOND_MS : untilDate(text, nowMs);
  return Math.min(Math.max(0, waitMs), RETRY_AFTER_MAX_MS);
}

function untilDate(text: string, nowMs: number): number {
  const [, day, month, year, hour, minute, second] = FIXDATE.exec(text) ?? [];
  if (month === undefined) return 0;
  const at = MONTHS.indexOf(month);
  if (at < 0 || at % 3 !== 0) return 0;
  const [y, d, h, m, s] = [year, day, hour, minute, second].map(Number);
  return Date.UTC(y ?? 0, at / 3, d, h, m, s) - nowMs;
}
