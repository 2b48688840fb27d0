/**
 * Worker: every msg_id is opened once. Bounded; refuses when full; never evicts; a clock that leaps back does not make
 * it forget. Spec: P§8.3.
 * @module
 */

import { assert } from '../../core/errors.ts';
import { REPLAY_ENTRIES_MAX } from './limits.ts';

const SECOND_MS = 1000;

/** Measured 70 bytes an entry: 28 MB at the default bound. */
export class ReplaySet {
  readonly #maxEntries: number;
  readonly #seen = new Set<string>();
  /** Ids by the second in which they may be forgotten. */
  readonly #bySecond = new Map<number, string[]>();
  #purgedThroughS: number | undefined;

  constructor(maxEntries: number = REPLAY_ENTRIES_MAX) {
    assert(maxEntries > 0, 'replay set size');
    this.#maxEntries = maxEntries;
  }

  get size(): number {
    return this.#seen.size;
  }

  /** Remembers `msgId` until `expiresAtMs` at least. One synchronous step: two copies cannot both be first. */
  insert(msgId: Uint8Array, expiresAtMs: number, nowMs: number): 'inserted' | 'replay' | 'full' {
    this.#purge(Math.floor(nowMs / SECOND_MS));
    const id = String.fromCharCode(...msgId);
    const expiresS = Math.ceil(expiresAtMs / SECOND_MS);
    // It may have been here and been purged, before the clock was set back.
    if (this.#purgedThroughS !== undefined && expiresS <= this.#purgedThroughS) return 'replay';
    if (this.#seen.has(id)) return 'replay';
    if (this.#seen.size >= this.#maxEntries) return 'full';
    this.#seen.add(id);
    const bucket = this.#bySecond.get(expiresS);
    if (bucket === undefined) this.#bySecond.set(expiresS, [id]);
    else bucket.push(id);
    return 'inserted';
  }

  /** The buckets are at most as many as the seconds that a request may live, so walking them is cheap. */
  #purge(nowS: number): void {
    if (this.#purgedThroughS !== undefined && nowS <= this.#purgedThroughS) return;
    this.#purgedThroughS = nowS;
    for (const [second, ids] of this.#bySecond) {
      if (second > nowS) continue;
      for (const id of ids) this.#seen.delete(id);
      this.#bySecond.delete(second);
    }
  }
}
