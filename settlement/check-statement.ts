/**
 * What a client demands of a ledger line before it signs another voucher. Any fault: stop signing, withdraw, keep the bundle.
 * The receipt was checked before (protocol/sx/check-receipt.ts). Spec: ton-settlement §4.3 "Client check".
 * @module
 */

import { equalPublic, type Bytes } from '../core/bytes.ts';
import type { SignedReceipt } from '../protocol/receipt.ts';
import type { Amount } from './money.ts';
import {
  contradictionBetween,
  isStatementSignedBy,
  type SignedStatement,
  type Statement,
} from './statement.ts';

export type StatementFault =
  | 'signature'
  | 'channel'
  | 'epoch'
  | 'request'
  | 'receipt'
  /** More than the receipt says, or than this client allowed. A gateway that reserved less may charge less. */
  | 'amount'
  /** More in all than this client ever signed for. */
  | 'ceiling'
  /** One of the statements seen before cannot be true beside it: evidence. */
  | 'contradiction';

export interface StatementExpectation {
  /** Of the gateway's document. */
  readonly ledgerKeys: readonly Bytes<32>[];
  readonly channel: Bytes<32>;
  readonly epoch: number;
  readonly receipt: SignedReceipt;
  /** `max_amount` of the prelude. */
  readonly maxAmount: bigint;
  /** Highest ceiling signed for the channel. */
  readonly ceiling: Amount;
  /** Of the same channel; requests run side by side, so any of them may come before or after. */
  readonly seen: readonly Statement[];
}

/** All faults; empty for an honest line. */
export function statementFaults(
  signed: SignedStatement,
  expected: StatementExpectation,
): readonly StatementFault[] {
  const { statement } = signed;
  const { receipt, hash } = expected.receipt;
  const due = receipt.amount < expected.maxAmount ? receipt.amount : expected.maxAmount;
  const isSound: Readonly<Record<StatementFault, boolean>> = {
    signature: expected.ledgerKeys.some((key) => isStatementSignedBy(signed, key)),
    channel: equalPublic(statement.channel, expected.channel),
    epoch: statement.epoch === expected.epoch,
    request: equalPublic(statement.requestId, receipt.requestId),
    receipt: equalPublic(statement.receiptHash, hash),
    amount: statement.amount <= due,
    ceiling: statement.cum <= expected.ceiling,
    contradiction: expected.seen.every(
      (other) => contradictionBetween(statement, other) === undefined,
    ),
  };
  return FAULTS.filter((fault) => !isSound[fault]);
}

const FAULTS: readonly StatementFault[] = [
  'signature',
  'channel',
  'epoch',
  'request',
  'receipt',
  'amount',
  'ceiling',
  'contradiction',
];
