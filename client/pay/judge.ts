/**
 * The bill behind a paid answer: what of it does not hold, and everything that shows so. Spec: ton-settlement §4.3 "Client
 * check"; overview "One receipt".
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { encodePrelude, type Prelude } from '../../protocol/sx/prelude.ts';
import type { VerifiedReceipt } from '../../protocol/sx/read-response.ts';
import { statementFaults } from '../../settlement/check-statement.ts';
import type { SignedStatement } from '../../settlement/statement.ts';
import type { Voucher } from '../../settlement/voucher.ts';
import { DOCUMENT_TIMEOUT_MS } from '../limits.ts';
import type { ChannelAccount } from './account.ts';
import type { Bill } from './bill.ts';
import type { Books, GatewayView } from './books.ts';
import { lineIn, withCurrentKeys, type BillFault } from './line.ts';
import type { PaidRequest } from './payer.ts';
import { exceeds, type TokenBounds } from './recount.ts';

export interface Answered {
  /** As it was when the request left. */
  readonly known: GatewayView;
  readonly request: PaidRequest;
  readonly voucher: Voucher;
  readonly receipt: VerifiedReceipt;
  readonly ledger: Uint8Array | undefined;
  readonly recount: TokenBounds;
}

export interface JudgeParts {
  readonly account: ChannelAccount;
  readonly books: Books;
  readonly clock: Clock;
}

export interface Judged {
  /** Undefined where none came, or none that can be read: then `faults` says so. */
  readonly line: SignedStatement | undefined;
  readonly faults: readonly BillFault[];
  readonly bill: Bill;
}

export async function judge(answered: Answered, parts: JudgeParts): Promise<Judged> {
  const line = answered.ledger === undefined ? undefined : lineIn(answered.ledger);
  const { view, faults } = await faultsOf(answered, line, parts);
  // Taken before the line is counted: a bill says what was known when it came.
  return { line, faults, bill: billOf(answered, { view, faults }, parts) };
}

async function faultsOf(
  answered: Answered,
  line: SignedStatement | undefined,
  { account, books }: JudgeParts,
): Promise<{ readonly view: GatewayView; readonly faults: readonly BillFault[] }> {
  const { known } = answered;
  const usage = usageFaults(answered);
  if (line === undefined) {
    const fault: BillFault = answered.ledger === undefined ? 'missing' : 'malformed';
    return { view: known, faults: [fault, ...usage] };
  }
  const faultsUnder = (view: GatewayView): readonly BillFault[] => [
    ...lineFaults(answered, line, { account, view }),
    ...usage,
  ];
  // The app may have left at the end of its answer; the bill is looked at all the same.
  const signal = AbortSignal.timeout(DOCUMENT_TIMEOUT_MS);
  return withCurrentKeys(known, () => books.renewGatewayView(signal), faultsUnder);
}

function usageFaults({ receipt, recount }: Answered): readonly BillFault[] {
  return exceeds(receipt.receipt.usage, recount) ? ['usage'] : [];
}

function lineFaults(
  { request, voucher, receipt }: Answered,
  line: SignedStatement,
  { account, view }: { readonly account: ChannelAccount; readonly view: GatewayView },
): readonly BillFault[] {
  const { msgId, exchange } = request.sealed;
  const faults: BillFault[] = [
    ...statementFaults(line, {
      ledgerKeys: view.settlement.ledgerKeys,
      channel: account.keys.channel,
      epoch: voucher.epoch,
      receipt,
      maxAmount: exchange.prelude.maxAmount,
      ceiling: account.ceiling,
      seen: account.statements.map(({ statement }) => statement),
    }),
  ];
  return account.leavesRoom(msgId, line) ? [...faults, 'unrequested'] : faults;
}

function billOf(
  { request, voucher, receipt, ledger, recount }: Answered,
  { view, faults }: { readonly view: GatewayView; readonly faults: readonly BillFault[] },
  { account, books, clock }: JudgeParts,
): Bill {
  const { prelude, th } = request.sealed.exchange;
  const { keys, ceiling, statements } = account;
  return {
    ...unpaidBill({ prelude, th }, receipt, {
      line: ledger,
      worker: books.proofOf(receipt.key),
      gateway: view.document,
      atMs: clock(),
    }),
    faults,
    payment: { terms: keys.terms, voucher, ceiling },
    recount,
    seen: statements.map(({ payload }) => payload),
  };
}

/** A bill that no channel pays. */
export function unpaidBill(
  { prelude, th }: { readonly prelude: Prelude; readonly th: Bytes<32> },
  receipt: VerifiedReceipt,
  rest: Pick<Bill, 'line' | 'worker' | 'gateway' | 'atMs'>,
): Bill {
  return {
    ...rest,
    request: { prelude: encodePrelude(prelude), th },
    receipt: receipt.payload,
    faults: [],
    payment: undefined,
    recount: undefined,
    seen: [],
  };
}
