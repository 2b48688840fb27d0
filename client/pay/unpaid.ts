/**
 * The ledger line of an answer that no channel pays for: an API key's account does, or nobody. It may be missing; one that
 * is there has to hold before the app gets the end of its answer. Spec: overview "One receipt".
 * @module
 */

import type { Clock } from '../../core/clock.ts';
import { VeilError } from '../../core/errors.ts';
import type { OpenedAnswer } from '../answer-opener.ts';
import { clientError } from '../errors.ts';
import { encodeBill } from './bill.ts';
import type { Books, GatewayView } from './books.ts';
import { unpaidBill } from './judge.ts';
import { lineIn, unpaidFaults, withCurrentKeys } from './line.ts';

/** Throws `client.ledger_line`. */
export async function unpaid(
  answer: OpenedAnswer,
  { books, clock }: { readonly books: Books; readonly clock: Clock },
): Promise<OpenedAnswer> {
  const { ledger, receipt, asked } = answer;
  if (ledger === undefined || receipt === undefined) return answer;
  const line = lineIn(ledger);
  if (line === undefined) throw clientError('client.ledger_line', 'malformed');
  // The app may have left by now; the line is looked at all the same.
  const { signal } = new AbortController();
  const { view, faults } = await withCurrentKeys(
    await viewFrom(books, signal),
    () => books.renewGatewayView(signal),
    ({ settlement }) => unpaidFaults(line, receipt, settlement.ledgerKeys),
  );
  if (faults.length > 0) throw clientError('client.ledger_line', faults.join(' '));
  // Now, however late somebody asks for it: then the gateway's document would have ended.
  const found = unpaidBill(asked, receipt, {
    line: ledger,
    worker: books.proofOf(receipt.key),
    gateway: view.document,
    atMs: clock(),
  });
  const bill = (): Uint8Array => encodeBill(found);
  const { amount, cum, n } = line.statement;
  return { ...answer, settlement: { amount, cum, n, statement: line, receipt, bill } };
}

/** A gateway that does not say whose its lines are is no reason to ask it again: the request has run, and was charged. */
async function viewFrom(books: Books, signal: AbortSignal): Promise<GatewayView> {
  try {
    return await books.gatewayView(signal);
  } catch (cause) {
    if (!(cause instanceof VeilError)) throw cause;
    throw clientError('client.ledger_line', 'nobody says whose it is', { cause });
  }
}
