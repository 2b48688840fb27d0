/**
 * Every method of the port, decided over a unit. Each decides everything first and changes rows last, so that one that
 * fails leaves nothing. Spec: ton-settlement §4.2, §4.11, §5. Payouts are in payout-operations.ts.
 * @module
 */

import { equalPublic, fixed, type Bytes } from '../../core/bytes.ts';
import { ledgerError } from '../errors.ts';
import { amount, type Amount } from '../money.ts';
import { splitAmount } from '../price.ts';
import { signStatement } from '../statement.ts';
import type { Input, MethodName, Output, SettleCall } from './calls.ts';
import { EMPTY_ENTRY, EMPTY_HEAD } from './journal.ts';
import type {
  Account,
  AdoptCharge,
  AdoptOutcome,
  Credit,
  CreditOutcome,
  Extend,
  ExtendOutcome,
  JournalEntry,
  JournalHead,
  RequestState,
  Reservation,
  Reserve,
  ReserveOutcome,
  SettleOutcome,
} from './ledger.ts';
import { confirmPayout, expirePayout, planPayouts } from './payout-operations.ts';
import {
  add,
  addCredit,
  admit,
  admitMore,
  adoptSum,
  chargePart,
  isOfTerms,
  isOvertaken,
  ofTerms,
  mergeChainState,
  newAccount,
  releaseNeed,
  takeVoucher,
  type ChainTrust,
} from './rules.ts';
import type { LedgerUnit, RequestRow } from './unit.ts';

type Operations = {
  readonly [Name in MethodName]: (unit: LedgerUnit, input: Input<Name>) => Output<Name>;
};

export const OPERATIONS: Operations = {
  openAccount: (unit, terms) => {
    const known = unit.account(terms.id);
    // Whose requests cost nothing so far may begin to pay: nothing was charged, so nothing is lost.
    const isOpen = known !== undefined && !(known.kind === 'none' && terms.kind === 'custodial');
    if (isOpen) {
      if (!isOfTerms(known, terms)) return { outcome: 'refused', code: 'account_differs' };
      return { outcome: 'existing', account: known };
    }
    const account = known === undefined ? newAccount(terms) : { ...known, ...ofTerms(terms) };
    unit.putAccount(account);
    return { outcome: 'opened', account };
  },
  findAccount: (unit, id) => unit.account(id),
  setStanding: (unit, { id, standing }) => {
    const account = unit.account(id);
    if (account === undefined) return undefined;
    const changed = { ...account, standing };
    unit.putAccount(changed);
    return changed;
  },
  credit,
  acceptVoucher: (unit, voucher) => {
    const account = unit.account(voucher.channel);
    if (account === undefined) return { outcome: 'refused', code: 'channel_unknown', account };
    const taken = takeVoucher(account, voucher);
    if (taken.outcome === 'refused') return { ...taken, account };
    unit.putAccount(taken.account);
    return taken;
  },
  recordChainState: (unit, state) => {
    const account = unit.account(state.channel);
    if (account === undefined || account.kind !== 'channel') {
      return { outcome: 'refused', code: 'channel_unknown' };
    }
    const merged = mergeChainState(account, state);
    if (merged.outcome === 'refused') return merged;
    unit.putAccount(merged.account);
    unit.markRead(account.id, state.witnesses ?? 1);
    return merged;
  },
  adoptCharge,
  closeAccount: (unit, id) => {
    const account = unit.account(id);
    if (account?.kind !== 'channel') return { outcome: 'refused', code: 'channel_unknown' };
    if (account.reserved > 0n) return { outcome: 'refused', code: 'requests_open' };
    const closing = { ...account, isClosing: true };
    unit.putAccount(closing);
    return { outcome: 'closing', account: closing };
  },
  reserve,
  extend,
  settle,
  release: (unit, requestId) => {
    const row = unit.request(requestId);
    if (row === undefined) return { outcome: 'refused', code: 'request_unknown' };
    if (row.state === 'settled') return { outcome: 'refused', code: 'request_settled' };
    if (row.state === 'released') return { outcome: 'released', repeated: true };
    const { reservation } = row;
    unit.putAccount(releaseNeed(accountOf(unit, reservation), reservation.need));
    unit.putRequest({ state: 'released', reservation });
    return { outcome: 'released', repeated: false };
  },
  findRequest: (unit, requestId) => {
    const row = unit.request(requestId);
    return row === undefined ? undefined : stateOf(unit, row);
  },
  listReservations: (unit, { after, limit }) => unit.reservations(after, limit),
  purge: (unit, nowMs) => unit.purge(nowMs),
  findWorker: (unit, { workerId, asset }) => unit.worker(workerId, asset),
  planPayouts,
  confirmPayout,
  expirePayout,
  journalHead: (unit) => unit.head(),
  readJournal: (unit, { fromSeq, limit }) => unit.entries(fromSeq, limit),
  hasHead: (unit, head) => isInJournal(unit, head),
  findHead: (unit, hash) => {
    if (equalPublic(hash, EMPTY_HEAD.hash)) return EMPTY_HEAD;
    return unit.headOf(hash);
  },
  hasWorkerSeq: (unit, { statementHash, workerSeq }) =>
    (unit.workerChain(statementHash)?.lastSeq ?? 0n) >= workerSeq,
  spendNullifier: (unit, nullifier) => unit.putNullifier(nullifier),
  dropNullifiers: (unit, beforeEpoch) => unit.dropNullifiers(beforeEpoch),
  saveNote: (unit, note) => unit.putNote(note),
  dropNote: (unit, { kind, key }) => unit.dropNote(kind, key),
  findNote: (unit, { kind, key }) => unit.note(kind, key),
  listNotes: (unit, page) => unit.notes(page),
};

function isInJournal(unit: LedgerUnit, { seq, hash }: JournalHead): boolean {
  if (seq === 0n) return equalPublic(hash, EMPTY_HEAD.hash);
  const entry = unit.entry(seq);
  return entry !== undefined && equalPublic(entry.hash, hash);
}

function reserve(unit: LedgerUnit, { voucher, sole, ...request }: Reserve): ReserveOutcome {
  const before = unit.request(request.requestId);
  if (before !== undefined) return { outcome: 'replayed', request: stateOf(unit, before) };
  let account = unit.account(request.account);
  if (account === undefined) return { outcome: 'refused', code: 'channel_unknown', account };
  if (voucher !== undefined) {
    const taken = takeVoucher(account, voucher);
    if (taken.outcome === 'accepted') {
      account = taken.account;
      unit.putAccount(account);
    } else if (taken.code !== 'voucher_stale') {
      return { outcome: 'refused', code: taken.code, account };
    }
  }
  // Whoever has one voucher alone is not shown the next.
  if (isOvertaken(account, sole)) {
    return { outcome: 'refused', code: 'voucher_stale', account: undefined };
  }
  const admission = admit(account, trustOf(unit, account), request);
  if (admission.outcome === 'refused') return { ...admission, account };
  unit.putAccount(admission.account);
  const { requestId, need, workers, feeBps, nowMs, expiresMs } = request;
  const reservation = { requestId, account: account.id, need, workers, feeBps, expiresMs };
  unit.putRequest({ state: 'reserved', reservation: { ...reservation, reservedMs: nowMs } });
  return { outcome: 'reserved' };
}

function trustOf(unit: LedgerUnit, { id, asset }: Account): ChainTrust {
  return { witnesses: unit.witnesses(id), rampCap: unit.rampCaps[asset] };
}

function extend(unit: LedgerUnit, { requestId, need, sole }: Extend): ExtendOutcome {
  const row = unit.request(requestId);
  const refused = (code: 'request_unknown' | 'request_ended'): ExtendOutcome => ({
    outcome: 'refused',
    code,
    account: undefined,
  });
  if (row === undefined) return refused('request_unknown');
  if (row.state !== 'reserved') return refused('request_ended');
  const { reservation } = row;
  if (need <= reservation.need) return { outcome: 'extended', need: reservation.need };
  const account = accountOf(unit, reservation);
  if (isOvertaken(account, sole)) return { outcome: 'refused', code: 'voucher_stale', account };
  const more = amount(need - reservation.need);
  const admission = admitMore(account, trustOf(unit, account), more);
  if (admission.outcome === 'refused') return { ...admission, account };
  unit.putAccount(admission.account);
  unit.putRequest({ state: 'reserved', reservation: { ...reservation, need } });
  return { outcome: 'extended', need };
}

function settle(unit: LedgerUnit, call: SettleCall): SettleOutcome {
  const row = unit.request(call.requestId);
  if (row === undefined) return { outcome: 'refused', code: 'request_unknown' };
  if (row.state === 'released') return { outcome: 'refused', code: 'request_released' };
  if (row.state === 'settled') return settledBefore(entryOf(unit, row.seq));
  const { reservation } = row;
  if (!reservation.workers.some((id) => equalPublic(id, call.workerId))) {
    return { outcome: 'refused', code: 'worker_unlisted' };
  }
  const { need, feeBps } = reservation;
  const part = call.asked > need ? need : amount(call.asked);
  const account = chargePart(accountOf(unit, reservation), need, part);
  const statement = signedLine(unit, call, account, part);
  const workerPart = amount(splitAmount(part, feeBps).worker);
  const worker = unit.worker(call.workerId, account.asset);
  const entry = unit.append({
    ...EMPTY_ENTRY,
    kind: 'settle',
    account: account.id,
    requestId: call.requestId,
    workerId: call.workerId,
    asset: account.asset,
    asked: call.asked,
    amount: part,
    workerPart,
    cum: account.charged,
    n: account.n,
    epoch: account.epoch,
    atMs: call.nowMs,
    receipt: call.receipt,
    statement,
    reference: call.receiptHash,
  });
  unit.putAccount(account);
  unit.putWorker({ ...worker, earned: add(worker.earned, workerPart) });
  noteWorkerSeq(unit, call);
  unit.putRequest({ state: 'settled', reservation, seq: entry.seq });
  const clamped = call.asked > need;
  return { outcome: 'settled', seq: entry.seq, statement, repeated: false, clamped };
}

function signedLine(
  unit: LedgerUnit,
  { requestId, receiptHash, nowMs, policyDigest }: SettleCall,
  account: Account,
  part: Amount,
): Bytes<230> {
  const { id: channel, epoch, n, charged: cum } = account;
  const line = { channel, epoch, n, requestId, receiptHash, amount: part, cum };
  return signStatement({ ...line, atMs: nowMs, policyDigest }, unit.sign).payload;
}

function settledBefore(entry: JournalEntry): SettleOutcome {
  return {
    outcome: 'settled',
    seq: entry.seq,
    statement: fixed(entry.statement, 230, 'statement'),
    repeated: true,
    clamped: entry.asked > entry.amount,
  };
}

/** Completions come in any order: the highest number counts. */
function noteWorkerSeq(unit: LedgerUnit, { statementHash, workerId, workerSeq }: SettleCall): void {
  const known = unit.workerChain(statementHash)?.lastSeq ?? 0n;
  if (workerSeq > known) unit.putWorkerChain({ statementHash, workerId, lastSeq: workerSeq });
}

function credit(unit: LedgerUnit, input: Credit): CreditOutcome {
  const account = unit.account(input.account);
  if (account === undefined) return { outcome: 'refused', code: 'account_unknown' };
  if (account.kind !== 'custodial') return { outcome: 'refused', code: 'not_custodial' };
  if (account.asset !== input.asset) return { outcome: 'refused', code: 'asset_differs' };
  if (unit.hasReference('credit', input.reference)) {
    return { outcome: 'credited', account, repeated: true };
  }
  const credited = addCredit(account, input.amount);
  if (credited === undefined) return { outcome: 'refused', code: 'out_of_range' };
  unit.append({
    ...EMPTY_ENTRY,
    kind: 'credit',
    account: account.id,
    asset: account.asset,
    amount: input.amount,
    cum: credited.deposited,
    atMs: input.nowMs,
    reference: input.reference,
  });
  unit.putAccount(credited);
  return { outcome: 'credited', account: credited, repeated: false };
}

function adoptCharge(
  unit: LedgerUnit,
  { account: id, cum, n, reference, nowMs }: AdoptCharge,
): AdoptOutcome {
  const account = unit.account(id);
  if (account === undefined) return { outcome: 'refused', code: 'account_unknown' };
  const adopted = adoptSum(account, cum, n);
  if (adopted === undefined) return { outcome: 'known', account };
  unit.append({
    ...EMPTY_ENTRY,
    kind: 'adopt',
    account: account.id,
    asset: account.asset,
    amount: amount(adopted.charged - account.charged),
    cum: adopted.charged,
    n: adopted.n,
    epoch: adopted.epoch,
    atMs: nowMs,
    reference,
  });
  unit.putAccount(adopted);
  return { outcome: 'adopted', account: adopted };
}

function accountOf(unit: LedgerUnit, { account: id }: Reservation): Account {
  return unit.account(id) ?? missing('account');
}

function entryOf(unit: LedgerUnit, seq: bigint): JournalEntry {
  return unit.entry(seq) ?? missing('entry');
}

function stateOf(unit: LedgerUnit, row: RequestRow): RequestState {
  if (row.state === 'settled') return { state: 'settled', entry: entryOf(unit, row.seq) };
  return { state: row.state, reservation: row.reservation };
}

function missing(what: string): never {
  throw ledgerError('ledger.inconsistent', `${what} of a request`);
}
