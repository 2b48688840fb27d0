/**
 * Paying workers: a plan is durable before anything is sent, what is planned cannot be planned again, and only a message
 * that can no longer be executed goes back to what is owed. Spec: ton-settlement §4.7, §4.11; L8.
 * @module
 */

import { concat, fixed, u64be, type Bytes } from '../../core/bytes.ts';
import { amount, NOTHING, type Amount } from '../money.ts';
import type { Input } from './calls.ts';
import { EMPTY_ENTRY } from './journal.ts';
import type {
  ConfirmOutcome,
  ExpireOutcome,
  Payout,
  PlanOutcome,
  PlanPayouts,
  WorkerBalance,
} from './ledger.ts';
import { add } from './rules.ts';
import type { LedgerUnit } from './unit.ts';

export function planPayouts(unit: LedgerUnit, plan: PlanPayouts): PlanOutcome {
  const before = unit.payouts(plan.queryId);
  if (before.length > 0) return { outcome: 'planned', payouts: before, repeated: true };
  const payouts: Payout[] = [];
  const { queryId, asset, validUntilMs } = plan;
  for (const { workerId, destination, covered = NOTHING } of plan.payees) {
    const balance = unit.worker(workerId, asset);
    const part = beyond(owedOf(balance), covered);
    // A worker that stands twice in the list has nothing left the second time.
    if (part === 0n || part < plan.minimum) continue;
    unit.putWorker({ ...balance, planned: add(balance.planned, part) });
    const payout = { queryId, workerId, destination, asset, amount: part, validUntilMs };
    payouts.push({ ...payout, state: 'planned' });
  }
  for (const payout of payouts) unit.putPayout(payout);
  return { outcome: 'planned', payouts, repeated: false };
}

/** Nothing while late confirmations have paid more than was earned. */
export function owedOf({ earned, planned, paid }: WorkerBalance): Amount {
  const owed = earned - planned - paid;
  return amount(owed > 0n ? owed : 0n);
}

/** What is owed and not covered. */
export function beyond(owed: Amount, covered: Amount): Amount {
  return owed > covered ? amount(owed - covered) : NOTHING;
}

export function confirmPayout(
  unit: LedgerUnit,
  { queryId, nowMs }: Input<'confirmPayout'>,
): ConfirmOutcome {
  const payouts = unit.payouts(queryId);
  const [first] = payouts;
  if (first === undefined) return { outcome: 'refused', code: 'payout_unknown' };
  if (first.state === 'confirmed') return { outcome: 'confirmed', repeated: true, late: false };
  const late = first.state === 'expired';
  for (const payout of payouts) {
    const balance = unit.worker(payout.workerId, payout.asset);
    const paid = add(balance.paid, payout.amount);
    const planned = late ? balance.planned : amount(balance.planned - payout.amount);
    unit.putWorker({ ...balance, planned, paid });
    unit.putPayout({ ...payout, state: 'confirmed' });
    unit.append({
      ...EMPTY_ENTRY,
      kind: 'payout',
      workerId: payout.workerId,
      asset: payout.asset,
      amount: payout.amount,
      cum: paid,
      atMs: nowMs,
      reference: referenceOf(queryId),
    });
  }
  return { outcome: 'confirmed', repeated: false, late };
}

export function expirePayout(
  unit: LedgerUnit,
  { queryId, nowMs }: Input<'expirePayout'>,
): ExpireOutcome {
  const payouts = unit.payouts(queryId);
  const [first] = payouts;
  if (first === undefined) return { outcome: 'refused', code: 'payout_unknown' };
  if (first.state === 'confirmed') return { outcome: 'refused', code: 'payout_confirmed' };
  if (first.state === 'expired') return { outcome: 'expired', repeated: true };
  if (nowMs <= first.validUntilMs) return { outcome: 'refused', code: 'payout_pending' };
  for (const payout of payouts) {
    const balance = unit.worker(payout.workerId, payout.asset);
    unit.putWorker({ ...balance, planned: amount(balance.planned - payout.amount) });
    unit.putPayout({ ...payout, state: 'expired' });
  }
  return { outcome: 'expired', repeated: false };
}

function referenceOf(queryId: bigint): Bytes<32> {
  return fixed(concat(new Uint8Array(24), u64be(queryId)), 32);
}
