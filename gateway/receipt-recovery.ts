/**
 * After a client has left: the worker's receipt for what it did until then is fetched and kept, and only if there is
 * none is the reservation let go. Spec: overview "Once only"; gateways-and-e2ee §7.6 (receipts kept 15 min).
 * @module
 */

import { toHex } from '../core/bytes.ts';
import { codeOf } from '../core/node/log.ts';
import { pause } from '../core/node/lifecycle.ts';
import { verifyReceipt } from '../protocol/sx/check-receipt.ts';
import type { ClearRequest } from '../protocol/sx/clear.ts';
import type { GatewayLog } from './events.ts';
import { RECEIPT_FETCH_ATTEMPTS, RECEIPT_FETCH_PAUSE_MS, RECEIPT_FETCHES_MAX } from './limits.ts';
import type { Store } from './store/store.ts';
import type { LiveWorker } from './workers/registry.ts';

export class ReceiptRecovery {
  readonly #store: Store;
  readonly #log: GatewayLog;
  readonly #running = new Set<Promise<void>>();
  readonly #closing = new AbortController();

  constructor(store: Store, log: GatewayLog) {
    this.#store = store;
    this.#log = log;
  }

  /** In the background. When too many wait already the row stays as it is, and says that something is owed. */
  start(worker: LiveWorker, request: ClearRequest): void {
    if (this.#running.size >= RECEIPT_FETCHES_MAX || this.#closing.signal.aborted) return;
    const run = this.#recover(worker, request).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  async #recover(worker: LiveWorker, request: ClearRequest): Promise<void> {
    const { msgId } = request.prelude;
    let code: string | undefined;
    let found = false;
    try {
      const payload = await this.#fetch(worker, request);
      if (payload === undefined) this.#store.release(msgId);
      else {
        verifyReceipt(payload, {
          key: worker.key,
          prelude: request.prelude,
          th: request.th,
          respHash: 'cut',
          policyDigest: 'sealed',
        });
        await this.#store.settle(msgId, worker.key.workerId, payload);
        found = true;
      }
    } catch (error) {
      code = codeOf(error) ?? 'internal.invariant';
      this.#store.release(msgId);
    }
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
