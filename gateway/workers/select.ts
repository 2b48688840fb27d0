/**
 * Which of the sealed recipients gets the request: a pure choice over counters, so that every rule can be tested alone.
 * A worker that fails fast looks idle, so failures close its door instead of lightening its load. Spec:
 * gateways-and-e2ee §1.6 defect 3, §8.2 E3.
 * @module
 */

import {
  BREAKER_FAILURES,
  BREAKER_OPEN_MAX_MS,
  BREAKER_OPEN_MIN_MS,
  BUSY_HOLD_MS,
} from '../limits.ts';

/** Changed by dispatch only, through the functions below. */
export interface WorkerLoad {
  inFlight: number;
  /** In a row; an answer with FINAL and receipt sets it back. */
  failures: number;
  /** Until then the door is closed; after it one request at a time may try. */
  openUntilMs: number;
  openForMs: number;
  busyUntilMs: number;
  /** Grows with every choice: the smallest waited longest. */
  lastChosen: number;
}

export function newLoad(): WorkerLoad {
  return {
    inFlight: 0,
    failures: 0,
    openUntilMs: 0,
    openForMs: 0,
    busyUntilMs: 0,
    lastChosen: 0,
  };
}

export interface Choosable {
  readonly load: WorkerLoad;
  readonly key: { readonly limits: { readonly maxConcurrent: number } };
}

/** Before load counts. Lower is better. */
const RANK = { trial: 0, ready: 1, full: 2, suspect: 3, closed: 4 } as const;
type Rank = (typeof RANK)[keyof typeof RANK];

function rankOf({ load, key }: Choosable, nowMs: number): Rank {
  if (load.openUntilMs > nowMs) return RANK.closed;
  if (load.failures >= BREAKER_FAILURES) {
    // After its pause a suspect gets one request, ahead of the others: or it would never prove itself.
    return load.inFlight > 0 ? RANK.suspect : RANK.trial;
  }
  if (load.busyUntilMs > nowMs || load.inFlight >= key.limits.maxConcurrent) return RANK.full;
  return RANK.ready;
}

/**
 * The order in which to try. Those whose door is closed come only when nobody else is left, and in the order in which
 * their doors open.
 */
export function selectOrder<Worker extends Choosable>(
  candidates: readonly Worker[],
  nowMs: number,
): readonly Worker[] {
  const ranked = candidates.map((worker) => ({ worker, rank: rankOf(worker, nowMs) }));
  const usable = ranked.filter((entry) => entry.rank < RANK.closed);
  const offered = usable.length > 0 ? usable : ranked;
  return offered
    .sort((a, b) => a.rank - b.rank || compare(a.worker, b.worker))
    .map((entry) => entry.worker);
}

function compare(a: Choosable, b: Choosable): number {
  return (
    a.load.openUntilMs - b.load.openUntilMs ||
    fill(a) - fill(b) ||
    a.load.lastChosen - b.load.lastChosen
  );
}

function fill(worker: Choosable): number {
  return worker.load.inFlight / Math.max(1, worker.key.limits.maxConcurrent);
}

let choices = 0;

export function noteChosen(load: WorkerLoad): void {
  load.inFlight++;
  load.lastChosen = ++choices;
}

export type AttemptNote = 'good' | 'failed' | 'busy' | 'neutral';

/** The door stays closed twice as long each time the trial fails, up to a minute. */
export function noteDone(load: WorkerLoad, note: AttemptNote, nowMs: number): void {
  load.inFlight--;
  if (note === 'busy') load.busyUntilMs = nowMs + BUSY_HOLD_MS;
  if (note === 'good') {
    load.failures = 0;
    load.openForMs = 0;
    load.openUntilMs = 0;
  }
  if (note !== 'failed') return;
  load.failures++;
  if (load.failures < BREAKER_FAILURES) return;
  load.openForMs = Math.min(BREAKER_OPEN_MAX_MS, Math.max(BREAKER_OPEN_MIN_MS, load.openForMs * 2));
  load.openUntilMs = nowMs + load.openForMs;
}
