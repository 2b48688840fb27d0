/** Who is paid next, and how much there is for it. Spec: ton-settlement §4.7. @module */

import { toHex } from '../../core/bytes.ts';
import { PAYOUTS_MAX } from '../ledger/limits.ts';
import { beyond, owedOf } from '../ledger/payout-operations.ts';
import type { Payee, PlannedPayee } from '../ledger/ledger.ts';
import type { Amount } from '../money.ts';
import { rawAddress } from '../ton/wallet/transfer.ts';
import type { SettlerParts } from './parts.ts';
import { PAID_FEE } from './policy.ts';

export interface SelectedPayees {
  readonly payees: readonly PlannedPayee[];
  /** The ledger leaves out whoever is owed less by then. */
  readonly minimum: Amount;
  /** Everybody who is owed a little has been looked at: the next sweep is a period away. */
  readonly isSweepDone: boolean;
  /** Until then nothing is promised to those who were selected: to be called once the plan is durable, or given up. */
  readonly release: () => void;
}

/** At most a batch, and no more than `budget` pays for. What a channel pays is left out. */
export async function selectPayees(parts: SettlerParts, budget: bigint): Promise<SelectedPayees> {
  const held: (() => void)[] = [];
  const release = (): void => {
    for (const letGo of held.splice(0)) letGo();
  };
  try {
    return { ...(await select(parts, budget, held)), release };
  } catch (error) {
    release();
    throw error;
  }
}

async function select(
  parts: SettlerParts,
  budget: bigint,
  held: (() => void)[],
): Promise<Omit<SelectedPayees, 'release'>> {
  const { policy, progress, now, emit, workers } = parts;
  const isSweep = now() - (progress.now?.sweptMs ?? 0) >= policy.payouts.ageMs;
  const minimum = isSweep ? policy.payouts.agedAmount : policy.payouts.amount;
  const payees: PlannedPayee[] = [];
  let left = budget;
  let isShort = false;
  for (const payee of onceEach(await parts.payees())) {
    const release = await workers.hold(payee.workerId);
    held.push(release);
    const planned = await plannedOf(parts, payee, minimum);
    const cost = planned === undefined ? 0n : planned.part + PAID_FEE;
    if (planned !== undefined && cost <= left && payees.length < PAYOUTS_MAX) {
      left -= cost;
      payees.push(planned.payee);
      continue;
    }
    held.pop();
    release();
    isShort ||= planned !== undefined;
  }
  if (isShort && payees.length === 0) {
    emit('settler.treasury_low', { needed: minimum, balance: budget });
  }
  return { payees, minimum, isSweepDone: isSweep && !isShort };
}

/** A worker that stands twice is paid where it stands first. */
export function onceEach(payees: readonly Payee[]): readonly Payee[] {
  const first = new Map<string, Payee>();
  for (const payee of payees) {
    const name = toHex(payee.workerId);
    if (!first.has(name)) first.set(name, payee);
  }
  return [...first.values()];
}

/** Undefined for whoever is owed less. */
async function plannedOf(
  { ledger, workers, emit }: SettlerParts,
  { workerId, destination: text }: Payee,
  minimum: Amount,
): Promise<{ readonly payee: PlannedPayee; readonly part: Amount } | undefined> {
  const owed = owedOf(await ledger.findWorker(workerId, 'TON'));
  const destination = rawAddress(text);
  const covered = workers.coveredOf(workerId, owed, destination);
  const part = beyond(owed, covered);
  if (part === 0n || part < minimum) return undefined;
  if (destination === undefined) {
    emit('settler.payee_unusable', { worker: workerId });
    return undefined;
  }
  return { payee: { workerId, destination, covered }, part };
}
