/**
 * What an account has left of its rate, for dashboards and for whoever waits: by the limiter that refuses, not beside it.
 * There is no limit on tokens, so nothing is said of any. Spec: openai-gateway-and-engine §2.5, §2.8.
 * @module
 */

export interface RateStanding {
  /** Requests per minute, which is also what may come at once. */
  readonly limit: number;
  readonly remaining: number;
  /** Until all of the limit is there again. */
  readonly fullInMs: number;
  /** Until there is one request; 0 when there is. */
  readonly nextInMs: number;
}

export function rateHeaders(standing: RateStanding): Readonly<Record<string, string>> {
  const { limit, remaining, fullInMs } = standing;
  return {
    'x-ratelimit-limit-requests': String(limit),
    'x-ratelimit-remaining-requests': String(remaining),
    'x-ratelimit-reset-requests': durationText(fullInMs),
  };
}

const MS_PER_S = 1000;
const S_PER_MINUTE = 60;

/** Of a request that came too early: when there is a place for it, in place of any other time. */
export function waitHeaders({ nextInMs }: RateStanding): Readonly<Record<string, string>> {
  if (nextInMs === 0) return {};
  return {
    'retry-after': String(Math.max(1, Math.ceil(nextInMs / MS_PER_S))),
    'retry-after-ms': String(nextInMs),
  };
}

/** As OpenAI writes it: `12ms`, `1.5s`, `6m0s`. */
export function durationText(ms: number): string {
  if (ms < MS_PER_S) return `${Math.ceil(ms)}ms`;
  const seconds = Math.ceil(ms) / MS_PER_S;
  if (seconds < S_PER_MINUTE) return `${seconds}s`;
  const whole = Math.ceil(seconds);
  return `${Math.floor(whole / S_PER_MINUTE)}m${whole % S_PER_MINUTE}s`;
}
