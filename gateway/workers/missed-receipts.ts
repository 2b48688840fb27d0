/**
 * Receipts that a worker has signed and this gateway has not settled, because it stopped between the two. A receipt proves
 * its amount by itself; whether anything was reserved for it, and so whether it is settled, the books decide.
 * Spec: P§15; ton-settlement §4.7, §4.11 rule 4.
 * @module
 */

import { equalPublic, type Bytes } from '../../core/bytes.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { amountDue } from '../../protocol/price.ts';
import {
  isReceiptSignedBy,
  parseReceiptUnverified,
  RECEIPT_BYTES,
  type SignedReceipt,
} from '../../protocol/receipt.ts';
import { sxError } from '../../protocol/sx/errors.ts';
import { MISSED_RECEIPTS_PAGES_MAX } from '../limits.ts';
import type { LiveWorker } from './registry.ts';

export interface MissedReceipts {
  readonly worker: LiveWorker;
  /** Highest receipt of this statement that is settled; 0 asks for all that the worker still has. */
  readonly afterSeq: bigint;
  /**
   * Whether anything is reserved for it. Receipts that were settled long ago come along, and are not looked at: a signature
   * of each in every round is more than a gateway has time for.
   */
  readonly isWanted?: (requestId: Bytes<16>) => boolean;
  /** `unknown`: nothing is reserved for it here, or it is settled already. */
  readonly settle: (receipt: SignedReceipt) => Promise<'settled' | 'unknown'>;
  readonly signal: AbortSignal;
}

export interface RecoveredReceipts {
  readonly settled: number;
  readonly unknown: number;
  /** Of the last one that was looked at. */
  readonly lastSeq: bigint;
}

/** Throws `http.*`, `sx.receipt` with the name of the check, and what `settle` throws; what was settled stays settled. */
export async function settleMissedReceipts(input: MissedReceipts): Promise<RecoveredReceipts> {
  const { worker, settle, signal, isWanted = () => true } = input;
  let [settled, unknown, last] = [0, 0, input.afterSeq];
  let previous: SignedReceipt | undefined;
  for (let page = 0; page < MISSED_RECEIPTS_PAGES_MAX; page++) {
    const bytes = await worker.link.fetchReceiptsAfter(worker.key.statementHash, last, signal);
    if (bytes.length === 0) break;
    if (bytes.length % RECEIPT_BYTES !== 0) throw sxError('sx.receipt', 'page size');
    for (let at = 0; at < bytes.length; at += RECEIPT_BYTES) {
      const payload = bytes.subarray(at, at + RECEIPT_BYTES);
      const unverified = parseReceiptUnverified(payload);
      const { requestId, workerSeq } = unverified.receipt;
      if (workerSeq <= last) {
        throw sxError('sx.receipt', 'workerSeq', { facts: { check: 'workerSeq' } });
      }
      const receipt = isWanted(requestId)
        ? verifyMissedReceipt(payload, { key: worker.key, after: last, previous })
        : undefined;
      if (receipt !== undefined && (await settle(receipt)) === 'settled') settled++;
      else unknown++;
      last = workerSeq;
      previous = unverified;
    }
  }
  return { settled, unknown, lastSeq: last };
}

/** A receipt names the key that its request was sealed to. */
function kidsOf({ kid, ehbp }: AttestedKey): readonly Bytes<16>[] {
  return ehbp === undefined ? [kid] : [kid, ehbp.kid];
}

export interface MissedExpectation {
  readonly key: AttestedKey;
  readonly after: bigint;
  readonly previous: SignedReceipt | undefined;
}

/**
 * All of P§9.4 that can be checked without the request: what belongs to it (payerRef, th, the ceiling) only the books know.
 * Throws `sx.receipt` with the name of the first check that failed.
 */
export function verifyMissedReceipt(
  payload: Uint8Array,
  { key, after, previous }: MissedExpectation,
): SignedReceipt {
  const signed = parseReceiptUnverified(payload);
  const { receipt } = signed;
  const { usage, outcome, workerSeq } = receipt;
  const isNext = previous !== undefined && workerSeq === previous.receipt.workerSeq + 1n;
  const checks = [
    ['signature', () => isReceiptSignedBy(signed, key.receiptKey)],
    ['statementHash', () => equalPublic(receipt.statementHash, key.statementHash)],
    ['kid', () => kidsOf(key).some((kid) => equalPublic(receipt.kid, kid))],
    ['workerId', () => equalPublic(receipt.workerId, key.workerId)],
    ['modelDigest', () => equalPublic(receipt.modelDigest, key.model.digest)],
    ['priceDigest', () => equalPublic(receipt.priceDigest, key.priceDigest)],
    ['simulated', () => receipt.simulated === key.simulated],
    ['amount', () => receipt.amount === amountDue(key.prices, usage, outcome)],
    ['time', () => receipt.startMs <= receipt.endMs],
    ['workerSeq', () => workerSeq > after],
    [
      'prevReceiptHash',
      () =>
        (workerSeq !== 1n || equalPublic(receipt.prevReceiptHash, key.statementHash)) &&
        (!isNext || equalPublic(receipt.prevReceiptHash, previous.hash)),
    ],
  ] as const;
  for (const [check, holds] of checks) {
    if (!holds()) throw sxError('sx.receipt', check, { facts: { check } });
  }
  return signed;
}
