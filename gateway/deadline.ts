/**
 * Time limits of running exchanges: one coarse ticker for all of them, so that moving a limit with every chunk is an
 * assignment and not a timer. @module
 */

import type { Clock } from '../core/clock.ts';
import { DEADLINE_TICK_MS } from './limits.ts';

export interface Deadline {
  /** Move it at will; checked at the next tick. */
  atMs: number;
  readonly onLate: () => void;
}

export interface Deadlines {
  add(deadline: Deadline): void;
  remove(deadline: Deadline): void;
  close(): void;
}

export function createDeadlines(clock: Clock, tickMs = DEADLINE_TICK_MS): Deadlines {
  const running = new Set<Deadline>();
  const ticker = setInterval(() => {
    const nowMs = clock();
    for (const deadline of running) {
      if (deadline.atMs > nowMs) continue;
      running.delete(deadline);
      deadline.onLate();
    }
  }, tickMs);
  ticker.unref();
  return {
    add: (deadline) => void running.add(deadline),
    remove: (deadline) => void running.delete(deadline),
    close: () => clearInterval(ticker),
  };
}
