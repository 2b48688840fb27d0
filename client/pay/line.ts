/**
 * What a client makes of the ledger line behind an answer. Spec: ton-settlement §4.3 "Client check"; overview "One receipt".
 * @module
 */

import { equalPublic, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import type { GatewaySettlement } from '../../protocol/gateway-document.ts';
import type { SignedReceipt } from '../../protocol/receipt.ts';
import type { VerifiedReceipt } from '../../protocol/sx/read-response.ts';
import type { StatementFault } from '../../settlement/check-statement.ts';
import type { Amount } from '../../settlement/money.ts';
import {
  isStatementSignedBy,
  parseStatementUnverified,
  type SignedStatement,
} from '../../settlement/statement.ts';

/** What one request cost, by the gateway's signature and the worker's. */
export interface Settlement {
  readonly amount: Amount;
  /** Everything charged to the account, this request included. */
  readonly cum: Amount;
  readonly n: bigint;
  readonly statement: SignedStatement;
  readonly receipt: VerifiedReceipt;
  /** A bill for `veilgate receipt verify`: no content. */
  readonly bill: () => Uint8Array;
}

export type BillFault =
  | StatementFault
  /** No line came, and somebody pays. */
  | 'missing'
  | 'malformed'
  /** The sums leave room for a charge that this client never asked for. */
  | 'unrequested'
  /** The worker's receipt counts more tokens than the texts can be. */
  | 'usage'
  /** A METER counted more than had arrived when it came. */
  | 'metered';

export function lineIn(bytes: Uint8Array): SignedStatement | undefined {
  try {
    return parseStatementUnverified(bytes);
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return undefined; // an answer: `malformed`
  }
}

/** Of an answer that no channel pays for. Whose account it names is the gateway's affair. */
export function unpaidFaults(
  line: SignedStatement,
  receipt: SignedReceipt,
  ledgerKeys: readonly Bytes<32>[],
): readonly BillFault[] {
  const { statement } = line;
  const sound: readonly (readonly [BillFault, boolean])[] = [
    ['signature', ledgerKeys.some((key) => isStatementSignedBy(line, key))],
    ['request', equalPublic(statement.requestId, receipt.receipt.requestId)],
    ['receipt', equalPublic(statement.receiptHash, receipt.hash)],
    ['amount', statement.amount <= receipt.receipt.amount],
  ];
  return sound.filter(([, holds]) => !holds).map(([fault]) => fault);
}

/**
 * Against the keys that are known; a line signed by none of them is held against a document fetched anew, because keys are
 * replaced while sessions live. Once: whoever signs with nonsense gains one request of ours.
 */
export async function withCurrentKeys<View extends { readonly settlement: GatewaySettlement }>(
  known: View,
  renew: () => Promise<View>,
  faultsUnder: (view: View) => readonly BillFault[],
): Promise<{ readonly view: View; readonly faults: readonly BillFault[] }> {
  const faults = faultsUnder(known);
  if (!faults.includes('signature')) return { view: known, faults };
  const view = await currentOr(known, renew);
  return { view, faults: faultsUnder(view) };
}

/** A gateway that does not say whose the signature is leaves it nobody's. */
async function currentOr<View>(known: View, renew: () => Promise<View>): Promise<View> {
  try {
    return await renew();
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return known;
  }
}
