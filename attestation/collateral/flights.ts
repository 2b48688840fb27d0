/**
 * One piece of work per key at a time: who asks for the same meanwhile waits for the same answer. Work that nobody waits
 * for any more is ended.
 * @module
 */

import { collateralError } from './errors.ts';

interface Flight<Value> {
  readonly result: Promise<Value>;
  readonly ending: AbortController;
  waiting: number;
}

export class Flights<Value> {
  readonly #flights = new Map<string, Flight<Value>>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#flights.size;
  }

  /** Throws what the work throws, `collateral.unavailable` when the caller leaves or too much is under way. */
  async join(
    key: string,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<Value>,
  ): Promise<Value> {
    if (signal.aborted) throw left();
    const flight = this.#flights.get(key) ?? this.#start(key, work);
    flight.waiting++;
    const leaving = Promise.withResolvers<never>();
    const onAbort = (): void => leaving.reject(left());
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await Promise.race([flight.result, leaving.promise]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      flight.waiting--;
      if (flight.waiting === 0) this.#end(key, flight);
    }
  }

  #start(key: string, work: (signal: AbortSignal) => Promise<Value>): Flight<Value> {
    if (this.#flights.size >= this.#max) {
      throw collateralError('collateral.rate_limited', 'too much under way', {
        facts: { reason: 'busy' },
      });
    }
    const ending = new AbortController();
    const result = work(ending.signal);
    const flight: Flight<Value> = { result, ending, waiting: 0 };
    this.#flights.set(key, flight);
    // Whoever still waits sees the outcome through the race above; this only keeps a failure without waiters quiet.
    result.then(
      () => this.#end(key, flight),
      () => this.#end(key, flight),
    );
    return flight;
  }

  #end(key: string, flight: Flight<Value>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
    flight.ending.abort();
  }
}

function left(): Error {
  return collateralError('collateral.unavailable', 'the caller left', {
    facts: { reason: 'aborted' },
  });
}
