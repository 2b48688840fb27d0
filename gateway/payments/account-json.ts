/**
 * An account as its payer is shown it, and who asks. Amounts are decimal text in the asset's atomic unit.
 * Spec: ton-settlement §4.5.
 * @module
 */

import type { Context } from 'hono';
import type { IncomingHttpHeaders } from 'node:http';
import { toHex } from '../../core/bytes.ts';
import type { JsonObject } from '../../core/json.ts';
import { openAiFailure } from '../../protocol/openai/errors.ts';
import type { Account as LedgerAccount } from '../../settlement/ledger/ledger.ts';
import { PASS_HEADER, PAYMENT_SIGNATURE_HEADER, VOUCHER_HEADER } from '../../settlement/x402.ts';

export function accountJson(account: LedgerAccount): JsonObject {
  const { id, kind, standing } = account;
  return {
    ...chainJson(account),
    ...(kind === 'channel' ? {} : { account: toHex(id) }),
    standing,
    charged: account.charged.toString(),
    reserved: account.reserved.toString(),
    ceiling: account.ceiling.toString(),
    n: account.n.toString(),
    available: availableOf(account).toString(),
  };
}

/** What the chain shows to anybody. */
export function chainJson(account: LedgerAccount): JsonObject {
  const { id, kind, asset, epoch } = account;
  return {
    kind,
    ...(kind === 'channel' ? { channel: toHex(id) } : {}),
    asset,
    epoch,
    deposited: account.deposited.toString(),
    refunded: account.refunded.toString(),
    withdrawing: account.withdrawing.toString(),
    claimed: account.claimed.toString(),
  };
}

/** What the next request may cost at most. */
function availableOf(account: LedgerAccount): bigint {
  const funded = account.deposited - account.refunded - account.withdrawing;
  const isChannel = account.kind === 'channel';
  const most = isChannel && account.ceiling < funded ? account.ceiling : funded;
  const left = most - account.charged - account.reserved;
  return left > 0n ? left : 0n;
}

/** Of the headers that a payer can be known by. */
export function headersOf(context: Context): IncomingHttpHeaders {
  const names = ['authorization', VOUCHER_HEADER, PASS_HEADER, PAYMENT_SIGNATURE_HEADER] as const;
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = context.req.header(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

export function notFound(): Response {
  const { status, body } = openAiFailure('unknown_url', {
    message: 'There is no such thing here.',
  });
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json' },
  });
}
