/**
 * Tells workers what was settled, behind the requests: nobody waits for it and it fails nobody. Only the newest matters, so
 * what comes while a notice is on its way waits in one place per statement. Spec: P§15; ton-settlement §4.7.
 * @module
 */

import type { Clock } from '../../core/clock.ts';
import { pause } from '../../core/node/lifecycle.ts';
import { codeOf } from '../../core/node/log.ts';
import type { SignedReceipt } from '../../protocol/receipt.ts';
import { encodeSettled, type SettledChannel } from '../../protocol/settled.ts';
import {
  ACKNOWLEDGE_ATTEMPTS,
  ACKNOWLEDGE_BACK_OFF_MAX_MS,
  ACKNOWLEDGE_BACK_OFF_MS,
  STATEMENTS_PER_WORKER_MAX,
  WORKERS_MAX,
} from '../limits.ts';
import type { WorkerLink } from './link.ts';
import type { LiveWorker } from './registry.ts';

/** What the books say about one worker, in the asset of its card, after the receipt in question was settled. */
export interface SettledBalance {
  readonly earned: bigint;
  /** By transfers, without what was claimed from a channel. */
  readonly paid: bigint;
  readonly channel?: SettledChannel;
  /** Highest settled receipt of this statement, where others settle into the same books too. */
  readonly workerSeq?: bigint;
}

export type AcknowledgeOutcome =
  | 'acknowledged'
  /** The worker says that this gateway forgot something (409). Alarm: the books may be an older copy. */
  | 'rolled_back'
  /** The worker does not take this notice (400): its channel or voucher is not sound. */
  | 'refused'
  /** Not reached, or the books were not. The next receipt is a new start. */
  | 'given_up';

export interface AcknowledgeReport {
  readonly worker: LiveWorker;
  readonly workerSeq: bigint;
  readonly outcome: AcknowledgeOutcome;
  readonly code: string | undefined;
}

export interface AcknowledgerDeps {
  readonly clock: Clock;
  /** Lower-case hex, and the statement the notice is about. */
  readonly balanceOf: (workerId: string, worker: LiveWorker) => Promise<SettledBalance>;
  /** For log and counters. Must not throw. */
  readonly onReport?: (report: AcknowledgeReport) => void;
  /** Before the first repetition; then doubled. */
  readonly backOffMs?: number;
}

/** Of one statement: each has its own link. */
interface Lane {
  /** Something was settled since the notice on its way was made. */
  next: LiveWorker | undefined;
}

export class Acknowledger {
  readonly #deps: AcknowledgerDeps;
  readonly #closing = new AbortController();
  /** One notice at a time per statement, so that a worker that is gone holds up nobody but itself. */
  readonly #lanes = new Map<WorkerLink, Lane>();
  readonly #running = new Set<Promise<void>>();
  /** Parallel exchanges settle in any order; a notice never names less than one before it. */
  readonly #highest = new WeakMap<WorkerLink, bigint>();
  /** A clock that is set back must not make the newest notice look like a late one. */
  #lastMs = 0;

  constructor(deps: AcknowledgerDeps) {
    this.#deps = deps;
  }

  /** After the settlement is durable. Returns at once. */
  settled(worker: LiveWorker, { receipt }: SignedReceipt): void {
    const known = this.#highest.get(worker.link) ?? 0n;
    if (receipt.workerSeq > known) this.#highest.set(worker.link, receipt.workerSeq);
    this.#enter(worker);
  }

  /**
   * Says again where the worker stands, when there is a new voucher. Not before anything was settled over this link: only
   * the books know up to where then, and less than a notice before it would look as if this gateway had forgotten. Returns
   * at once.
   */
  again(worker: LiveWorker): void {
    if (this.#highest.has(worker.link)) this.#enter(worker);
  }

  #enter(worker: LiveWorker): void {
    if (this.#closing.signal.aborted) return;
    const lane = this.#lanes.get(worker.link);
    if (lane !== undefined) {
      lane.next = worker;
      return;
    }
    if (this.#lanes.size >= WORKERS_MAX * STATEMENTS_PER_WORKER_MAX) return;
    const opened: Lane = { next: worker };
    this.#lanes.set(worker.link, opened);
    const run = this.#run(worker.link, opened).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  /** Ends what is on its way. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
  }

  async #run(link: WorkerLink, lane: Lane): Promise<void> {
    while (lane.next !== undefined && !this.#closing.signal.aborted) {
      const worker = lane.next;
      lane.next = undefined;
      const workerSeq = this.#highest.get(link) ?? 0n;
      const { outcome, code } = await this.#deliver(worker);
      this.#deps.onReport?.({ worker, workerSeq, outcome, code });
    }
    this.#lanes.delete(link);
  }

  async #deliver(
    worker: LiveWorker,
  ): Promise<{ readonly outcome: AcknowledgeOutcome; readonly code: string | undefined }> {
    const { signal } = this.#closing;
    let code: string | undefined;
    let waitMs = this.#deps.backOffMs ?? ACKNOWLEDGE_BACK_OFF_MS;
    for (let attempt = 1; attempt <= ACKNOWLEDGE_ATTEMPTS; attempt++) {
      try {
        const status = await worker.link.sendSettled(await this.#notice(worker), signal);
        const outcome = OUTCOMES[status];
        if (outcome !== undefined) return { outcome, code: undefined };
        code = undefined;
      } catch (error) {
        code = codeOf(error) ?? 'internal.invariant';
      }
      if (attempt === ACKNOWLEDGE_ATTEMPTS || !(await pause(waitMs, signal))) break;
      waitMs = Math.min(waitMs * 2, ACKNOWLEDGE_BACK_OFF_MAX_MS);
    }
    return { outcome: 'given_up', code };
  }

  /** Of this moment: whatever was settled while an attempt waited goes with the next. */
  async #notice(worker: LiveWorker): Promise<Uint8Array> {
    const { clock, balanceOf } = this.#deps;
    // Both before the books are read: no notice names a receipt whose amount its sums do not have yet, and of two
    // notices about one worker the one that is dated later was read later.
    const seen = this.#highest.get(worker.link) ?? 0n;
    this.#lastMs = Math.max(clock(), this.#lastMs);
    const atMs = this.#lastMs;
    const { earned, paid, channel, workerSeq = 0n } = await balanceOf(worker.workerId, worker);
    return encodeSettled({
      statementHash: worker.key.statementHash,
      workerSeq: workerSeq > seen ? workerSeq : seen,
      asset: worker.key.prices.asset,
      earned,
      paid,
      channel: channel ?? null,
      atMs,
    });
  }
}

/** Anything else may pass: it is asked again. */
const OUTCOMES: Readonly<Record<number, AcknowledgeOutcome>> = {
  204: 'acknowledged',
  400: 'refused',
  // A worker of before there were notices.
  404: 'refused',
  409: 'rolled_back',
};
