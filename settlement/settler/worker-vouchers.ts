/**
 * What a worker is shown of its channel after each settlement: terms, and a voucher for all that the channel pays of what
 * it has earned. The voucher alone is enough to claim, so it is written down as promised before it is signed.
 * Spec: ton-settlement §4.7, §4.11 (2).
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { ChannelTerms } from '../channel-terms.ts';
import { owedOf } from '../ledger/payout-operations.ts';
import { rawAddress } from '../ton/wallet/transfer.ts';
import type { Voucher } from '../voucher.ts';
import type { SettlerParts } from './parts.ts';

export interface WorkerAt {
  readonly workerId: Bytes<32>;
  /** As its card says: a channel pays one address for good. */
  readonly destination: string;
}

export interface ShownWorkerChannel {
  readonly channel: Bytes<32>;
  readonly terms: ChannelTerms;
  readonly voucher: Voucher;
}

/** Undefined where there is no channel to this address, or nothing was promised on it. Throws `ledger.*`. */
export async function showWorkerChannel(
  { workers, ledger, treasury }: SettlerParts,
  { workerId, destination }: WorkerAt,
): Promise<ShownWorkerChannel | undefined> {
  if (workers.find(workerId) === undefined) return undefined;
  const payee = rawAddress(destination);
  const release = await workers.hold(workerId);
  try {
    const known = workers.find(workerId);
    if (known === undefined || known.terms.payee !== payee || !workers.isOurs(known)) {
      return undefined;
    }
    const owed = owedOf(await ledger.findWorker(workerId, 'TON'));
    const ceiling = workers.ceilingOf(known, owed, payee);
    if (ceiling === 0n) return undefined;
    if (ceiling > known.promised) await workers.save({ ...known, promised: ceiling });
    const { channel, terms, epoch } = known;
    return { channel, terms, voucher: treasury.signVoucher({ channel, epoch, ceiling }) };
  } finally {
    release();
  }
}
