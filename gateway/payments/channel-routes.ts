/**
 * Payment channels over HTTP: announce one, see where it stands, have it closed. Nothing in a body is believed: an address
 * is computed, a state is read from the chain, a wish to close is signed by the payer's key.
 * Spec: ton-settlement §4.5, §4.6.
 * @module
 */

import { Hono, type Context } from 'hono';
import { z } from 'zod';
import { verifyEd25519 } from '#primitives';
import { fixed, fromHex, toHex, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { JsonObject } from '../../core/json.ts';
import { base64UrlField } from '../../attestation/byte-fields.ts';
import { ANNOUNCED_CHANNEL } from '../../settlement/channel-terms.ts';
import type { Account as LedgerAccount, Ledger } from '../../settlement/ledger/ledger.ts';
import { NOTHING } from '../../settlement/money.ts';
import type { Settler } from '../../settlement/settler/settler.ts';
import { encodeWithdraw } from '../../settlement/withdraw.ts';
import { decodeBody, type ControlBodies } from '../control-body.ts';
import { accountJson, chainJson, headersOf, notFound } from './account-json.ts';
import { ChainQuestions } from './chain-questions.ts';
import { paymentError } from './errors.ts';
import type { Payers } from './payers.ts';

export interface ChannelRoutesDeps {
  readonly ledger: Ledger;
  readonly payers: Payers;
  /** Undefined where no channels are taken. */
  readonly settler: () => Settler | undefined;
  readonly bodies: ControlBodies;
  readonly clock: Clock;
}

const CHANNEL_ID = /^[0-9a-f]{64}$/;
const U16_MAX = 0xffff;
const U32_MAX = 0xffff_ffff;
const MS_PER_S = 1000;
/** As on chain: an hour; and some for clocks that differ. */
const WISH_LASTS_MAX_MS = 3_900_000;

/** A withdraw of everything, signed: whoever has it could begin one on chain anyway. */
const CLOSE_BODY = z.strictObject({
  withdraw: z.strictObject({
    epoch: z.int().min(0).max(U16_MAX),
    amount: z.literal('0'),
    validUntil: z.int().min(0).max(U32_MAX),
    signature: base64UrlField(64),
  }),
});

export function channelRoutes(deps: ChannelRoutesDeps): Hono {
  const app = new Hono();
  const questions = new ChainQuestions(deps.clock);
  app.post('/v1/channels', async (context) => {
    const settler = settlerOf(deps);
    const announced = decodeBody(ANNOUNCED_CHANNEL, await deps.bodies.json(context.req.raw));
    const { signal } = context.req.raw;
    const opened = await questions.ask(() => settler.openChannel(announced, signal));
    if (opened.outcome === 'refused') throw paymentError(`payment.${opened.code}`);
    return context.json(chainJson(opened.account));
  });
  app.get('/v1/channels/:id', async (context) => {
    const account = await channelAccount(deps, context);
    if (account === undefined) return notFound();
    return context.json(await shownTo(deps, context, account));
  });
  app.post('/v1/channels/:id/close', async (context) => {
    const settler = settlerOf(deps);
    const account = await channelAccount(deps, context);
    if (account === undefined) return notFound();
    const body = decodeBody(CLOSE_BODY, await deps.bodies.json(context.req.raw));
    assertPayersWish(account, body, deps.clock());
    const closed = await questions.ask(() => settler.closeChannel(account.id));
    if (closed.outcome === 'refused') throw paymentError(`payment.${closed.code}`);
    return context.json({ closing: true });
  });
  return app;
}

function settlerOf({ settler }: ChannelRoutesDeps): Settler {
  const open = settler();
  if (open === undefined) throw paymentError('payment.channels_refused');
  return open;
}

async function channelAccount(
  { ledger }: ChannelRoutesDeps,
  context: Context,
): Promise<LedgerAccount | undefined> {
  const id = channelIdOf(context.req.param('id') ?? '');
  const account = id === undefined ? undefined : await ledger.findAccount(id);
  return account?.kind === 'channel' ? account : undefined;
}

function channelIdOf(text: string): Bytes<32> | undefined {
  return CHANNEL_ID.test(text) ? fixed(fromHex(text), 32) : undefined;
}

/** To anybody what the chain shows anyway; to whoever shows a voucher of the channel, where it stands here. */
async function shownTo(
  { payers }: ChannelRoutesDeps,
  context: Context,
  account: LedgerAccount,
): Promise<JsonObject> {
  const headers = headersOf(context);
  if (Object.keys(headers).length === 0) return chainJson(account);
  const { payer, means } = await payers.identify(headers);
  const isItsPayer =
    means.kind === 'channel' && payer !== undefined && toHex(payer) === toHex(account.id);
  return isItsPayer ? accountJson(account) : chainJson(account);
}

function assertPayersWish(
  { id: channel, payerKey, epoch }: LedgerAccount,
  { withdraw }: z.output<typeof CLOSE_BODY>,
  nowMs: number,
): void {
  const { validUntil: validUntilS, signature } = withdraw;
  if (withdraw.epoch !== epoch) throw paymentError('payment.epoch_mismatch');
  const bytes = encodeWithdraw({ channel, epoch, amount: NOTHING, validUntilS });
  const leftMs = validUntilS * MS_PER_S - nowMs;
  const isInTime = leftMs > 0 && leftMs <= WISH_LASTS_MAX_MS;
  const isSigned = payerKey !== undefined && verifyEd25519(payerKey, signature, bytes);
  if (!isSigned || !isInTime) throw paymentError('payment.voucher_bad_signature');
}
