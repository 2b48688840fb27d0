/**
 * How much appraisal a registration may cost: so many a minute for each owner, so many at once for newcomers, and a
 * budget of their own for the workers that are in. Asked only after the owner's signature, so that nobody spends the
 * budget of another. Spec: gateways-and-e2ee §8.2 E1.
 * @module
 */

import { registrationError } from '../errors.ts';
import {
  APPRAISALS_OF_NEWCOMERS_MAX,
  APPRAISALS_OF_WORKERS_MAX,
  OWNERS_PER_MINUTE_MAX,
  REGISTRATIONS_PER_OWNER_MAX,
} from '../limits.ts';

export type Standing = 'newcomer' | 'known';

const MS_PER_MINUTE = 60_000;

export class AppraisalBudget {
  readonly #inFlight = { newcomer: 0, known: 0 };
  /** Of this minute. Apart, so that newcomers without number cannot push out the workers that are in. */
  readonly #counts = { newcomer: new Map<string, number>(), known: new Map<string, number>() };
  #minute = 0;

  /** Returns what gives the place back. Throws `registration.rate`, `registration.full`. */
  enter(workerId: string, standing: Standing, nowMs: number): () => void {
    const max = standing === 'known' ? APPRAISALS_OF_WORKERS_MAX : APPRAISALS_OF_NEWCOMERS_MAX;
    if (this.#inFlight[standing] >= max) throw registrationError('registration.full');
    this.#count(workerId, standing, nowMs);
    this.#inFlight[standing]++;
    return () => {
      this.#inFlight[standing]--;
    };
  }

  #count(workerId: string, standing: Standing, nowMs: number): void {
    const minute = Math.floor(nowMs / MS_PER_MINUTE);
    if (minute !== this.#minute) {
      this.#counts.newcomer.clear();
      this.#counts.known.clear();
    }
    this.#minute = minute;
    const counts = this.#counts[standing];
    const count = counts.get(workerId) ?? 0;
    if (count >= REGISTRATIONS_PER_OWNER_MAX) throw registrationError('registration.rate');
    if (count === 0 && counts.size >= OWNERS_PER_MINUTE_MAX) {
      throw registrationError('registration.full');
    }
    counts.set(workerId, count + 1);
  }
}
