/**
 * Does this receipt belong to this exchange, and is the bill right? The client asks with everything, the gateway with what
 * it can see. Each check has its name in `facts.check`. Spec: P§9.4.
 * @module
 */

import { equalPublic, type Bytes } from '../../core/bytes.ts';
import type { AttestedKey } from '../../attestation/verdict.ts';
import { amountDue } from '../price.ts';
import {
  isReceiptSignedBy,
  parseReceiptUnverified,
  type Receipt,
  type SignedReceipt,
} from '../receipt.ts';
import { sxError } from './errors.ts';
import type { AssetId, Prelude } from './prelude.ts';

/** Of an attested key what its receipts are held against: whoever asks later keeps no more than this. */
export type ReceiptKey = Pick<
  AttestedKey,
  'workerId' | 'statementHash' | 'kid' | 'receiptKey' | 'prices' | 'priceDigest' | 'simulated'
> & { readonly model: Pick<AttestedKey['model'], 'digest'> };

/** A receipt that passed every check of P§9.4. */
export interface VerifiedReceipt<Key extends ReceiptKey = AttestedKey> extends SignedReceipt {
  readonly key: Key;
}

export interface ReceiptExpectation<Key extends ReceiptKey = AttestedKey> {
  /** The worker that answered, as attested. */
  readonly key: Key;
  readonly prelude: Prelude;
  readonly th: Bytes<32>;
  /** `cut`: whoever fetches the receipt of an answer that it did not see to the end cannot compare this one. */
  readonly respHash: Bytes<32> | 'cut';
  /** `sealed`: a gateway cannot see which policy the client named, so it does not check this one. */
  readonly policyDigest: Bytes<32> | 'sealed';
}

const ASSETS: Readonly<Record<AttestedKey['prices']['asset'], AssetId>> = { TON: 0, USDT: 1 };

/** Throws `sx.receipt` with the name of the first check that failed. */
export function verifyReceipt<Key extends ReceiptKey>(
  payload: Uint8Array,
  expected: ReceiptExpectation<Key>,
): VerifiedReceipt<Key> {
  const signed = parseReceiptUnverified(payload);
  const { key } = expected;
  const checks = [
    ['signature', () => isReceiptSignedBy(signed, key.receiptKey)],
    ...identityChecks(signed.receipt, expected),
    ...billChecks(signed.receipt, expected),
    ...chainChecks(signed.receipt, key),
  ] as const;
  for (const [check, holds] of checks) {
    if (!holds()) throw sxError('sx.receipt', check, { facts: { check } });
  }
  return { ...signed, key };
}

type ReceiptCheck = readonly [name: string, holds: () => boolean];

function identityChecks(
  receipt: Receipt,
  expected: ReceiptExpectation<ReceiptKey>,
): readonly ReceiptCheck[] {
  const { key, prelude, th, respHash, policyDigest } = expected;
  return [
    ['requestId', () => equalPublic(receipt.requestId, prelude.msgId)],
    ['statementHash', () => equalPublic(receipt.statementHash, key.statementHash)],
    ['kid', () => equalPublic(receipt.kid, key.kid)],
    ['payerRef', () => equalPublic(receipt.payerRef, prelude.payerRef)],
    ['workerId', () => equalPublic(receipt.workerId, key.workerId)],
    ['modelDigest', () => equalPublic(receipt.modelDigest, key.model.digest)],
    ['priceDigest', () => equalPublic(receipt.priceDigest, key.priceDigest)],
    [
      'policyDigest',
      () => policyDigest === 'sealed' || equalPublic(receipt.policyDigest, policyDigest),
    ],
    ['reqHash', () => equalPublic(receipt.reqHash, th)],
    ['respHash', () => respHash === 'cut' || equalPublic(receipt.respHash, respHash)],
    ['simulated', () => receipt.simulated === key.simulated],
  ];
}

function billChecks(
  receipt: Receipt,
  expected: ReceiptExpectation<ReceiptKey>,
): readonly ReceiptCheck[] {
  const { key, prelude } = expected;
  const { usage, amount, outcome } = receipt;
  return [
    ['asset', () => ASSETS[key.prices.asset] === prelude.asset],
    ['maxPrompt', () => usage.prompt + usage.cached <= prelude.maxPrompt],
    ['maxOutput', () => usage.completion + usage.reasoning <= prelude.maxOutput],
    ['amount', () => amount === amountDue(key.prices, usage, outcome)],
    ['maxAmount', () => amount <= prelude.maxAmount],
    ['time', () => receipt.startMs <= receipt.endMs],
  ];
}

function chainChecks(receipt: Receipt, key: ReceiptKey): readonly ReceiptCheck[] {
  return [
    ['workerSeq', () => receipt.workerSeq >= 1n],
    [
      'prevReceiptHash',
      () => receipt.workerSeq !== 1n || equalPublic(receipt.prevReceiptHash, key.statementHash),
    ],
  ];
}
