/**
 * The online service that signs a repository's timestamp: every 20 s, and at once when somebody published. `veilgate revoke
 * timestamp` runs it, and `veilgate up` beside its gateway. Spec: docs/publication.md §2 "Timestamp".
 * @module
 */

import { VeilError } from '../../core/errors.ts';
import {
  openTimestamper,
  type Tick,
  type Timestamper,
  type TimestamperOptions,
} from './timestamper.ts';
import { watchRepository, type RepositoryWatch } from './watch-repository.ts';

export const TIMESTAMP_EVERY_MS = 20_000;
/** After a look that failed, or a burst of changes. */
const SOON_MS = 1000;

/** `failed`: a disk or a file, named by its code; tried again. */
export type TimestampReport = Tick | { readonly outcome: 'failed'; readonly because: string };

export interface TimestampServiceOptions extends TimestamperOptions {
  readonly everyMs?: number;
  readonly signal: AbortSignal;
  /** After every look; what is worth a line is for the caller to say. */
  readonly onTick?: (report: TimestampReport) => void;
}

/**
 * Until `signal` aborts. The first timestamp is signed before this returns its promise. Throws at the start what
 * `openTimestamper` throws; later failures are reported and tried again.
 */
export async function runTimestampService(options: TimestampServiceOptions): Promise<void> {
  const { directory, signal, everyMs = TIMESTAMP_EVERY_MS, onTick = () => undefined } = options;
  const timestamper = openTimestamper(options);
  const watch = watchRepository(directory);
  try {
    let dueMs = options.now();
    let woken: Awaited<ReturnType<RepositoryWatch['next']>> = 'passed';
    while (!signal.aborted) {
      const isDue = woken === 'passed' || options.now() >= dueMs;
      const report = look(timestamper, isDue ? 'due' : 'changes');
      onTick(report);
      if (report.outcome === 'signed') dueMs = options.now() + everyMs;
      const isWell = report.outcome === 'signed' || report.outcome === 'unchanged';
      // A clock that was set back does not make the pause longer.
      const restMs = Math.min(everyMs, Math.max(0, dueMs - options.now()));
      woken = await watch.next(isWell ? restMs : SOON_MS, signal);
    }
  } finally {
    watch.close();
    timestamper.close();
  }
}

/** One timestamp, and the end. Throws what `openTimestamper` and a disk throw. */
export function signTimestampOnce(options: TimestamperOptions): Tick {
  const timestamper = openTimestamper(options);
  try {
    return timestamper.tick('due');
  } finally {
    timestamper.close();
  }
}

function look(timestamper: Timestamper, reason: 'due' | 'changes'): TimestampReport {
  try {
    return timestamper.tick(reason);
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    return { outcome: 'failed', because: error.message };
  }
}
