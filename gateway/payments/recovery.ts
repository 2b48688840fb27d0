/**
 * Reservations that no request of this process holds any more: after a crash, or after a client left and its worker was
 * slow to sign. Workers are asked for the receipts that they still keep; what no receipt settles is let go when its time is
 * over and all who might have one were heard, or were waited for long enough. Spec: ton-settlement §4.11 rule 4; overview "Once only".
 * @module
 */

import { equalPublic, toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { codeOf } from '../../core/node/log.ts';
import { payerRefOf } from '../../protocol/sx/prelude.ts';
import type { SignedReceipt } from '../../protocol/receipt.ts';
import type { Reservation } from '../../settlement/ledger/ledger.ts';
import type { GatewayLog } from '../events.ts';
import { RECOVERY_PAGE, RECOVERY_RESERVATIONS_MAX, RECOVERY_UNHEARD_MS } from '../limits.ts';
import { settleMissedReceipts } from '../workers/missed-receipts.ts';
import type { LiveWorker, WorkerRegistry } from '../workers/registry.ts';
import type { Cashier } from './cashier.ts';

export interface RecoveryOptions {
  readonly cashier: Cashier;
  readonly registry: WorkerRegistry;
  readonly clock: Clock;
  readonly log: GatewayLog;
}

export class PaymentRecovery {
  readonly #options: RecoveryOptions;

  constructor(options: RecoveryOptions) {
    this.#options = options;
  }

  /** Asks every worker that may be owed something, then lets go what is too old. */
  async round(signal: AbortSignal): Promise<void> {
    const loose = await this.#loose();
    const wanted = new Set(loose.map(({ requestId }) => toHex(requestId)));
    const answered = new Set<string>();
    const silent = new Set<string>();
    for (const worker of this.#workersOf(loose)) {
      if (signal.aborted) return;
      ((await this.#isAsked(worker, wanted, signal)) ? answered : silent).add(worker.workerId);
    }
    const nowMs = this.#options.clock();
    for (const reservation of loose) {
      const { requestId, expiresMs, need, workers } = reservation;
      const isHeard = workers.map(toHex).every((id) => answered.has(id) && !silent.has(id));
      // After a start nobody has registered yet, and what is let go can never be settled.
      const lastsMs = isHeard || need === 0n ? 0 : RECOVERY_UNHEARD_MS;
      if (expiresMs + lastsMs < nowMs && !signal.aborted) this.#options.cashier.release(requestId);
    }
  }

  async #loose(): Promise<readonly Reservation[]> {
    const { cashier } = this.#options;
    const found: Reservation[] = [];
    let after: Reservation['requestId'] | undefined;
    while (found.length < RECOVERY_RESERVATIONS_MAX) {
      const page = await cashier.ledger.listReservations(after, RECOVERY_PAGE);
      found.push(...page.filter(({ requestId }) => !cashier.isRunning(requestId)));
      after = page.at(-1)?.requestId;
      if (page.length < RECOVERY_PAGE) break;
    }
    return found;
  }

  /** All their statements: a receipt is signed by the one under which the request was served. */
  #workersOf(loose: readonly Reservation[]): readonly LiveWorker[] {
    const ids = new Set(loose.flatMap(({ workers }) => workers.map(toHex)));
    return [...ids].flatMap((id) => this.#options.registry.byWorkerId(id));
  }

  /** False when it could not be heard to the end. */
  async #isAsked(
    worker: LiveWorker,
    wanted: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { log } = this.#options;
    try {
      const { settled, unknown } = await settleMissedReceipts({
        worker,
        // It keeps them for a quarter of an hour, and which of them are missing here does not follow from a number.
        afterSeq: 0n,
        isWanted: (requestId) => wanted.has(toHex(requestId)),
        settle: (receipt) => this.#settle(worker, receipt),
        signal,
      });
      if (settled > 0) {
        log.event('settlement.recovered', { workerId: worker.workerId, settled, unknown });
      }
      return true;
    } catch (error) {
      log.event('settlement.failed', { code: codeOf(error) });
      return false;
    }
  }

  /** Only for what is reserved here, by the payer that the receipt names, and that nobody is serving now. */
  async #settle(worker: LiveWorker, signed: SignedReceipt): Promise<'settled' | 'unknown'> {
    const { cashier } = this.#options;
    const { requestId, payerRef } = signed.receipt;
    if (cashier.isRunning(requestId)) return 'unknown';
    const request = await cashier.find(requestId);
    if (request?.state !== 'reserved') return 'unknown';
    const { account } = request.reservation;
    if (!equalPublic(payerRefOf(account, requestId), payerRef)) return 'unknown';
    await cashier.settle(worker, signed);
    return 'settled';
  }
}
