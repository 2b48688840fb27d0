/**
 * One call at a time, in order of arrival. Hosts throttle quote requests, and a request that hangs in the kernel cannot
 * be taken back: its caller may leave, the lane waits for it. Spec: STYLE §2.
 * @module
 */

import type { VeilError } from '../../core/errors.ts';
import { providerError } from '../errors.ts';
import { COLLECT_LEAVE_AFTER_MS, COLLECT_WAITING_MAX } from '../limits.ts';
import type { Guest } from './guest.ts';

export class Lane {
  readonly #wait: Guest['wait'];
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;

  constructor({ wait }: Pick<Guest, 'wait'>) {
    this.#wait = wait;
  }

  /**
   * `work` has to end by itself soon after `signal` aborts; when it does not, the caller is let go and the lane stays
   * taken until it has. Throws `evidence.busy`, `evidence.timeout`, `evidence.aborted`, and what `work` throws.
   */
  async run<Value>(work: () => Promise<Value>, signal: AbortSignal): Promise<Value> {
    if (this.#waiting >= COLLECT_WAITING_MAX) {
      throw providerError('evidence.busy', 'too many calls are waiting');
    }
    const before = this.#last;
    const { promise: over, resolve: leave } = Promise.withResolvers<void>();
    this.#last = before.then(() => over);
    this.#waiting++;
    try {
      await settledOr(before, signal, () => Promise.resolve(true));
    } catch (error) {
      leave();
      throw error;
    } finally {
      this.#waiting--;
    }
    const result = work();
    result.then(
      () => leave(),
      () => leave(),
    );
    return settledOr(result, signal, (settled) => this.#wait(COLLECT_LEAVE_AFTER_MS, settled));
  }
}

/** Why `signal` aborted, as one of our errors. */
export function stopErrorOf(signal: AbortSignal): VeilError {
  const late = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError';
  return providerError(late ? 'evidence.timeout' : 'evidence.aborted');
}

/** `promise`, or the error of `signal` once it has aborted and the grace is over. */
async function settledOr<Value>(
  promise: Promise<Value>,
  signal: AbortSignal,
  grace: (settled: AbortSignal) => Promise<boolean>,
): Promise<Value> {
  const settled = new AbortController();
  const left = new Promise<never>((_resolve, reject) => {
    const giveUp = async (): Promise<void> => {
      if (await grace(settled.signal)) reject(stopErrorOf(signal));
    };
    if (signal.aborted) void giveUp();
    signal.addEventListener('abort', () => void giveUp(), { once: true, signal: settled.signal });
  });
  try {
    return await Promise.race([promise, left]);
  } finally {
    settled.abort();
  }
}
