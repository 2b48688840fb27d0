/** `GET /v1/settlements/{id}` of the gateway in memory, as the real one answers from its ledger. @module */

import { equalPublic, fixed, fromHex, type Bytes } from '../../core/bytes.ts';
import { notFound } from '../../gateway/payments/account-json.ts';
import { settledJson } from '../../gateway/payments/edge.ts';
import { parseReceiptUnverified } from '../../protocol/receipt.ts';
import type { Ledger } from '../../settlement/ledger/ledger.ts';

export async function fateOf(ledger: Ledger, channel: Bytes<32>, hex: string): Promise<Response> {
  const request = await ledger.findRequest(fixed(fromHex(hex), 16));
  if (request === undefined) return notFound();
  if (request.state !== 'settled') {
    const isOurs = equalPublic(request.reservation.account, channel);
    return isOurs ? Response.json({ requestId: hex, state: request.state }) : notFound();
  }
  const { entry } = request;
  if (!equalPublic(entry.account, channel)) return notFound();
  return Response.json(
    settledJson({
      receipt: parseReceiptUnverified(entry.receipt),
      line: fixed(entry.statement, 230),
      asset: entry.asset,
    }),
  );
}
