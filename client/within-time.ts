/** A time limit that says what it was: an abort would read as the app's own wish. @module */

import { VeilError } from '../core/errors.ts';
import { clientError } from './errors.ts';

/** Throws `client.unreachable` once the limit is over; the caller's own abort reason when that came first. */
export async function withinTime<Value>(
  limitMs: number,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const limit = AbortSignal.timeout(limitMs);
  try {
    return await work(AbortSignal.any([signal, limit]));
  } catch (cause) {
    signal.throwIfAborted();
    if (!limit.aborted || cause instanceof VeilError) throw cause;
    throw clientError('client.unreachable', 'time limit', { cause });
  }
}
