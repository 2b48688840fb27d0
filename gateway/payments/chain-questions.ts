/**
 * What strangers make this gateway ask the chain: few questions at once, and so many a minute. Providers answer only so
 * many, and the settler needs them to see withdraws and to claim in time. Spec: ton-settlement §4.8, §4.11 rule 7.
 * @module
 */

import type { Clock } from '../../core/clock.ts';
import { gatewayError } from '../errors.ts';
import { CHAIN_QUESTIONS_AT_ONCE_MAX, CHAIN_QUESTIONS_PER_MINUTE_MAX } from '../limits.ts';

const MS_PER_MINUTE = 60_000;

export class ChainQuestions {
  readonly #clock: Clock;
  #asking = 0;
  /** Token bucket: questions left, and when that was true. */
  #left = CHAIN_QUESTIONS_PER_MINUTE_MAX;
  #atMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#atMs = clock();
  }

  /** Throws `gateway.busy`, and as `work` does. */
  async ask<Answer>(work: () => Promise<Answer>): Promise<Answer> {
    this.#refill();
    if (this.#asking >= CHAIN_QUESTIONS_AT_ONCE_MAX || this.#left < 1) {
      throw gatewayError('gateway.busy', 'questions to the chain');
    }
    this.#left--;
    this.#asking++;
    try {
      return await work();
    } finally {
      this.#asking--;
    }
  }

  #refill(): void {
    const nowMs = this.#clock();
    const gained =
      (Math.max(0, nowMs - this.#atMs) * CHAIN_QUESTIONS_PER_MINUTE_MAX) / MS_PER_MINUTE;
    this.#left = Math.min(CHAIN_QUESTIONS_PER_MINUTE_MAX, this.#left + gained);
    this.#atMs = nowMs;
  }
}
