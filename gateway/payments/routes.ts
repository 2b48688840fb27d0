/**
 * What payers can ask: prices, where their account stands, what a request came to; and how they raise a voucher. Whoever
 * asks shows what it would pay with. Spec: ton-settlement §4.5 "Endpoints".
 * @module
 */

import { Hono, type Context } from 'hono';
import { z } from 'zod';
import { fixed, fromHex, fromUtf8, toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { JsonObject } from '../../core/json.ts';
import { parseReceiptUnverified } from '../../protocol/receipt.ts';
import type { RequestState } from '../../settlement/ledger/ledger.ts';
import { encodePriceBook, type PriceEntry } from '../../settlement/prices.ts';
import type { Amount, Asset } from '../../settlement/money.ts';
import { VOUCHER_HEADER } from '../../settlement/x402.ts';
import type { Account } from '../accounts.ts';
import { decodeBody, type ControlBodies } from '../control-body.ts';
import { PRICES_VALID_MS } from '../limits.ts';
import type { WorkerRegistry } from '../workers/registry.ts';
import { accountJson, headersOf, notFound } from './account-json.ts';
import { isOfAccount, type Cashier } from './cashier.ts';
import { settledJson } from './edge.ts';
import { paymentError } from './errors.ts';
import type { Payers } from './payers.ts';

export interface PaymentRoutesDeps {
  readonly cashier: Cashier;
  readonly payers: Payers;
  readonly registry: WorkerRegistry;
  readonly bodies: ControlBodies;
  readonly clock: Clock;
  readonly feeBps: number;
  readonly topUps: TopUps | undefined;
}

/** Where balances are paid in: a transfer to this address with the account's memo. */
export interface TopUps {
  /** Raw. */
  readonly address: string;
  readonly minimum: Amount;
}

const REQUEST_ID = /^(?:sx_|req_|chatcmpl-)?([0-9a-f]{32})$/;
const VOUCHER_CHARS = 154;
const VOUCHER_BODY = z.strictObject({ voucher: z.string().length(VOUCHER_CHARS) });

export function paymentRoutes(deps: PaymentRoutesDeps): Hono {
  const app = new Hono();
  app.get('/v1/pricing', (context) => pricing(deps, context));
  app.get('/v1/account', async (context) => {
    const caller = await deps.payers.identify(headersOf(context));
    return context.json(await accountOf(deps, caller));
  });
  app.get('/v1/settlements/:id', async (context) => {
    const caller = await deps.payers.identify(headersOf(context));
    const found = await settlementOf(deps, caller, context.req.param('id'));
    return found === undefined ? notFound() : context.json(found);
  });
  app.post('/v1/payments/voucher', async (context) => {
    const { voucher } = decodeBody(VOUCHER_BODY, await deps.bodies.json(context.req.raw));
    const shown = { ...headersOf(context), [VOUCHER_HEADER]: voucher };
    const caller = await deps.payers.identify(shown);
    return context.json(await raised(deps, caller));
  });
  return app;
}

/** The canonical bytes of `settlement/prices.ts`, for one asset: their SHA-256 names the list. */
function pricing({ registry, clock, feeBps }: PaymentRoutesDeps, context: Context): Response {
  const asset: Asset = context.req.query('asset') === 'USDT' ? 'USDT' : 'TON';
  const nowMs = clock();
  const entries = new Map<string, PriceEntry>();
  for (const { key, publishUntilMs } of registry.all()) {
    if (key.prices.asset !== asset || nowMs >= publishUntilMs) continue;
    const { model, priceDigest: card, prices } = key;
    entries.set(`${model.id} ${toHex(card)}`, { model: model.id, card, prices });
  }
  const book = encodePriceBook({
    asset,
    feeBps,
    validUntilMs: nowMs + PRICES_VALID_MS,
    entries: [...entries.values()],
  });
  return new Response(fromUtf8(book), { headers: { 'content-type': 'application/json' } });
}

/** A balance exists from here on, so that a transfer with its memo finds it. */
async function accountOf(
  { cashier, topUps }: PaymentRoutesDeps,
  caller: Account,
): Promise<JsonObject> {
  const { payer, means } = caller;
  const account = payer === undefined ? undefined : await cashier.accountOf(caller);
  if (account === undefined) return { kind: means.kind };
  if (means.kind !== 'custodial' || topUps === undefined) return accountJson(account);
  const { address, minimum } = topUps;
  const topUp = { address, memo: `vg:${toHex(account.id)}`, minimum: minimum.toString() };
  return { ...accountJson(account), topUp };
}

async function raised(
  { cashier, payers }: PaymentRoutesDeps,
  caller: Account,
): Promise<JsonObject> {
  const { means } = caller;
  if (means.kind !== 'channel') throw paymentError('payment.channel_unknown');
  const leave = payers.enterVoucher(caller);
  try {
    const accepted = await cashier.raise(means.voucher);
    if (accepted.outcome === 'refused') throw paymentError(`payment.${accepted.code}`);
    return accountJson(accepted.account);
  } finally {
    leave();
  }
}

async function settlementOf(
  { cashier }: PaymentRoutesDeps,
  caller: Account,
  id: string,
): Promise<JsonObject | undefined> {
  const hex = REQUEST_ID.exec(id)?.[1];
  if (hex === undefined) return undefined;
  const request = await cashier.find(fixed(fromHex(hex), 16));
  // Of somebody else's request nothing is said, not even that there is one.
  if (request === undefined || !isOfAccount(request, caller)) return undefined;
  return settlementJson(hex, request);
}

function settlementJson(requestId: string, request: RequestState): JsonObject {
  if (request.state !== 'settled') return { requestId, state: request.state };
  const { entry } = request;
  const receipt = parseReceiptUnverified(entry.receipt);
  const line = fixed(entry.statement, 230, 'statement');
  return settledJson({ receipt, line, asset: entry.asset });
}
