/**
 * The only place that reads the wall clock. Everything else receives a `Clock` or an instant.
 * @module
 */

/** Milliseconds since the Unix epoch. */
export type Clock = () => number;

export const systemClock: Clock = () => Date.now();

/** A clock that tests move by hand. */
export function manualClock(startMs: number): {
  readonly now: Clock;
  readonly advance: (ms: number) => void;
} {
  let nowMs = startMs;
  return {
    now: () => nowMs,
    advance: (ms) => {
      nowMs += ms;
    },
  };
}

/** Parses an RFC 3339 UTC instant such as 2026-06-15T12:00:00Z to milliseconds; undefined when it is not one. */
export function parseInstant(text: string): number | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,3})\d*)?Z$/.exec(text);
  if (match === null) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number);
  if (year === undefined || month === undefined || day === undefined) return undefined;
  if (hour === undefined || minute === undefined || second === undefined) return undefined;
  const ms = Date.UTC(year, month - 1, day, hour, minute, second);
  const back = formatInstant(ms);
  // Date.UTC rolls 31 February over; a text that does not come back the same was not a date.
  if (back.slice(0, 19) !== text.slice(0, 19)) return undefined;
  return ms + Number((match[7] ?? '0').padEnd(3, '0'));
}

export function formatInstant(ms: number): string {
  const iso = new Date(ms).toISOString();
  return iso.endsWith('.000Z') ? `${iso.slice(0, 19)}Z` : iso;
}
