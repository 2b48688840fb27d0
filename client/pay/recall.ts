/**
 * The bill of a request whose answer got lost, as the gateway shows it later: everything is held against what was asked that
 * can be without the answer. Spec: P§9.4, §9.5; ton-settlement §4.3 "Client check".
 * @module
 */

import { equalPublic } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import { encodePrelude } from '../../protocol/sx/prelude.ts';
import { verifyReceipt, type VerifiedReceipt } from '../../protocol/sx/check-receipt.ts';
import { parseReceiptUnverified } from '../../protocol/receipt.ts';
import { isStatementSignedBy, type SignedStatement } from '../../settlement/statement.ts';
import type { ChannelAccount } from './account.ts';
import type { SettlementWord } from './ask.ts';
import { encodeBill } from './bill.ts';
import type { Books, GatewayView, WorkerProof } from './books.ts';
import { lineFaults, paymentOf } from './judge.ts';
import { lineIn } from './line.ts';
import type { LostRequest, Witness, WitnessKey } from './lost.ts';

export type Recalled =
  | { readonly outcome: 'holds'; readonly line: SignedStatement }
  /** `bill` is undefined where no receipt verified. */
  | {
      readonly outcome: 'fault';
      readonly faults: readonly string[];
      readonly bill: Uint8Array | undefined;
    }
  /** Nobody can tell now. */
  | { readonly outcome: 'unclear' };

export interface RecallParts {
  readonly account: ChannelAccount;
  readonly books: Books;
  readonly clock: Clock;
}

type Settled = Extract<SettlementWord, { state: 'settled' }>;
type Receipt = VerifiedReceipt<WitnessKey>;

const UNCLEAR: Recalled = { outcome: 'unclear' };
/** After a restart nobody here has the worker's statement any more; receipt and line are evidence without it. */
const NO_PROOF: WorkerProof = { statement: new Uint8Array(), card: new Uint8Array() };

export async function recall(
  { id, witness }: LostRequest,
  settled: Settled,
  parts: RecallParts,
  signal: AbortSignal,
): Promise<Recalled> {
  if (witness === undefined) return UNCLEAR;
  const receipt = receiptOf(settled.receipt, witness);
  if (receipt === undefined) {
    return { outcome: 'fault', faults: ['receipt_refused'], bill: undefined };
  }
  const { account, books } = parts;
  const known = await books.gatewayView(signal);
  const line = lineIn(settled.line);
  const view = line === undefined ? known : await viewFor(line, known, books, signal);
  if (view === undefined) return UNCLEAR;
  const { prelude } = witness;
  const asked = { msgId: id, maxAmount: prelude.maxAmount, epoch: account.epoch };
  const faults =
    line === undefined ? ['malformed'] : lineFaults(asked, { line, receipt }, { account, view });
  if (line !== undefined && faults.length === 0) return { outcome: 'holds', line };
  return {
    outcome: 'fault',
    faults,
    bill: billOf({ witness, receipt, settled, faults, view }, parts),
  };
}

function receiptOf(payload: Uint8Array, { prelude, th, keys }: Witness): Receipt | undefined {
  try {
    const { kid } = parseReceiptUnverified(payload).receipt;
    const key = keys.find((each) => equalPublic(each.kid, kid));
    if (key === undefined) return undefined;
    const { policyDigest } = key;
    return verifyReceipt(payload, { key, prelude, th, respHash: 'cut', policyDigest });
  } catch (error) {
    if (!(error instanceof VeilError)) throw error;
    return undefined; // an answer: `receipt_refused`
  }
}

/** Ledger keys are replaced. Undefined while nobody says by what: then the same line is looked at again. */
async function viewFor(
  line: SignedStatement,
  known: GatewayView,
  books: Books,
  signal: AbortSignal,
): Promise<GatewayView | undefined> {
  if (known.settlement.ledgerKeys.some((key) => isStatementSignedBy(line, key))) return known;
  try {
    return await books.renewGatewayView(signal);
  } catch (error) {
    if (!(error instanceof VeilError) && !signal.aborted) throw error;
    return undefined;
  }
}

interface Evidence {
  readonly witness: Witness;
  readonly receipt: Receipt;
  readonly settled: Settled;
  readonly faults: readonly string[];
  readonly view: GatewayView;
}

function billOf(
  { witness, receipt, settled, faults, view }: Evidence,
  { account, clock }: RecallParts,
): Uint8Array {
  return encodeBill({
    ...paymentOf(account.standing, account),
    faults,
    atMs: clock(),
    gateway: view.document,
    worker: witness.proofOf?.(receipt.key.kid) ?? NO_PROOF,
    request: { prelude: encodePrelude(witness.prelude), th: witness.th },
    receipt: receipt.payload,
    line: settled.line,
    recount: undefined,
    meter: undefined,
  });
}
