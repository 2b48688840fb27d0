/**
 * The journal for this machine's operator: what was settled, entry by entry, waiting for the next when there is none.
 * Amounts, ids and times; the ledger knows nothing else. @module
 */

import { toHex } from '../../core/bytes.ts';
import type { JsonObject } from '../../core/json.ts';
import type { JournalEntry } from '../../settlement/ledger/ledger.ts';
import { gatewayError } from '../errors.ts';
import { SETTLEMENTS_PAGE, SETTLEMENTS_WAIT_MAX_MS } from '../limits.ts';
import type { Cashier } from './cashier.ts';

const SEQ = /^\d{1,18}$/;
const WAIT_MS = /^\d{1,6}$/;

/** `after`: the last entry already known; `tail` for the end. `wait`: milliseconds. Throws `gateway.body`, `ledger.*`. */
export async function settlementsSince(
  cashier: Cashier,
  query: URLSearchParams,
  closing: AbortSignal,
): Promise<JsonObject> {
  const waitMs = query.get('wait') ?? '0';
  if (!WAIT_MS.test(waitMs)) throw gatewayError('gateway.body', 'wait');
  const after = await seqOf(cashier, query.get('after') ?? '0');
  const late = AbortSignal.timeout(Math.min(Number(waitMs), SETTLEMENTS_WAIT_MAX_MS));
  const signal = AbortSignal.any([late, closing]);
  for (;;) {
    // Asked for before the journal is read: what is settled in between wakes it.
    const next = cashier.nextSettlement(signal);
    const entries = await cashier.ledger.readJournal(after + 1n, SETTLEMENTS_PAGE);
    const last = entries.at(-1)?.seq ?? after;
    if (entries.length > 0 || signal.aborted) {
      return { after: last.toString(), entries: entries.map(entryJson) };
    }
    await next;
  }
}

async function seqOf(cashier: Cashier, text: string): Promise<bigint> {
  if (text === 'tail') return (await cashier.ledger.journalHead()).seq;
  if (!SEQ.test(text)) throw gatewayError('gateway.body', 'after');
  return BigInt(text);
}

function entryJson(entry: JournalEntry): JsonObject {
  const { seq, kind, asset, amount, workerPart, cum, n, epoch, atMs } = entry;
  return {
    seq: seq.toString(),
    atMs,
    kind,
    account: toHex(entry.account),
    requestId: toHex(entry.requestId),
    workerId: toHex(entry.workerId),
    asset,
    amount: amount.toString(),
    workerPart: workerPart.toString(),
    cum: cum.toString(),
    n: n.toString(),
    epoch,
  };
}
