/**
 * Whether a worker's receipt is about this exchange and within what its sender signed. Everything but the plaintext is
 * checked here; the client checks the same again. Spec: overview "One receipt"; gateways-and-e2ee §7.6.
 * @module
 */

import { constantTimeEqual } from '#primitives';
import type { Bytes } from '../core/bytes.ts';
import type { AttestedKey } from '../attestation/verdict.ts';
import { amountDue } from '../protocol/price.ts';
import {
  parseReceiptUnverified,
  isReceiptSignedBy,
  type SignedReceipt,
} from '../protocol/receipt.ts';
import type { ClearRequest } from '../protocol/sx/clear.ts';
import { sxError } from '../protocol/sx/errors.ts';

export interface ReceiptExpectation {
  readonly key: AttestedKey;
  readonly request: ClearRequest;
  /** What was relayed; `cut` when the client left and the receipt was fetched afterwards. */
  readonly answer:
    | { readonly kind: 'whole'; readonly respHash: Bytes<32> }
    | { readonly kind: 'cut' };
}

/** Throws `sx.receipt`; `facts.reason` says which comparison failed. */
export function verifyReceipt(payload: Uint8Array, expected: ReceiptExpectation): SignedReceipt {
  const { key, request, answer } = expected;
  const { prelude } = request;
  const signed = parseReceiptUnverified(payload);
  if (!isReceiptSignedBy(signed, key.receiptKey)) throw mismatch('signature');
  const { receipt } = signed;
  const same: readonly (readonly [reason: string, got: Uint8Array, want: Uint8Array])[] = [
    ['requestId', receipt.requestId, prelude.msgId],
    ['statementHash', receipt.statementHash, key.statementHash],
    ['kid', receipt.kid, key.kid],
    ['payerRef', receipt.payerRef, prelude.payerRef],
    ['workerId', receipt.workerId, key.workerId],
    ['modelDigest', receipt.modelDigest, key.model.digest],
    ['priceDigest', receipt.priceDigest, key.priceDigest],
    ['reqHash', receipt.reqHash, request.th],
  ];
  for (const [reason, got, want] of same) if (!constantTimeEqual(got, want)) throw mismatch(reason);
  if (answer.kind === 'whole' && !constantTimeEqual(receipt.respHash, answer.respHash)) {
    throw mismatch('respHash');
  }
  if (receipt.simulated !== key.simulated) throw mismatch('simulated');
  const { usage } = receipt;
  if (usage.prompt + usage.cached > prelude.maxPrompt) throw mismatch('prompt');
  if (usage.completion + usage.reasoning > prelude.maxOutput) throw mismatch('output');
  if (receipt.amount !== amountDue(key.prices, usage, receipt.outcome)) throw mismatch('amount');
  if (receipt.amount > prelude.maxAmount) throw mismatch('ceiling');
  return signed;
}

function mismatch(reason: string): Error {
  return sxError('sx.receipt', reason, { facts: { reason } });
}
