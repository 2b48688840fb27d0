/** `veilgate channel deposit`: more coins for a channel that is there. @module */

import { paint, printable, terminalColumns } from '../../core/node/terminal.ts';
import { toHex } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { parseAmount } from '../../settlement/money.ts';
import { CHANNEL_FEES } from '../../settlement/ton/contracts/pay-channel.ts';
import { shownRaw } from '../../settlement/ton/address-text.ts';
import { awaitHandled, deliver, freshQueryId } from '../../settlement/ton/payer/deliver.ts';
import {
  awaitChannel,
  depositPayment,
  isRetired,
  missingRent,
  type LiveChannel,
} from '../../settlement/ton/payer/payer-channel.ts';
import { cliError } from '../errors.ts';
import { consentToSend, type ConsentOptions } from '../ton/consent.ts';
import { moneyError } from '../ton/errors.ts';
import type { Answer, MoneyIo } from '../ton/io.ts';
import { rowLines, ton, type Row } from '../ton/money-text.ts';
import {
  liveChannel,
  payersWallet,
  withChannel,
  type Around,
  type ChannelOptions,
} from './around.ts';
import { countBehind } from './count.ts';
import { openGateway } from './gateway.ts';
import { linkLines, type LinkOptions } from './link.ts';
import { announce } from './open-channel.ts';

export type ChannelDepositOptions = ChannelOptions & ConsentOptions & LinkOptions;

const LINK_WAIT_MS = 30 * 60_000;

export async function runChannelDeposit(
  text: string,
  options: ChannelDepositOptions,
  io: MoneyIo,
): Promise<Answer> {
  const amount = parseAmount(text, 'TON');
  if (amount < CHANNEL_FEES.minDeposit) {
    throw cliError('cli.option', `a deposit is at least ${ton(CHANNEL_FEES.minDeposit)}`);
  }
  return await withChannel(options, io, async (around) => {
    const before = await liveChannel(around, io);
    if (isRetired(before))
      throw moneyError('money.state', 'the channel was given up; open another');
    const queryId = freshQueryId();
    const { chain, kept } = around;
    const rent = await missingRent(chain, kept.channel, before, { signal: io.signal });
    const payment = depositPayment(kept.channel, { amount, rent, queryId });
    const value = payment.nanoton;
    for (const line of planLines(around, { amount, value })) io.say(line);
    const waiting = { ...io, chain: around.chain };
    const hasMore = ({ state }: LiveChannel): boolean => state.deposited > before.state.deposited;
    if (options.link === true || options.qr === true) {
      for (const line of linkLines(payment, around.network, options)) io.show(line);
      io.say('Waiting for the payment. Ctrl-C loses nothing.');
      const isSo = hasMore;
      return await done(
        around,
        { options, before, io },
        async () => await awaitChannel(waiting, around.kept.channel, { isSo, forMs: LINK_WAIT_MS }),
      );
    }
    const wallet = payersWallet(options, around);
    if (wallet === undefined) {
      throw moneyError(
        'money.wallet',
        'the wallet here is not this channel’s payer; use --link, or its --key',
      );
    }
    await consentToSend('Deposit it?', around.network, { ...options, io });
    return await done(around, { options, before, io }, async () => {
      io.say('Sending …');
      await deliver(waiting, wallet, [payment]);
      const at = { afterLt: before.lastLt, queryId };
      await awaitHandled(waiting, around.kept.channel.address, at);
      return await awaitChannel(waiting, around.kept.channel, { isSo: hasMore });
    });
  });
}

function planLines(
  { kept, network }: Around,
  { amount, value }: { readonly amount: bigint; readonly value: bigint },
): readonly string[] {
  const rows: readonly Row[] = [
    ['channel', toHex(kept.channel.id)],
    ['gateway', kept.file.gateway],
    ['pays to', shownRaw(kept.file.terms.payee, network)],
    ['network', network.name],
    ['deposit', paint('bold', ton(amount))],
    ['sent', ton(value), 'with what the contract needs for gas and missing rent'],
  ];
  return rowLines(rows, terminalColumns());
}

interface Doing {
  readonly options: ChannelDepositOptions;
  readonly before: LiveChannel;
  readonly io: MoneyIo;
}

async function done(
  { kept }: Around,
  { options, before, io }: Doing,
  pay: () => Promise<LiveChannel>,
): Promise<Answer> {
  const after = await pay();
  const added = after.state.deposited - before.state.deposited;
  const behind = countBehind(kept, after);
  const isTold = await isGatewayTold(kept, options, io);
  const late = 'The gateway was not told, and sees it by itself when it looks at the chain.';
  return {
    json: {
      channel: toHex(kept.channel.id),
      added: added.toString(),
      deposited: after.state.deposited.toString(),
      available: after.available.toString(),
      gatewayTold: isTold,
      countBehind: behind?.code ?? null,
    },
    lines: [
      `${ton(added)} arrived; ${paint('bold', ton(after.available))} are available.`,
      ...(isTold ? [] : [late]),
      ...(behind === undefined ? [] : [behindLine(after, behind)]),
    ],
    isTroubled: behind !== undefined,
  };
}

function behindLine({ state }: LiveChannel, { message }: VeilError): string {
  const about = `The channel is in epoch ${state.epoch} now, and its client cannot pay in it yet`;
  return paint('yellow', `${about} (${printable(message)}). End it, and run "channel open" again.`);
}

/** The coins are there whatever the gateway says now. */
async function isGatewayTold(
  kept: Around['kept'],
  options: ChannelDepositOptions,
  io: MoneyIo,
): Promise<boolean> {
  const gateway = openGateway(kept.file.url, options, io);
  try {
    await announce({ gateway, io, attempts: 1 }, kept);
    return true;
  } catch (error) {
    if (error instanceof VeilError) return false;
    throw error;
  } finally {
    await gateway.end();
  }
}
