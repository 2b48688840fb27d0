/** Time that passes when a test says so: a clock and the pauses that wait for it. No sleeps, no timers. @module */

import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../core/clock.ts';

interface Sleeper {
  readonly untilMs: number;
  readonly wake: (isOver: boolean) => void;
}

/** Turns of the event loop in which nothing but the clock can be what everybody waits for. */
const QUIET_TURNS = 4;
const STEPS_MAX = 10_000;

export class ManualTime {
  #nowMs: number;
  readonly #sleepers = new Set<Sleeper>();

  constructor(startMs: number) {
    this.#nowMs = startMs;
  }

  readonly now: Clock = () => this.#nowMs;

  readonly pause = async (ms: number, signal: AbortSignal): Promise<boolean> => {
    if (signal.aborted) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const sleeper: Sleeper = { untilMs: this.#nowMs + Math.max(0, ms), wake: resolve };
    const onAbort = (): void => resolve(false);
    this.#sleepers.add(sleeper);
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await promise;
    } finally {
      this.#sleepers.delete(sleeper);
      signal.removeEventListener('abort', onAbort);
    }
  };

  get sleeping(): number {
    return this.#sleepers.size;
  }

  /** Moves on by `ms`, waking everybody on the way at their own instant. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      await quiet();
      const next = this.#earliest();
      if (next === undefined || next.untilMs > untilMs) break;
      this.#wake(next);
    }
    this.#nowMs = untilMs;
    await quiet();
  }

  /** Lets as much time pass as the promise needs, and no more. */
  async settle<Value>(promise: Promise<Value>): Promise<Value> {
    let isSettled = false;
    const note = (): void => {
      isSettled = true;
    };
    promise.then(note, note);
    for (let step = 0; step < STEPS_MAX; step++) {
      await quiet();
      if (isSettled) return await promise;
      const next = this.#earliest();
      if (next !== undefined) this.#wake(next);
    }
    throw new Error('nothing left that could settle it');
  }

  #earliest(): Sleeper | undefined {
    return [...this.#sleepers].toSorted((a, b) => a.untilMs - b.untilMs)[0];
  }

  #wake(sleeper: Sleeper): void {
    this.#nowMs = Math.max(this.#nowMs, sleeper.untilMs);
    this.#sleepers.delete(sleeper);
    sleeper.wake(true);
  }
}

async function quiet(): Promise<void> {
  for (let turn = 0; turn < QUIET_TURNS; turn++) await nextTurn();
}
