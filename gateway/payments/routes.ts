/**
 * What payers can ask: prices, where their account stands, what a request came to; and how they raise a voucher. Whoever
 * asks shows what it would pay with. Spec: ton-settlement §4.5 "Endpoints".
 * @module
 */

import { Hono, type Context } from 'hono';
import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { fixed, fromHex, fromUtf8, toHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { JsonObject } from '../../core/json.ts';
import { openAiFailure } from '../../protocol/openai/errors.ts';
import { parseReceiptUnverified } from '../../protocol/receipt.ts';
import type { Account as LedgerAccount, RequestState } from '../../settlement/ledger/ledger.ts';
import { encodePriceBook, type PriceEntry } from '../../settlement/prices.ts';
import type { Asset } from '../../settlement/money.ts';
import type { Account } from '../accounts.ts';
import { decodeBody, type ControlBodies } from '../control-body.ts';
import { PRICES_VALID_MS } from '../limits.ts';
import type { WorkerRegistry } from '../workers/registry.ts';
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
}

const REQUEST_ID = /^(?:req_|chatcmpl-)?([0-9a-f]{32})$/;
const CHANNEL_ID = /^[0-9a-f]{64}$/;
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
  app.get('/v1/channels/:id', async (context) => {
    const shown = await channelOf(deps, context);
    return shown === undefined ? notFound() : context.json(shown);
  });
  app.post('/v1/payments/voucher', async (context) => {
    const { voucher } = decodeBody(VOUCHER_BODY, await deps.bodies.json(context.req.raw));
    const { means } = await deps.payers.identify({ 'x-vg-voucher': voucher });
    if (means.kind !== 'channel' || means.voucher === undefined) {
      throw paymentError('payment.channel_unknown');
    }
    const accepted = await deps.cashier.ledger.acceptVoucher(means.voucher);
    if (accepted.outcome === 'refused') throw paymentError(`payment.${accepted.code}`);
    return context.json(accountJson(accepted.account));
  });
  return app;
}

/** Of the headers that a payer can be known by. */
function headersOf(context: Context): IncomingHttpHeaders {
  const names = ['authorization', 'x-vg-voucher', 'payment-signature'] as const;
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = context.req.header(name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function notFound(): Response {
  const { status, body } = openAiFailure('unknown_url', {
    message: 'There is no such thing here.',
  });
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json' },
  });
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

async function accountOf({ cashier }: PaymentRoutesDeps, caller: Account): Promise<JsonObject> {
  const { kind } = caller.means;
  const account =
    caller.payer === undefined ? undefined : await cashier.ledger.findAccount(caller.payer);
  return account === undefined ? { kind } : accountJson(account);
}

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

function chainJson(account: LedgerAccount): JsonObject {
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

/** To anybody what the chain shows anyway; to whoever shows a voucher of the channel, where it stands here. */
async function channelOf(
  deps: PaymentRoutesDeps,
  context: Context,
): Promise<JsonObject | undefined> {
  const id = channelIdOf(context.req.param('id') ?? '');
  const account = id === undefined ? undefined : await deps.cashier.ledger.findAccount(id);
  if (account === undefined || account.kind !== 'channel') return undefined;
  if (await isItsPayer(deps, context, account)) return accountJson(account);
  return chainJson(account);
}

async function isItsPayer(
  { payers }: PaymentRoutesDeps,
  context: Context,
  { id }: LedgerAccount,
): Promise<boolean> {
  const headers = headersOf(context);
  if (Object.keys(headers).length === 0) return false;
  const { payer, means } = await payers.identify(headers);
  return means.kind === 'channel' && payer !== undefined && toHex(payer) === toHex(id);
}

export function channelIdOf(text: string): Bytes<32> | undefined {
  return CHANNEL_ID.test(text) ? fixed(fromHex(text), 32) : undefined;
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
