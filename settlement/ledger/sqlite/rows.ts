/** Rows to records and back. What does not fit its type is `ledger.store`: somebody else wrote there. @module */

import { concat, fixed, u64be, u128be, type Bytes } from '../../../core/bytes.ts';
import { ledgerError } from '../../errors.ts';
import { amount, assetOfCode, codeOfAsset, type Amount, type Asset } from '../../money.ts';
import { ENTRY_KINDS } from '../journal.ts';
import type {
  Account,
  AccountKind,
  JournalEntry,
  JournalHead,
  Note,
  Payout,
  Reservation,
  WorkerBalance,
} from '../ledger.ts';
import type { RequestRow, WorkerChain } from '../unit.ts';
import type { Parameter, Row } from './database.ts';

const ACCOUNT_KINDS: readonly AccountKind[] = ['channel', 'custodial', 'none'];
const REQUEST_STATES: readonly RequestRow['state'][] = ['reserved', 'released', 'settled'];
const PAYOUT_STATES: readonly Payout['state'][] = ['planned', 'confirmed', 'expired'];
/** Bits of the column `frozen`. */
const FROZEN = 1;
const CLOSING = 2;
const WORKER_ID_BYTES = 32;

export function accountParameters(account: Account): readonly Parameter[] {
  return [
    account.id,
    ACCOUNT_KINDS.indexOf(account.kind),
    codeOfAsset(account.asset),
    account.payerKey ?? null,
    account.epoch,
    account.deposited,
    account.refunded,
    account.withdrawing,
    account.claimed,
    account.ceiling,
    account.voucherSignature ?? null,
    account.charged,
    account.reserved,
    account.n,
    (account.standing === 'frozen' ? FROZEN : 0) | (account.isClosing ? CLOSING : 0),
    account.blockSeqno,
  ];
}

export function accountOf(row: Row): Account {
  return {
    id: bytesAt(row, 'id', 32),
    kind: chosen(row, 'kind', ACCOUNT_KINDS),
    asset: assetAt(row),
    payerKey: row['payer_key'] === null ? undefined : bytesAt(row, 'payer_key', 32),
    epoch: numberAt(row, 'epoch'),
    deposited: amountAt(row, 'deposited'),
    refunded: amountAt(row, 'refunded'),
    withdrawing: amountAt(row, 'withdrawing'),
    claimed: amountAt(row, 'claimed'),
    ceiling: amountAt(row, 'ceiling'),
    voucherSignature:
      row['voucher_signature'] === null ? undefined : bytesAt(row, 'voucher_signature', 64),
    charged: amountAt(row, 'charged'),
    reserved: amountAt(row, 'reserved'),
    n: bigintAt(row, 'n'),
    standing: (numberAt(row, 'frozen') & FROZEN) === 0 ? 'good' : 'frozen',
    isClosing: (numberAt(row, 'frozen') & CLOSING) !== 0,
    blockSeqno: numberAt(row, 'block_seqno'),
  };
}

export function requestParameters(row: RequestRow): readonly Parameter[] {
  const { reservation } = row;
  return [
    reservation.requestId,
    reservation.account,
    reservation.need,
    concat(...reservation.workers),
    reservation.feeBps,
    reservation.reservedMs,
    reservation.expiresMs,
    REQUEST_STATES.indexOf(row.state),
    row.state === 'settled' ? row.seq : null,
  ];
}

export function changeParameters(row: RequestRow): readonly Parameter[] {
  const seq = row.state === 'settled' ? row.seq : null;
  const { need, requestId } = row.reservation;
  return [REQUEST_STATES.indexOf(row.state), seq, need, requestId];
}

export function requestOf(row: Row): RequestRow {
  const reservation: Reservation = {
    requestId: bytesAt(row, 'request_id', 16),
    account: bytesAt(row, 'account', 32),
    need: amountAt(row, 'need'),
    workers: workersOf(blobAt(row, 'workers')),
    feeBps: numberAt(row, 'fee_bps'),
    reservedMs: numberAt(row, 'reserved_ms'),
    expiresMs: numberAt(row, 'expires_ms'),
  };
  const state = chosen(row, 'state', REQUEST_STATES);
  return state === 'settled'
    ? { state, reservation, seq: bigintAt(row, 'seq') }
    : { state, reservation };
}

function workersOf(bytes: Uint8Array): readonly Bytes<32>[] {
  return Array.from({ length: bytes.length / WORKER_ID_BYTES }, (_, at) =>
    fixed(bytes.subarray(at * WORKER_ID_BYTES, (at + 1) * WORKER_ID_BYTES), WORKER_ID_BYTES),
  );
}

export function entryParameters(entry: JournalEntry): readonly Parameter[] {
  return [
    entry.seq,
    ENTRY_KINDS.indexOf(entry.kind),
    entry.account,
    entry.requestId,
    entry.workerId,
    codeOfAsset(entry.asset),
    u128be(entry.asked),
    entry.amount,
    entry.workerPart,
    entry.cum,
    entry.n,
    entry.epoch,
    entry.atMs,
    entry.receipt,
    entry.statement,
    entry.reference,
    entry.hash,
  ];
}

export function entryOf(row: Row): JournalEntry {
  return {
    seq: bigintAt(row, 'seq'),
    kind: chosen(row, 'kind', ENTRY_KINDS),
    account: bytesAt(row, 'account', 32),
    requestId: bytesAt(row, 'request_id', 16),
    workerId: bytesAt(row, 'worker_id', 32),
    asset: assetAt(row),
    asked: bigEndian(bytesAt(row, 'asked', 16)),
    amount: amountAt(row, 'amount'),
    workerPart: amountAt(row, 'worker_part'),
    cum: amountAt(row, 'cum'),
    n: bigintAt(row, 'n'),
    epoch: numberAt(row, 'epoch'),
    atMs: numberAt(row, 'at_ms'),
    receipt: blobAt(row, 'receipt'),
    statement: blobAt(row, 'statement'),
    reference: bytesAt(row, 'reference', 32),
    hash: bytesAt(row, 'hash', 32),
  };
}

export function noteOf(row: Row): Note {
  const kind = row['kind'];
  if (typeof kind !== 'string') throw ledgerError('ledger.store', 'kind of a note');
  return { kind, key: bytesAt(row, 'key', 32), value: blobAt(row, 'value') };
}

export function headOf(row: Row): JournalHead {
  return { seq: bigintAt(row, 'seq'), hash: bytesAt(row, 'hash', 32) };
}

export function workerParameters(balance: WorkerBalance): readonly Parameter[] {
  const { workerId, asset, earned, planned, paid } = balance;
  return [workerId, codeOfAsset(asset), earned, planned, paid];
}

export function workerKey(workerId: Bytes<32>, asset: Asset): readonly Parameter[] {
  return [workerId, codeOfAsset(asset)];
}

export function workerOf(row: Row): WorkerBalance {
  return {
    workerId: bytesAt(row, 'worker_id', 32),
    asset: assetAt(row),
    earned: amountAt(row, 'earned'),
    planned: amountAt(row, 'planned'),
    paid: amountAt(row, 'paid'),
  };
}

export function workerChainParameters(chain: WorkerChain): readonly Parameter[] {
  return [chain.statementHash, chain.workerId, u64be(chain.lastSeq)];
}

export function workerChainOf(row: Row): WorkerChain {
  return {
    statementHash: bytesAt(row, 'statement_hash', 32),
    workerId: bytesAt(row, 'worker_id', 32),
    lastSeq: bigEndian(bytesAt(row, 'last_seq', 8)),
  };
}

export function payoutParameters(payout: Payout): readonly Parameter[] {
  return [
    payout.queryId,
    payout.workerId,
    payout.destination,
    codeOfAsset(payout.asset),
    payout.amount,
    payout.validUntilMs,
    PAYOUT_STATES.indexOf(payout.state),
  ];
}

export function payoutOf(row: Row): Payout {
  const destination = row['destination'];
  if (typeof destination !== 'string') throw wrong('destination');
  return {
    queryId: bigintAt(row, 'query_id'),
    workerId: bytesAt(row, 'worker_id', 32),
    destination,
    asset: assetAt(row),
    amount: amountAt(row, 'amount'),
    validUntilMs: numberAt(row, 'valid_until_ms'),
    state: chosen(row, 'state', PAYOUT_STATES),
  };
}

function wrong(column: string): Error {
  return ledgerError('ledger.store', `unexpected value in ${column}`);
}

function bigintAt(row: Row, column: string): bigint {
  const value = row[column];
  if (typeof value !== 'bigint') throw wrong(column);
  return value;
}

function numberAt(row: Row, column: string): number {
  const value = Number(bigintAt(row, column));
  if (!Number.isSafeInteger(value)) throw wrong(column);
  return value;
}

function amountAt(row: Row, column: string): Amount {
  return amount(bigintAt(row, column));
}

function blobAt(row: Row, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array)) throw wrong(column);
  return value;
}

function bytesAt<N extends number>(row: Row, column: string, size: N): Bytes<N> {
  const value = blobAt(row, column);
  if (value.length !== size) throw wrong(column);
  return fixed(value, size, column);
}

function assetAt(row: Row): Asset {
  const asset = assetOfCode(numberAt(row, 'asset'));
  if (asset === undefined) throw wrong('asset');
  return asset;
}

function chosen<T>(row: Row, column: string, values: readonly T[]): T {
  const value = values[numberAt(row, column)];
  if (value === undefined) throw wrong(column);
  return value;
}

function bigEndian(bytes: Uint8Array): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}
