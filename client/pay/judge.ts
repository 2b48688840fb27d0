/**
 * The bill behind a paid answer: what of it does not hold, and everything that shows so. Spec: ton-settlement §4.3 "Client
 * check"; overview "One receipt".
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { encodePrelude, type Prelude } from '../../protocol/sx/prelude.ts';
import type { SignedReceipt } from '../../protocol/receipt.ts';
import type { VerifiedReceipt } from '../../protocol/sx/read-response.ts';
import { statementFaults } from '../../settlement/check-statement.ts';
import type { SignedStatement } from '../../settlement/statement.ts';
import type { Voucher } from '../../settlement/voucher.ts';
import type { ChannelAccount } from './account.ts';
import type { Bill } from './bill.ts';
import type { Books, GatewayView } from './books.ts';
import type { ExcessMeter } from './follow.ts';
import { lineIn, withCurrentKeys, type BillFault } from './line.ts';
import type { PaidRequest } from './payer.ts';
import { exceeds, METERED, type TokenBounds } from './recount.ts';

export interface Answered {
  /** As it was when the request left. */
  readonly known: GatewayView;
  readonly request: PaidRequest;
  readonly voucher: Voucher;
  readonly receipt: VerifiedReceipt;
  readonly ledger: Uint8Array | undefined;
  readonly recount: TokenBounds;
  /** Of an answer that is paid as it goes. */
  readonly excess: ExcessMeter | undefined;
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
  const usage = [...usageFaults(answered), ...meterFaults(answered)];
  if (line === undefined) {
    const fault: BillFault = answered.ledger === undefined ? 'missing' : 'malformed';
    return { view: known, faults: [fault, ...usage] };
  }
  const { receipt, voucher, request } = answered;
  const { msgId, exchange } = request.sealed;
  const asked = { msgId, maxAmount: exchange.prelude.maxAmount, epoch: voucher.epoch };
  const faultsUnder = (view: GatewayView): readonly BillFault[] => [
    ...lineFaults(asked, { line, receipt }, { account, view }),
    ...usage,
  ];
  // The app may have left at the end of its answer; the bill is looked at all the same.
  const { signal } = new AbortController();
  return withCurrentKeys(known, () => books.renewGatewayView(signal), faultsUnder);
}

function usageFaults({ receipt, recount }: Answered): readonly BillFault[] {
  return exceeds(receipt.receipt.usage, recount) ? ['usage'] : [];
}

function meterFaults({ excess }: Pick<Answered, 'excess'>): readonly BillFault[] {
  return excess === undefined ? [] : [METERED];
}

/** Of a request under way or lost. */
export function lineFaults(
  asked: { readonly msgId: Bytes<16>; readonly maxAmount: bigint; readonly epoch: number },
  { line, receipt }: { readonly line: SignedStatement; readonly receipt: SignedReceipt },
  { account, view }: { readonly account: ChannelAccount; readonly view: GatewayView },
): readonly BillFault[] {
  const faults: BillFault[] = [
    ...statementFaults(line, {
      ledgerKeys: view.settlement.ledgerKeys,
      channel: account.keys.channel,
      epoch: asked.epoch,
      receipt,
      maxAmount: asked.maxAmount,
      ceiling: account.ceiling,
      seen: account.statements.map(({ statement }) => statement),
    }),
  ];
  return account.leavesRoom(asked.msgId, line) ? [...faults, 'unrequested'] : faults;
}

function billOf(
  answered: Answered,
  { view, faults }: { readonly view: GatewayView; readonly faults: readonly BillFault[] },
  parts: JudgeParts,
): Bill {
  const { request, receipt, ledger, recount, excess } = answered;
  return {
    ...unpaidBill(request.sealed.exchange, receipt, {
      line: ledger,
      worker: parts.books.proofOf(receipt.key),
      gateway: view.document,
      atMs: parts.clock(),
    }),
    ...paymentOf(answered.voucher, parts.account),
    faults,
    recount,
    meter: excess && { payload: excess.payload, recount: excess.recount },
  };
}

export function paymentOf(
  voucher: Voucher,
  { keys, ceiling, statements }: ChannelAccount,
): Pick<Bill, 'payment' | 'seen'> {
  return {
    payment: { terms: keys.terms, voucher, ceiling },
    seen: statements.map(({ payload }) => payload),
  };
}

type Cut = Pick<Answered, 'known' | 'request' | 'voucher'> & { readonly excess: ExcessMeter };

/** Of an answer that broke off after a METER that counted too much: there is no receipt, and what the worker signed before. */
export function meterBill({ known, excess, ...cut }: Cut, parts: JudgeParts): Bill {
  const { prelude, th } = cut.request.sealed.exchange;
  return {
    ...paymentOf(cut.voucher, parts.account),
    faults: [METERED],
    atMs: parts.clock(),
    gateway: known.document,
    worker: parts.books.proofOf(excess.key),
    request: { prelude: encodePrelude(prelude), th },
    receipt: undefined,
    line: undefined,
    recount: undefined,
    meter: { payload: excess.payload, recount: excess.recount },
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
    meter: undefined,
    seen: [],
  };
}
