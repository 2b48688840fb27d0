/**
 * What to do about a document or certificate that is outside its time: fetch it, or look at a clock. In words with the
 * distances in them, because the distance tells which of the two it is.
 * @module
 */

import { formatInstant } from '../core/clock.ts';

const UNITS = [
  { name: 'day', ms: 86_400_000 },
  { name: 'hour', ms: 3_600_000 },
  { name: 'minute', ms: 60_000 },
  { name: 'second', ms: 1000 },
] as const;

/** The largest whole unit: "3 days". */
export function spanText(ms: number): string {
  const unit = UNITS.find((candidate) => ms >= candidate.ms) ?? UNITS[3];
  const count = Math.floor(ms / unit.ms);
  return `${count} ${unit.name}${count === 1 ? '' : 's'}`;
}

export interface Period {
  readonly fromMs: number;
  readonly untilMs: number;
}

/** Undefined while the period lasts. */
export function datedAdvice(
  what: string,
  { fromMs, untilMs }: Period,
  nowMs: number,
): string | undefined {
  if (nowMs > untilMs) {
    const age = spanText(nowMs - untilMs);
    return `The ${what} expired on ${formatInstant(untilMs)}, ${age} before the instant of this check: fetch it anew. If it was just fetched, look at the clock.`;
  }
  if (nowMs >= fromMs) return undefined;
  const ahead = spanText(fromMs - nowMs);
  return `The ${what} begins on ${formatInstant(fromMs)}, ${ahead} after the instant of this check: the clock of this machine (or --at) is behind.`;
}
