/**
 * Pay as you go: while an answer runs, what is reserved for it rises step by step with what its payer has signed, and where
 * the payer does not follow the worker is asked to end early. Steps are half a chunk: there is always one left for the
 * worker to hear of it in, so that nothing it generates is unpaid. Back-pressure would not hold it: what the sockets between
 * us can take is more than a chunk. Spec: ton-settlement §4.4; P§10.7.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import { codeOf } from '../../core/node/log.ts';
import { verifyMeter, type Meter } from '../../protocol/meter.ts';
import type { Prelude } from '../../protocol/sx/prelude.ts';
import { amount, type Amount } from '../../settlement/money.ts';
import { costOfMore, STEPS_AHEAD, stepTokens } from '../../settlement/steps.ts';
import type { Means } from '../accounts.ts';
import type { GatewayLog } from '../events.ts';
import { STOP_TIMEOUT_MS } from '../limits.ts';
import type { LiveWorker } from '../workers/registry.ts';
import type { Cashier } from './cashier.ts';

/** With less than this the worker is stopped: one step to generate, one for the word to arrive. */
const STEPS_LEFT_MIN = 2;

export interface MeteringInput {
  readonly cashier: Cashier;
  readonly worker: LiveWorker;
  readonly prelude: Prelude;
  readonly account: Bytes<32>;
  readonly means: Means;
  readonly chunkTokens: number;
  /** Reserved already. */
  readonly held: Amount;
  readonly log: GatewayLog;
}

export class Metering {
  readonly every: number;
  readonly #input: MeteringInput;
  #held: Amount;
  #last: Meter | undefined;
  #isAsking = false;
  /** Asked for while the ledger was: what it says then may be older than the voucher. */
  #isDue = false;
  #isStopped = false;
  #unwatch: (() => void) | undefined;

  constructor(input: MeteringInput) {
    this.#input = input;
    this.#held = input.held;
    this.every = stepTokens(input.chunkTokens);
    this.#unwatch = input.cashier.onVoucher(input.account, () => {
      if (this.#last !== undefined) void this.#follow();
    });
  }

  /** Throws `sx.meter`: then the worker is at fault. */
  take(payload: Uint8Array): void {
    const { worker, prelude } = this.#input;
    this.#last = verifyMeter(payload, { key: worker.key, prelude, previous: this.#last });
    void this.#follow();
  }

  /** The answer has ended, one way or another. */
  end(): void {
    this.#unwatch?.();
    this.#unwatch = undefined;
  }

  /** One question at a time, and another one for whatever came meanwhile: it may be the last word. Never rejects. */
  async #follow(): Promise<void> {
    this.#isDue = true;
    if (this.#isAsking || this.#isStopped) return;
    this.#isAsking = true;
    try {
      let isCovered = true;
      while (this.#isDue) {
        this.#isDue = false;
        isCovered = await this.#reserveAhead();
      }
      if (!isCovered) await this.#stop();
    } catch (error) {
      this.#input.log.event('settlement.failed', { code: codeOf(error) });
    } finally {
      this.#isAsking = false;
    }
  }

  async #reserveAhead(): Promise<boolean> {
    const { cashier, prelude, means } = this.#input;
    const need = this.#upTo(STEPS_AHEAD);
    if (this.#held < need) {
      const extended = await cashier.extend(prelude.msgId, need, means);
      if (extended !== undefined) this.#held = extended;
    }
    // More may have been used while the ledger was asked.
    return this.#held >= this.#upTo(STEPS_LEFT_MIN);
  }

  /** What so many more steps can cost, within what the payer allows for the whole. */
  #upTo(steps: number): Amount {
    const { worker, prelude } = this.#input;
    const more = costOfMore(worker.key.prices, this.every * steps);
    const most = (this.#last?.amount ?? 0n) + more;
    return amount(most < prelude.maxAmount ? most : prelude.maxAmount);
  }

  async #stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const { worker, prelude, log } = this.#input;
    try {
      await worker.link.stop(prelude.msgId, AbortSignal.timeout(STOP_TIMEOUT_MS));
    } catch (error) {
      // What it goes on to generate is its own loss: no more is settled than is reserved.
      log.event('settlement.failed', { code: codeOf(error) });
    }
  }
}
