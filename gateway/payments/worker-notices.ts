/**
 * What workers are told after a settlement: their sums in the books, and the channel that pays them where there is one.
 * Spec: P§15.2; ton-settlement §4.7.
 * @module
 */

import { toHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { parseCard } from '../../attestation/card.ts';
import type { SignedReceipt } from '../../protocol/receipt.ts';
import type { SettledChannel } from '../../protocol/settled.ts';
import type { Ledger } from '../../settlement/ledger/ledger.ts';
import type { Settler } from '../../settlement/settler/settler.ts';
import { encodeVoucher } from '../../settlement/voucher.ts';
import type { GatewayLog } from '../events.ts';
import { CHANNEL_REFUSALS_MAX } from '../limits.ts';
import { Acknowledger, type AcknowledgeReport } from '../workers/acknowledge.ts';
import type { WorkerLink } from '../workers/link.ts';
import type { LiveWorker, WorkerRegistry } from '../workers/registry.ts';

export interface WorkerNoticesInput {
  readonly clock: Clock;
  readonly log: GatewayLog;
  readonly ledger: Ledger;
  /** Undefined where there is no chain, and before it was looked at. */
  readonly settler: () => Settler | undefined;
}

export class WorkerNotices {
  readonly #input: WorkerNoticesInput;
  readonly #acknowledger: Acknowledger;
  /** How often in a row a notice with a channel was refused. */
  readonly #refusals = new WeakMap<WorkerLink, number>();
  /** Whose last notice had a channel. */
  readonly #shown = new WeakSet<WorkerLink>();

  constructor(input: WorkerNoticesInput) {
    this.#input = input;
    this.#acknowledger = new Acknowledger({
      clock: input.clock,
      balanceOf: async (_, worker) => {
        const { workerId, prices } = worker.key;
        const { earned, paid } = await input.ledger.findWorker(workerId, prices.asset);
        const channel = await this.#channelOf(worker);
        return channel === undefined ? { earned, paid } : { earned, paid, channel };
      },
      onReport: (report) => this.#report(report),
    });
  }

  /** After it is durable. Returns at once. */
  settled(worker: LiveWorker, receipt: SignedReceipt): void {
    this.#acknowledger.settled(worker, receipt);
  }

  /** There is more in its channel than its last voucher knew. Returns at once. */
  channelFilled(registry: WorkerRegistry, workerId: Bytes<32>): void {
    for (const worker of registry.byWorkerId(toHex(workerId))) this.#acknowledger.again(worker);
  }

  close(): Promise<void> {
    return this.#acknowledger.close();
  }

  /** Only to the address on the card of this statement: a worker refuses everything else, and the sums with it. */
  async #channelOf({ key, bundle, link }: LiveWorker): Promise<SettledChannel | undefined> {
    this.#shown.delete(link);
    const { payout: destination } = parseCard(bundle.card);
    const isRefused = (this.#refusals.get(link) ?? 0) >= CHANNEL_REFUSALS_MAX;
    if (key.prices.asset !== 'TON' || destination === null || isRefused) return undefined;
    const { workerId } = key;
    const shown = await this.#input.settler()?.showWorkerChannel({ workerId, destination });
    if (shown === undefined) return undefined;
    this.#shown.add(link);
    return { ...shown, voucher: encodeVoucher(shown.voucher) };
  }

  #report({ worker, outcome, code }: AcknowledgeReport): void {
    const { log, settler } = this.#input;
    const { workerId, link, key } = worker;
    log.event('settlement.acknowledged', { workerId, outcome, code });
    if (outcome === 'rolled_back') log.event('settlement.rolled_back', { workerId });
    if (!this.#shown.has(link)) return;
    if (outcome === 'acknowledged') {
      this.#refusals.delete(link);
      settler()?.answeredWorkerChannel(key.workerId, 'taken');
    }
    if (outcome !== 'refused') return;
    // Once may be two notices that overtook each other.
    const refusals = (this.#refusals.get(link) ?? 0) + 1;
    this.#refusals.set(link, refusals);
    if (refusals === CHANNEL_REFUSALS_MAX) {
      log.event('settlement.channel_refused', { workerId });
      settler()?.answeredWorkerChannel(key.workerId, 'refused');
    }
    this.#acknowledger.again(worker);
  }
}
