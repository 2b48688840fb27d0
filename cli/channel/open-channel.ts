/**
 * Opens a channel so that no coin can be lost on the way: key and terms are on the disk before the deposit is sent, and
 * whoever begins again goes on with what is there. Used by `veilgate channel open` and by the trial of `npm start`.
 * Spec: ton-settlement §4.6, §4.8.
 * @module
 */

import { join } from 'node:path';
import { generateEd25519, randomBytes } from '#primitives';
import { equalPublic } from '../../core/bytes.ts';
import { pause } from '../../core/node/lifecycle.ts';
import { makePrivateFolder } from '../../core/node/private-files.ts';
import { takeWriterLock } from '../../core/node/writer-lock.ts';
import { beginCount } from '../../client/node/channel-file.ts';
import type { ChannelPayee } from '../../protocol/gateway-document.ts';
import type { TonChain } from '../../settlement/ton/chain.ts';
import {
  awaitHandled,
  deliver,
  freshQueryId,
  isUnderWay,
} from '../../settlement/ton/payer/deliver.ts';
import {
  awaitChannel,
  openingPayment,
  readPayerChannel,
  type LiveChannel,
} from '../../settlement/ton/payer/payer-channel.ts';
import type { TonWallet } from '../../settlement/ton/wallet.ts';
import type { Payment } from '../../settlement/ton/wallet/payment.ts';
import type { MoneyIo } from '../ton/io.ts';
import { ANNOUNCE_ATTEMPTS_MAX, ANNOUNCE_PAUSE_MS } from '../ton/limits.ts';
import { countBehind } from './count.ts';
import { keepChannel, listChannels, type KeptChannel } from './channel-files.ts';
import { mayPass, type PayerGateway } from './gateway.ts';

/** Who pays the deposit, and gets refunds: a wallet here, or one whose key is elsewhere. */
export type Payer =
  | { readonly kind: 'wallet'; readonly wallet: TonWallet }
  | {
      readonly kind: 'elsewhere';
      /** `0:` and 64 digits. */
      readonly raw: string;
      /** Has it paid, and returns once it is worth looking. */
      readonly pay: (payment: Payment, kept: KeptChannel) => Promise<void>;
      readonly forMs: number;
    };

export interface OpenRequest {
  readonly gateway: PayerGateway;
  readonly aud: string;
  readonly payee: ChannelPayee;
  readonly chain: TonChain;
  /** Where channel files are. */
  readonly folder: string;
  readonly payer: Payer;
  readonly deposit: bigint;
  /** Another one beside one that is open already. */
  readonly isAnother?: boolean;
  /** Asked before anything is written or sent; throws for a no. */
  readonly confirm: (resumed: KeptChannel | undefined) => Promise<void>;
  readonly io: MoneyIo;
}

export interface Opened {
  readonly kept: KeptChannel;
  readonly live: LiveChannel;
  /** `known`: it was open already, and nothing was sent. */
  readonly how: 'opened' | 'known';
}

/** Throws `money.*`, `payer.*`, `writer_lock.held`, and as chain and gateway. */
export async function openChannel(request: OpenRequest): Promise<Opened> {
  makePrivateFolder(request.folder);
  // Two that begin at once would both find nothing, and open two.
  const release = takeWriterLock(join(request.folder, 'open.lock'));
  try {
    return await openAlone(request);
  } finally {
    release();
  }
}

async function openAlone(request: OpenRequest): Promise<Opened> {
  const { io } = request;
  const found = request.isAnother === true ? undefined : await begunBefore(request);
  if (found?.live !== undefined) {
    io.say('There is one already, and it is open.');
    const behind = countBehind(found.kept, found.live);
    if (behind !== undefined) throw behind;
    await announce(request, found.kept);
    return { kept: found.kept, live: found.live, how: 'known' };
  }
  await request.confirm(found?.kept);
  const kept = found?.kept ?? keepNew(request);
  // Nothing was charged before the deposit: a client that knows that takes nobody's word for it.
  beginCount(kept.path);
  const live = await fund(request, kept, found === undefined ? 'new' : 'resumed');
  await announce(request, kept);
  return { kept, live, how: 'opened' };
}

function payerOf({ payer }: OpenRequest): string {
  return payer.kind === 'wallet' ? payer.wallet.address.toRawString() : payer.raw;
}

/** Of the same gateway under the same terms. Those that ended are left alone. */
async function begunBefore(
  request: OpenRequest,
): Promise<{ readonly kept: KeptChannel; readonly live?: LiveChannel } | undefined> {
  const { chain, folder, io } = request;
  let begun: KeptChannel | undefined;
  for (const kept of listChannels(folder).channels) {
    if (!isOf(kept, request)) continue;
    const onChain = await readPayerChannel(chain, kept.channel, { signal: io.signal });
    if (onChain.kind === 'absent') begun = kept;
    else if (onChain.state.status === 'open') return { kept, live: onChain };
  }
  return begun === undefined ? undefined : { kept: begun };
}

function isOf({ file }: KeptChannel, request: OpenRequest): boolean {
  const { aud, payee } = request;
  const { terms } = file;
  return (
    file.gateway === aud &&
    terms.network === payee.network &&
    terms.payer === payerOf(request) &&
    terms.payee === payee.address &&
    equalPublic(terms.payeeKey, payee.key) &&
    terms.withdrawDelayS >= payee.withdrawDelayMinS
  );
}

function keepNew(request: OpenRequest): KeptChannel {
  const { gateway, aud, payee, folder } = request;
  const { publicKey, secretKey } = generateEd25519();
  return keepChannel(folder, {
    gateway: aud,
    url: gateway.origin,
    secretKey,
    terms: {
      network: payee.network,
      payer: payerOf(request),
      payee: payee.address,
      payerKey: publicKey,
      payeeKey: payee.key,
      withdrawDelayS: payee.withdrawDelayMinS,
      salt: new DataView(randomBytes(8).buffer).getBigUint64(0),
    },
  });
}

async function fund(
  { payer, chain, deposit, io }: OpenRequest,
  kept: KeptChannel,
  how: 'new' | 'resumed',
): Promise<LiveChannel> {
  const { channel } = kept;
  const waiting = { ...io, chain };
  const queryId = freshQueryId();
  const payment = openingPayment(channel, { amount: deposit, queryId });
  const isOpen = ({ state }: LiveChannel): boolean => state.status === 'open';
  if (payer.kind === 'elsewhere') {
    await payer.pay(payment, kept);
    return await awaitChannel(waiting, channel, { isSo: isOpen, forMs: payer.forMs });
  }
  const { wallet } = payer;
  if (how === 'resumed' && (await isUnderWay(waiting, wallet.address, channel.address))) {
    io.say('The deposit was sent before; waiting for it …');
    return await awaitChannel(waiting, channel, { isSo: isOpen });
  }
  io.say('Sending the deposit …');
  await deliver(waiting, wallet, [payment]);
  io.say('The wallet has sent it; waiting for the channel …');
  await awaitHandled(waiting, channel.address, { afterLt: 0n, queryId });
  return await awaitChannel(waiting, channel, { isSo: isOpen });
}

type Announcing = Pick<OpenRequest, 'gateway' | 'io'> & { readonly attempts?: number };

/** Tells the gateway, as often as it may be that it has only not seen the deposit yet. */
export async function announce(
  { gateway, io, attempts = ANNOUNCE_ATTEMPTS_MAX }: Announcing,
  kept: KeptChannel,
): Promise<void> {
  const { channel, file } = kept;
  io.say('Telling the gateway …');
  for (let attempt = 1; ; attempt++) {
    try {
      await gateway.announce({ channel: channel.id, terms: file.terms });
      return;
    } catch (error) {
      if (attempt >= attempts || !mayPass(error)) throw error;
    }
    await pause(io.pollMs ?? ANNOUNCE_PAUSE_MS, io.signal);
  }
}
