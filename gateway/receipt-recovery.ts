/**
 * After a client has left: the worker's receipt for what it did until then is fetched and settled. Where there is none the
 * reservation stays until its time is over, because a worker that is slow to sign is owed all the same. Spec: overview "Once only"; gateways-and-e2ee §7.6 (receipts kept 15 min).
 * @module
 */

import { toHex } from '../core/bytes.ts';
import { codeOf } from '../core/node/log.ts';
import { pause } from '../core/node/lifecycle.ts';
import { verifyReceipt, type ReceiptKey } from '../protocol/sx/check-receipt.ts';
import type { ClearRequest } from '../protocol/sx/clear.ts';
import type { GatewayLog } from './events.ts';
import { RECEIPT_FETCH_ATTEMPTS, RECEIPT_FETCH_PAUSE_MS, RECEIPT_FETCHES_MAX } from './limits.ts';
import type { Cashier } from './payments/cashier.ts';
import type { LiveWorker } from './workers/registry.ts';

export class ReceiptRecovery {
  readonly #cashier: Cashier;
  readonly #log: GatewayLog;
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(cashier: Cashier, log: GatewayLog) {
    this.#cashier = cashier;
    this.#log = log;
  }

  /** In the background. When too many wait already the reservation stays, and is looked after with the old ones. */
  start(worker: LiveWorker, request: ClearRequest, key: ReceiptKey): void {
    if (this.#running.size >= RECEIPT_FETCHES_MAX || this.#closing.signal.aborted) {
      this.#cashier.leave(request.prelude.msgId);
      return;
    }
    const run = this.#recover(worker, request, key).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  async #recover(worker: LiveWorker, request: ClearRequest, key: ReceiptKey): Promise<void> {
    const { msgId } = request.prelude;
    let code: string | undefined;
    let found = false;
    try {
      const payload = await this.#fetch(worker, request);
      if (payload !== undefined) {
        const receipt = verifyReceipt(payload, {
          key,
          prelude: request.prelude,
          th: request.th,
          respHash: 'cut',
          policyDigest: 'sealed',
        });
        await this.#cashier.settle(worker, receipt);
        found = true;
      }
    } catch (error) {
      code = codeOf(error) ?? 'internal.invariant';
      // A false receipt is as good as none. Anything else may pass, and what is reserved stays until it is too old.
      if (code === 'sx.receipt') this.#cashier.release(msgId);
    }
    this.#cashier.leave(msgId);
    this.#log.event('exchange.receipt_fetched', {
      requestId: toHex(msgId),
      workerId: worker.workerId,
      found,
      code,
    });
  }

  /** The worker needs a moment to notice the abort and to sign. */
  async #fetch(worker: LiveWorker, request: ClearRequest): Promise<Uint8Array | undefined> {
    const { signal } = this.#closing;
    for (let tries = 0; tries < RECEIPT_FETCH_ATTEMPTS; tries++) {
      if (!(await pause(RECEIPT_FETCH_PAUSE_MS, signal))) return undefined;
      const payload = await worker.link.fetchReceipt(request.prelude.msgId, signal);
      if (payload !== undefined) return payload;
    }
    return undefined;
  }

  /** Ends the pauses and waits for what is being written. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all(this.#running);
  }
}
