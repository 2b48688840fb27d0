/**
 * One host's patience: how many requests at a time, how far apart, who is next, and for how long nobody after a
 * failure. What is shared by all machines goes before what one machine asks for, so that a crowd of made-up chips does
 * not keep revocation lists waiting.
 * @module
 */

import type { VeilError } from '../../core/errors.ts';
import { collateralError } from './errors.ts';
import {
  BACKOFF_MAX_MS,
  BACKOFF_MIN_MS,
  SOURCE_CONCURRENCY_MAX,
  SOURCE_WAITERS_MAX,
  TURN_WAIT_MAX_MS,
} from './limits.ts';
import type { Ports } from './ports.ts';

export type Lane = 'shared' | 'leaf';

/** The pause after the n-th failure in a row: doubling, bounded, the upper half of it by chance. */
export function backoffMs(failures: number, random: () => number): number {
  const whole = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** Math.min(failures - 1, 30));
  return whole / 2 + (random() * whole) / 2;
}

interface Ticket {
  readonly lane: Lane;
}

export interface HostFailure {
  readonly code: 'collateral.unavailable' | 'collateral.rate_limited';
  /** A status or a code of ours: what people are told who were not served for it. */
  readonly what: string;
  /** For how long the host asked to be left alone. */
  readonly askedMs?: number;
}

export class SourceGate {
  readonly #ports: Pick<Ports, 'now' | 'pause' | 'random'>;
  readonly #host: string;
  readonly #spacingMs: number;
  readonly #queue: Ticket[] = [];
  #active = 0;
  #nextStartMs = 0;
  /** Both, so that a clock that was put back does not keep the host closed until it is that late again. */
  #closedAtMs = 0;
  #closedUntilMs = 0;
  #closedBecause: HostFailure = { code: 'collateral.unavailable', what: '' };
  #failures = 0;
  #changed = Promise.withResolvers<void>();

  constructor(
    source: { readonly host: string; readonly spacingMs: number },
    ports: Pick<Ports, 'now' | 'pause' | 'random'>,
  ) {
    this.#host = source.host;
    this.#spacingMs = source.spacingMs;
    this.#ports = ports;
  }

  /** Runs `work` when it is its turn. Throws `collateral.unavailable`, `collateral.rate_limited` without running it. */
  async run<Value>(lane: Lane, signal: AbortSignal, work: () => Promise<Value>): Promise<Value> {
    await this.#turn(lane, signal);
    try {
      return await work();
    } finally {
      this.#active--;
      this.#announce();
    }
  }

  /** The host is well. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** Leaves the host alone for a while, and at least as long as it asked for. */
  failed(because: HostFailure): void {
    this.#failures++;
    const nowMs = this.#ports.now();
    const waitMs = Math.max(because.askedMs ?? 0, backoffMs(this.#failures, this.#ports.random));
    const knownUntilMs = this.#isClosed(nowMs) ? this.#closedUntilMs : 0;
    this.#closedAtMs = nowMs;
    this.#closedUntilMs = Math.max(knownUntilMs, nowMs + waitMs);
    this.#closedBecause = because;
    this.#announce();
  }

  async #turn(lane: Lane, signal: AbortSignal): Promise<void> {
    this.#assertRoom(lane);
    const ticket: Ticket = { lane };
    this.#queue.splice(this.#placeOf(lane), 0, ticket);
    const latestMs = this.#ports.now() + TURN_WAIT_MAX_MS;
    try {
      for (;;) {
        this.#assertOpen();
        const nowMs = this.#ports.now();
        if (nowMs > latestMs)
          throw this.#refusal('collateral.rate_limited', 'turn', 'no turn in time');
        const isNext = this.#queue[0] === ticket && this.#active < this.#concurrencyMax;
        const startMs = this.#startMs(nowMs);
        if (isNext && nowMs >= startMs) break;
        const untilMs = isNext ? Math.min(startMs, latestMs + 1) : latestMs + 1;
        await this.#untilChange(untilMs - nowMs, signal);
      }
      this.#active++;
      this.#nextStartMs = this.#ports.now() + this.#spacingMs;
    } finally {
      this.#queue.splice(this.#queue.indexOf(ticket), 1);
      this.#announce();
    }
  }

  /** When the next may start: never further off than the distance between two, whatever the clock did. */
  #startMs(nowMs: number): number {
    this.#nextStartMs = Math.min(this.#nextStartMs, nowMs + this.#spacingMs);
    return this.#nextStartMs;
  }

  get #concurrencyMax(): number {
    return this.#spacingMs > 0 ? 1 : SOURCE_CONCURRENCY_MAX;
  }

  /** Behind everybody of the same lane; leaves behind everything that is shared. */
  #placeOf(lane: Lane): number {
    if (lane === 'leaf') return this.#queue.length;
    const firstLeaf = this.#queue.findIndex((ticket) => ticket.lane === 'leaf');
    return firstLeaf < 0 ? this.#queue.length : firstLeaf;
  }

  /** Refuses at once what could not have its turn in time. */
  #assertRoom(lane: Lane): void {
    this.#assertOpen();
    const nowMs = this.#ports.now();
    const startsMs = Math.max(0, this.#startMs(nowMs) - nowMs);
    const before = this.#placeOf(lane);
    const waitMs = startsMs + before * this.#spacingMs;
    if (before >= SOURCE_WAITERS_MAX || waitMs > TURN_WAIT_MAX_MS) {
      throw this.#refusal('collateral.rate_limited', 'queue', 'too many wait for it');
    }
  }

  #assertOpen(): void {
    if (!this.#isClosed(this.#ports.now())) return;
    const { code, what } = this.#closedBecause;
    throw this.#refusal(code, 'left alone', `left alone after ${what}`);
  }

  #isClosed(nowMs: number): boolean {
    return nowMs >= this.#closedAtMs && nowMs < this.#closedUntilMs;
  }

  #refusal(code: HostFailure['code'], reason: string, text = reason): VeilError {
    const facts = { host: this.#host, reason };
    return collateralError(code, `${this.#host}: ${text}`, { facts });
  }

  #announce(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }

  /** Until something changed here or the time is over. Throws when the signal aborts. */
  async #untilChange(ms: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw this.#refusal('collateral.unavailable', 'aborted');
    const enough = new AbortController();
    const pausing = this.#ports.pause(ms, AbortSignal.any([signal, enough.signal]));
    await Promise.race([this.#changed.promise, pausing]);
    enough.abort();
    if (signal.aborted) throw this.#refusal('collateral.unavailable', 'aborted');
  }
}
