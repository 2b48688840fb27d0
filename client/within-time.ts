/** Time limits that say what they were: an abort would read as the app's own wish. @module */

import { deferred } from '../core/deferred.ts';
import { VeilError } from '../core/errors.ts';
import { clientError } from './errors.ts';

/**
 * Throws `client.unreachable` once the limit is over, also when the work does not hear of it; the caller's own abort reason
 * when that came first.
 */
export async function withinTime<Value>(
  limitMs: number,
  caller: AbortSignal,
  work: (signal: AbortSignal) => Promise<Value>,
): Promise<Value> {
  const limit = AbortSignal.timeout(limitMs);
  const signal = AbortSignal.any([caller, limit]);
  try {
    return await unlessAborted(work(signal), signal);
  } catch (cause) {
    caller.throwIfAborted();
    if (!limit.aborted || cause instanceof VeilError) throw cause;
    throw clientError('client.unreachable', 'time limit', { cause });
  }
}

/** Leaves the work to itself when the signal fires. */
export async function unlessAborted<Value>(
  work: Promise<Value>,
  signal: AbortSignal,
): Promise<Value> {
  const { promise, reject } = deferred<never>();
  const stop = (): void => reject(signal.reason);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}
