/**
 * The journal's chain: every entry is hashed with the one before it, so that a row which was changed, dropped or put in
 * shows at the next start and at every anchor. Spec: ton-settlement §4.11.
 * @module
 */

import { ascii, fixed, type Bytes } from '../../core/bytes.ts';
import { sha256 } from '#primitives';
import { amount, codeOfAsset } from '../money.ts';
import type { EntryKind, JournalEntry, JournalHead } from './ledger.ts';

const LABEL = ascii('veilgate.journal/1\0');
/** Numbers are part of what is hashed. */
export const ENTRY_KINDS: readonly EntryKind[] = ['settle', 'credit', 'adopt', 'payout'];

export const ZERO_16: Bytes<16> = fixed(new Uint8Array(16), 16);
export const ZERO_32: Bytes<32> = fixed(new Uint8Array(32), 32);
export const EMPTY_HEAD: JournalHead = { seq: 0n, hash: ZERO_32 };

/** As an operation makes it; the rest follows from the head. */
export type EntryDraft = Omit<JournalEntry, 'seq' | 'hash'>;

/** What most kinds leave empty. */
export const EMPTY_ENTRY = {
  account: ZERO_32,
  requestId: ZERO_16,
  workerId: ZERO_32,
  asked: 0n,
  workerPart: amount(0n),
  n: 0n,
  epoch: 0,
  receipt: new Uint8Array(0),
  statement: new Uint8Array(0),
  reference: ZERO_32,
} as const;

export function chainEntry(head: JournalHead, draft: EntryDraft): JournalEntry {
  const seq = head.seq + 1n;
  return { ...draft, seq, hash: hashEntry(head.hash, { ...draft, seq }) };
}

const FIXED_BYTES = 256;

/** label ‖ previous hash ‖ fixed fields ‖ sizes ‖ receipt ‖ statement, laid out in one buffer: it is on the way of every request. */
export function hashEntry(previous: Bytes<32>, entry: Omit<JournalEntry, 'hash'>): Bytes<32> {
  const { receipt, statement } = entry;
  const out = new Uint8Array(FIXED_BYTES + receipt.length + statement.length);
  const view = new DataView(out.buffer);
  out.set(LABEL, 0); // 19 bytes
  out.set(previous, 19);
  view.setUint8(51, ENTRY_KINDS.indexOf(entry.kind));
  view.setUint8(52, codeOfAsset(entry.asset));
  view.setUint16(53, entry.epoch);
  view.setBigUint64(55, entry.seq);
  out.set(entry.account, 63);
  out.set(entry.requestId, 95);
  out.set(entry.workerId, 111);
  out.set(entry.reference, 143);
  view.setBigUint64(175, entry.asked >> 64n);
  view.setBigUint64(183, BigInt.asUintN(64, entry.asked));
  view.setBigUint64(191, entry.amount);
  view.setBigUint64(199, entry.workerPart);
  view.setBigUint64(207, entry.cum);
  view.setBigUint64(215, entry.n);
  view.setBigUint64(223, BigInt(entry.atMs));
  view.setUint32(231, receipt.length);
  view.setUint32(235, statement.length);
  out.set(receipt, FIXED_BYTES);
  out.set(statement, FIXED_BYTES + receipt.length);
  return sha256(out);
}
