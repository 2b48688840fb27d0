/**
 * `veilgate channel withdraw`: takes coins out without anybody's help. It is asked for, waits for the delay that the terms
 * name, in which the gateway may still claim what it earned, and is finished then. Spec: ton-settlement §4.8.
 * @module
 */

import { paint } from '../../core/node/terminal.ts';
import { toHex } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { NOTHING, parseAmount, type Amount } from '../../settlement/money.ts';
import { shownRaw } from '../../settlement/ton/address-text.ts';
import { CHANNEL_EXIT } from '../../settlement/ton/contracts/exit-codes.ts';
import { CHANNEL_FEES } from '../../settlement/ton/contracts/pay-channel.ts';
import {
  awaitHandled,
  deliver,
  freshQueryId,
  withdrawUntilS,
} from '../../settlement/ton/payer/deliver.ts';
import {
  awaitChannel,
  cancelPayment,
  destroyPayment,
  finalizePayment,
  isRetired,
  signedFinalize,
  signedWithdraw,
  withdrawPayment,
  type AwaitedState,
  type LiveChannel,
} from '../../settlement/ton/payer/payer-channel.ts';
import type { Payment } from '../../settlement/ton/wallet/payment.ts';
import { cliError } from '../errors.ts';
import { consentToSend, type ConsentOptions } from '../ton/consent.ts';
import { moneyError } from '../ton/errors.ts';
import type { Answer, MoneyIo } from '../ton/io.ts';
import { duration, instant, remaining, ton } from '../ton/money-text.ts';
import {
  liveChannel,
  payersWallet,
  withChannel,
  type Around,
  type ChannelOptions,
} from './around.ts';
import { channelKey } from './channel-files.ts';

export interface ChannelWithdrawOptions extends ChannelOptions, ConsentOptions {
  readonly finish?: true;
  readonly cancel?: true;
  readonly rent?: true;
}

export async function runChannelWithdraw(
  text: string | undefined,
  options: ChannelWithdrawOptions,
  io: MoneyIo,
): Promise<Answer> {
  const asked = [text !== undefined, options.finish, options.cancel, options.rent].filter(Boolean);
  if (asked.length > 1) {
    throw cliError('cli.option', 'an amount, --finish, --cancel or --rent: one of them');
  }
  return await withChannel(options, io, async (around) => {
    if (options.finish === true) return await finish(around, options, io);
    if (options.rent === true) return await giveUp(around, options, io);
    if (options.cancel === true) return await cancel(around, options, io);
    const amount = text === undefined ? NOTHING : parseAmount(text, 'TON');
    if (text !== undefined && amount === 0n) throw cliError('cli.option', 'an amount above zero');
    return await requestWithdraw(around, { amount, options, io });
  });
}

export interface WithdrawRequest {
  /** 0: all that is available. */
  readonly amount: Amount;
  readonly options: ChannelWithdrawOptions;
  readonly io: MoneyIo;
}

export async function requestWithdraw(
  around: Around,
  { amount, options, io }: WithdrawRequest,
): Promise<Answer> {
  const before = await liveChannel(around, io);
  const { terms } = around.kept.file;
  if (before.state.status === 'closing')
    return pendingAnswer(around, before, 'was asked for before');
  const wanted = amount === 0n ? before.available : amount;
  if (before.state.status === 'idle' || wanted === 0n) {
    throw moneyError('money.state', 'there is nothing in the channel');
  }
  if (wanted > before.available) {
    throw moneyError('money.state', `${ton(before.available)} are available`);
  }
  io.say(`Withdraw ${paint('bold', ton(wanted))} from ${toHex(around.kept.channel.id)}.`);
  io.say(
    `They come back after ${duration(terms.withdrawDelayS)}; what the gateway has earned it can claim until then.`,
  );
  io.say('The channel takes no payments meanwhile.');
  await consentToSend('Ask for it?', around.network, { ...options, io });
  const sent = await sendRequest(around, { amount, wanted, before, options, io });
  io.say('Sent; waiting for the channel …');
  const after = await awaitChannel({ ...io, chain: around.chain }, around.kept.channel, {
    isSo: ({ state }) => state.status === 'closing',
    ...sent,
  });
  return pendingAnswer(around, after, 'is asked for');
}

interface Sending extends WithdrawRequest {
  readonly wanted: bigint;
  readonly before: LiveChannel;
}

/** Signed by the channel's key, which needs no wallet, where the channel can pay for that itself. */
async function sendRequest(
  around: Around,
  { amount, wanted, before, options, io }: Sending,
): Promise<Pick<AwaitedState, 'again'>> {
  const { channel } = around.kept;
  if (wanted >= CHANNEL_FEES.minExternal) {
    const validUntilS = withdrawUntilS({ ...io, chain: around.chain }, before.timeS);
    const withdraw = { epoch: before.state.epoch, amount, validUntilS };
    const again = signedWithdraw(channel, channelKey(around.kept), withdraw);
    if (await isTaken(around, again, io)) return { again };
  }
  const payment = (queryId: bigint): Payment => withdrawPayment(channel, amount, queryId);
  await byWallet(around, { options, io, before }, payment);
  return {};
}

function pendingAnswer({ kept }: Around, { state, timeS }: LiveChannel, how: string): Answer {
  const { withdrawing, unlockAt } = state;
  const left = Math.max(0, unlockAt - timeS);
  return {
    json: {
      channel: toHex(kept.channel.id),
      withdrawing: withdrawing.toString(),
      unlockAt,
      remainingS: left,
    },
    lines: [
      `A withdraw of ${paint('bold', ton(withdrawing))} ${how}.`,
      left === 0
        ? 'It can be finished now: "veilgate channel withdraw --finish".'
        : `It can be finished at ${instant(unlockAt)}, in ${remaining(left)}: "veilgate channel withdraw --finish".`,
    ],
  };
}

async function finish(
  around: Around,
  options: ChannelWithdrawOptions,
  io: MoneyIo,
): Promise<Answer> {
  const before = await liveChannel(around, io);
  const { state, available, timeS } = before;
  if (state.status !== 'closing') {
    throw moneyError('money.state', 'no withdraw is under way');
  }
  if (timeS < state.unlockAt) {
    throw moneyError(
      'money.state',
      `not before ${instant(state.unlockAt)}, in ${remaining(state.unlockAt - timeS)}`,
    );
  }
  const amount = state.withdrawing < available ? state.withdrawing : available;
  const again = signedFinalize(around.kept.channel);
  const isOutside = amount >= CHANNEL_FEES.minExternal && (await isTaken(around, again, io));
  if (!isOutside) {
    await consentToSend('It takes a message from the wallet. Send it?', around.network, {
      ...options,
      io,
    });
    await byWallet(around, { options, io, before }, (queryId) =>
      finalizePayment(around.kept.channel, queryId),
    );
  }
  io.say('Sent; waiting for the channel …');
  const waiting = { ...io, chain: around.chain };
  const after = await awaitChannel(waiting, around.kept.channel, {
    isSo: (live) => live.state.status !== 'closing',
    ...(isOutside ? { again } : {}),
  });
  const refunded = after.state.refunded - state.refunded;
  return {
    json: {
      channel: toHex(around.kept.channel.id),
      refunded: refunded.toString(),
      status: after.state.status,
      available: after.available.toString(),
    },
    lines: [
      `${paint('bold', ton(refunded))} went back to ${shownRaw(around.kept.file.terms.payer, around.network)}, less the network’s fee.`,
      after.state.status === 'idle'
        ? 'The channel is empty. "--rent" gives back what keeps it on the chain.'
        : `${ton(after.available)} are still in the channel, and it is open.`,
    ],
  };
}

/** Too little rent, or too little to be paid out of itself. */
const POOR: readonly unknown[] = [CHANNEL_EXIT.cover, CHANNEL_EXIT.dust];

type AwaitedMessage = NonNullable<AwaitedState['again']>;

/** The channel pays for it where its rent still can; every other refusal is one. Throws `ton.not_accepted`. */
async function isTaken({ chain }: Around, message: AwaitedMessage, io: MoneyIo): Promise<boolean> {
  try {
    await chain.send(message, { signal: io.signal });
    return true;
  } catch (error) {
    const isPoor = hasCode(error, 'ton.not_accepted') && POOR.includes(error.facts['exitCode']);
    if (isPoor) return false;
    throw error;
  }
}

async function cancel(
  around: Around,
  options: ChannelWithdrawOptions,
  io: MoneyIo,
): Promise<Answer> {
  const before = await liveChannel(around, io);
  if (before.state.status !== 'closing')
    throw moneyError('money.state', 'no withdraw is under way');
  io.say('The withdraw is taken back; the channel can be paid from again.');
  await consentToSend('It takes a message from the wallet. Send it?', around.network, {
    ...options,
    io,
  });
  await byWallet(around, { options, io, before }, (queryId) =>
    cancelPayment(around.kept.channel, queryId),
  );
  const after = await awaitChannel({ ...io, chain: around.chain }, around.kept.channel, {
    isSo: ({ state }) => state.status === 'open',
  });
  return {
    json: {
      channel: toHex(around.kept.channel.id),
      status: after.state.status,
      available: after.available.toString(),
    },
    lines: [`The channel is open again; ${ton(after.available)} are available.`],
  };
}

async function giveUp(
  around: Around,
  options: ChannelWithdrawOptions,
  io: MoneyIo,
): Promise<Answer> {
  const before = await liveChannel(around, io);
  if (isRetired(before)) throw moneyError('money.state', 'the channel was given up before');
  if (before.state.status !== 'idle') {
    throw moneyError('money.state', 'the channel is not empty; close it, or withdraw, first');
  }
  const rent = ton(before.balanceNanoton);
  io.say(`Up to ${rent} come back to the wallet, and the channel is given up for good.`);
  await consentToSend('Give it up?', around.network, { ...options, io });
  await byWallet(around, { options, io, before }, (queryId) =>
    destroyPayment(around.kept.channel, queryId),
  );
  await awaitChannel({ ...io, chain: around.chain }, around.kept.channel, { isSo: isRetired });
  return {
    json: { channel: toHex(around.kept.channel.id), status: 'retired' },
    lines: ['The rent went back to the wallet. This channel opens no more.'],
  };
}

interface WalletWay {
  readonly options: ChannelWithdrawOptions;
  readonly io: MoneyIo;
  readonly before: LiveChannel;
}

/** Throws `money.wallet` where the payer's key is elsewhere. */
async function byWallet(
  around: Around,
  { options, io, before }: WalletWay,
  payment: (queryId: bigint) => Payment,
): Promise<void> {
  const wallet = payersWallet(options, around);
  if (wallet === undefined) {
    throw moneyError(
      'money.wallet',
      'only the wallet that pays this channel can do that, and its key is not here',
    );
  }
  const queryId = freshQueryId();
  const waiting = { ...io, chain: around.chain };
  await deliver(waiting, wallet, [payment(queryId)]);
  const at = { afterLt: before.lastLt, queryId };
  await awaitHandled(waiting, around.kept.channel.address, at);
}
