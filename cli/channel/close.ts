/**
 * `veilgate channel close`: asks the gateway to end the channel at once, which pays it what it earned and the rest back.
 * A gateway that does not is not needed: then a withdraw is asked for. Spec: ton-settlement §4.5, §4.8.
 * @module
 */

import { paint, printable } from '../../core/node/terminal.ts';
import { toBase64Url, toHex } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import type { JsonObject } from '../../core/json.ts';
import { shownRaw } from '../../settlement/ton/address-text.ts';
import { NOTHING } from '../../settlement/money.ts';
import { withdrawUntilS } from '../../settlement/ton/payer/deliver.ts';
import { CLOSE_WAIT_MS } from '../../settlement/ton/payer/limits.ts';
import { awaitChannel, type LiveChannel } from '../../settlement/ton/payer/payer-channel.ts';
import { signWithdraw } from '../../settlement/withdraw.ts';
import { consentToSend, type ConsentOptions } from '../ton/consent.ts';
import { moneyError } from '../ton/errors.ts';
import type { Answer, MoneyIo } from '../ton/io.ts';
import { ton } from '../ton/money-text.ts';
import { liveChannel, withChannel, type Around, type ChannelOptions } from './around.ts';
import { channelKey, type KeptChannel } from './channel-files.ts';
import { openGateway } from './gateway.ts';
import { requestWithdraw } from './withdraw.ts';

export type ChannelCloseOptions = ChannelOptions & ConsentOptions;

export async function runChannelClose(options: ChannelCloseOptions, io: MoneyIo): Promise<Answer> {
  return await withChannel(options, io, async (around) => {
    const before = await liveChannel(around, io);
    if (before.state.status === 'idle')
      throw moneyError('money.state', 'the channel is closed already');
    io.say(
      `Close ${toHex(around.kept.channel.id)}: ${paint('bold', ton(before.available))} are in it.`,
    );
    io.say('The gateway is paid what it earned; the rest comes back at once.');
    await consentToSend('Ask the gateway to close it?', around.network, { ...options, io });
    const refusal = await refusalOf(around, { options, before, io });
    if (refusal === undefined) return await closed(around, before, io);
    io.say(paint('yellow', `The gateway does not close it (${printable(refusal.message)}).`));
    io.say('Going on without it.');
    // Agreed to above: the same coins on the longer way.
    const answer = await requestWithdraw(around, {
      amount: NOTHING,
      options: { ...options, yes: true, yesMainnet: true },
      io,
    });
    return { ...answer, json: { ...answer.json, closing: false, refusal: refusal.code } };
  });
}

interface Asking {
  readonly options: ChannelCloseOptions;
  readonly before: LiveChannel;
  readonly io: MoneyIo;
}

/** Undefined: it closes. */
async function refusalOf(
  { kept, chain }: Around,
  { options, before, io }: Asking,
): Promise<VeilError | undefined> {
  const validUntilS = withdrawUntilS({ ...io, chain }, before.timeS);
  const gateway = openGateway(kept.file.url, options, io);
  try {
    await gateway.close(kept.channel.id, proofOf(kept, before, validUntilS));
    return undefined;
  } catch (error) {
    if (error instanceof VeilError) return error;
    throw error;
  } finally {
    await gateway.end();
  }
}

/**
 * That the payer asks, and nobody else: the signature of a withdraw of everything. A gateway that brings it to the chain
 * instead of closing begins the withdraw that would be begun anyway.
 */
function proofOf(
  kept: KeptChannel,
  { state: { epoch } }: LiveChannel,
  validUntilS: number,
): JsonObject {
  const withdraw = { channel: kept.channel.id, epoch, amount: NOTHING, validUntilS };
  const signature = toBase64Url(signWithdraw(channelKey(kept), withdraw));
  return { withdraw: { epoch, amount: '0', validUntil: validUntilS, signature } };
}

async function closed(around: Around, before: LiveChannel, io: MoneyIo): Promise<Answer> {
  io.say('The gateway closes it; waiting for the chain …');
  const { kept, chain } = around;
  const after = await awaitChannel({ ...io, chain }, kept.channel, {
    isSo: ({ state }) => state.epoch > before.state.epoch,
    forMs: CLOSE_WAIT_MS,
  });
  const refunded = after.state.refunded - before.state.refunded;
  const claimed = after.state.claimed - before.state.claimed;
  return {
    json: {
      channel: toHex(kept.channel.id),
      closing: true,
      refunded: refunded.toString(),
      claimed: claimed.toString(),
    },
    lines: [
      paint('green', 'The channel is closed.'),
      `${paint('bold', ton(refunded))} went back to ${shownRaw(kept.file.terms.payer, around.network)}; the gateway was paid ${ton(claimed)} more.`,
    ],
  };
}
