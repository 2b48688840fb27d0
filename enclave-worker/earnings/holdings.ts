/**
 * What the chain says a channel holds. Without it a voucher is worth what it says; with it, what is there to pay it.
 * Spec: ton-settlement §4.7.
 * @module
 */

import { toHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { pause } from '../../core/node/lifecycle.ts';
import { codeOf } from '../../core/node/log.ts';
import type { ChannelTerms } from '../../settlement/channel-terms.ts';
import type { TonChain } from '../../settlement/ton/chain.ts';
import { holdsOf, readWorkerChannel } from '../../settlement/ton/worker-channel.ts';
import type { WorkerLog } from '../events.ts';
import { CHAIN_TRUST_MIN_MS, CHANNELS_WATCHED_MAX } from '../limits.ts';

const MS_PER_S = 1000;

export interface ChannelHoldings {
  readonly epoch: number;
  /** In all, with what was claimed, without what is on its way back to the payer. */
  readonly holds: bigint;
  readonly claimed: bigint;
}

export interface Holdings {
  /** `word`: nobody asks the chain. */
  readonly by: 'chain' | 'word';
  /**
   * As last seen. Only a withdraw takes from it, which takes its payer a delay and shows here when it begins; what was seen
   * so long ago that one could have passed unseen does not count.
   */
  of(channel: Bytes<32>): ChannelHoldings | undefined;
  watch(channel: Bytes<32>, terms: ChannelTerms): void;
}

export const ON_WORD: Holdings = {
  by: 'word',
  of: () => undefined,
  watch: () => undefined,
};

interface Watched {
  readonly channel: Bytes<32>;
  readonly terms: ChannelTerms;
  seen: ChannelHoldings | undefined;
  seenMs: number;
}

export class ChainHoldings implements Holdings {
  readonly by = 'chain';
  readonly #chain: TonChain;
  readonly #log: WorkerLog;
  readonly #clock: Clock;
  readonly #watched = new Map<string, Watched>();
  #wake: () => void = () => undefined;

  constructor(chain: TonChain, { clock, log }: { readonly clock: Clock; readonly log: WorkerLog }) {
    this.#chain = chain;
    this.#clock = clock;
    this.#log = log;
  }

  of(channel: Bytes<32>): ChannelHoldings | undefined {
    const watched = this.#watched.get(toHex(channel));
    if (watched === undefined) return undefined;
    const goodForMs = Math.max((watched.terms.withdrawDelayS * MS_PER_S) / 2, CHAIN_TRUST_MIN_MS);
    return this.#clock() - watched.seenMs <= goodForMs ? watched.seen : undefined;
  }

  watch(channel: Bytes<32>, terms: ChannelTerms): void {
    const name = toHex(channel);
    if (this.#watched.has(name)) return;
    this.#watched.set(name, { channel, terms, seen: undefined, seenMs: 0 });
    for (const oldest of this.#watched.keys()) {
      if (this.#watched.size <= CHANNELS_WATCHED_MAX) break;
      this.#watched.delete(oldest);
    }
    this.#wake();
  }

  /** Looks at every channel now and then, and at a new one at once, until `signal` aborts. Never rejects. */
  async run(everyMs: number, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const woken = new AbortController();
      this.#wake = () => woken.abort();
      for (const watched of this.#watched.values()) await this.#look(watched, signal);
      await pause(everyMs, AbortSignal.any([signal, woken.signal]));
    }
  }

  async #look(watched: Watched, signal: AbortSignal): Promise<void> {
    const askedMs = this.#clock();
    try {
      const state = await readWorkerChannel(this.#chain, watched.terms, signal);
      if (state === undefined) return;
      const { epoch, claimed } = state;
      const holds = holdsOf(state);
      const hasChanged = watched.seen?.holds !== holds || watched.seen.epoch !== epoch;
      watched.seen = { epoch, holds, claimed };
      watched.seenMs = askedMs;
      if (!hasChanged) return;
      const { channel } = watched;
      this.#log.event('worker.channel', { channel, status: state.status, holds, claimed });
    } catch (error) {
      if (!signal.aborted) this.#log.event('worker.chain_failed', { code: codeOf(error) });
    }
  }
}
