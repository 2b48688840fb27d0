/** Who is paid next, and how much there is for it. Spec: ton-settlement §4.7. @module */

import { toHex } from '../../core/bytes.ts';
import { PAYOUTS_MAX } from '../ledger/limits.ts';
import { owedOf } from '../ledger/payout-operations.ts';
import type { Payee } from '../ledger/ledger.ts';
import type { Amount } from '../money.ts';
import { rawAddress } from '../ton/wallet/transfer.ts';
import { workerChannelKey } from './notes.ts';
import type { SettlerParts } from './parts.ts';
import { PAID_FEE } from './policy.ts';

export interface SelectedPayees {
  readonly payees: readonly Payee[];
  /** The ledger leaves out whoever is owed less by then. */
  readonly minimum: Amount;
  /** Everybody who is owed a little has been looked at: the next sweep is a period away. */
  readonly isSweepDone: boolean;
}

/** At most a batch, and no more than `budget` pays for. */
export async function selectPayees(parts: SettlerParts, budget: bigint): Promise<SelectedPayees> {
  const { policy, progress, now, emit, ledger, notes } = parts;
  const isSweep = now() - (progress.now?.sweptMs ?? 0) >= policy.payouts.ageMs;
  const minimum = isSweep ? policy.payouts.agedAmount : policy.payouts.amount;
  const payees: Payee[] = [];
  const seen = new Set<string>();
  let left = budget;
  let isShort = false;
  for (const payee of await parts.payees()) {
    const { workerId } = payee;
    if (seen.has(toHex(workerId))) continue;
    seen.add(toHex(workerId));
    const owed = owedOf(await ledger.findWorker(workerId, 'TON'));
    if (owed === 0n || owed < minimum) continue;
    // It has vouchers for what it earns.
    if ((await notes.workerChannels.find(workerChannelKey(workerId))) !== undefined) continue;
    const destination = rawAddress(payee.destination);
    if (destination === undefined) {
      emit('settler.payee_unusable', { worker: workerId });
      continue;
    }
    const cost = owed + PAID_FEE;
    if (cost > left || payees.length >= PAYOUTS_MAX) {
      isShort = true;
      continue;
    }
    left -= cost;
    payees.push({ workerId, destination });
  }
  if (isShort && payees.length === 0) {
    emit('settler.treasury_low', { needed: minimum, balance: budget });
  }
  return { payees, minimum, isSweepDone: isSweep && !isShort };
}
