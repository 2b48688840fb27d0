/** How long something is good for, and how long ago something was, as people say it. @module */

import { parseInstant } from '../../core/clock.ts';
import { cliError } from '../errors.ts';

const SECOND_MS = 1000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
const YEAR_DAYS = 365;

const UNIT_MS: Readonly<Record<string, number>> = {
  s: SECOND_MS,
  m: MINUTE_MS,
  h: HOUR_MS,
  d: DAY_MS,
  y: YEAR_DAYS * DAY_MS,
};

export function wholeSecond(ms: number): number {
  return Math.floor(ms / SECOND_MS) * SECOND_MS;
}

/** `90d`, `1y` from now, or an instant. Throws `cli.option`. */
export function parseExpiry(text: string, nowMs: number): number {
  const atMs = parseInstant(text) ?? (/^[1-9]\d{0,4}[dy]$/.test(text) ? nowMs + spanOf(text) : NaN);
  if (atMs > nowMs && Number.isFinite(atMs)) return wholeSecond(atMs);
  throw cliError(
    'cli.option',
    '--expires takes 90d, 1y or an instant such as 2027-11-24T09:00:00Z, later than now',
  );
}

/** `20s`, `5m`. Throws `cli.option`. */
export function parseSpan(option: string, text: string): number {
  if (/^[1-9]\d{0,4}[smh]$/.test(text)) return spanOf(text);
  throw cliError('cli.option', `${option} takes a time such as 20s or 5m`);
}

function spanOf(text: string): number {
  return Number(text.slice(0, -1)) * (UNIT_MS[text.slice(-1)] ?? NaN);
}

/** `in 12 days`, `3 hours ago`, `now`. */
export function fromNow(atMs: number, nowMs: number): string {
  const text = spanText(Math.abs(atMs - nowMs));
  if (text === '0 s') return 'now';
  return atMs > nowMs ? `in ${text}` : `${text} ago`;
}

export function spanText(ms: number): string {
  if (ms >= 2 * DAY_MS) return `${Math.floor(ms / DAY_MS)} days`;
  if (ms >= 2 * HOUR_MS) return `${Math.floor(ms / HOUR_MS)} hours`;
  if (ms >= 2 * MINUTE_MS) return `${Math.floor(ms / MINUTE_MS)} minutes`;
  return `${Math.floor(ms / SECOND_MS)} s`;
}
