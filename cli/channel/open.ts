/** `veilgate channel open`: asks the gateway how it wants to be paid, shows it, and does it. @module */

import { paint, terminalColumns } from '../../core/node/terminal.ts';
import { toHex } from '../../core/bytes.ts';
import type { ChannelPayee } from '../../protocol/gateway-document.ts';
import { parseAmount } from '../../settlement/money.ts';
import { readAddress, shownRaw } from '../../settlement/ton/address-text.ts';
import { CHANNEL_FEES } from '../../settlement/ton/contracts/pay-channel.ts';
import type { TonNetwork } from '../../settlement/ton/network.ts';
import { WALLET_FEES } from '../../settlement/ton/payer/limits.ts';
import { consentToSend, type ConsentOptions } from '../ton/consent.ts';
import { cliError } from '../errors.ts';
import { moneyError } from '../ton/errors.ts';
import type { Answer, MoneyIo } from '../ton/io.ts';
import { duration, rowLines, ton, type Row } from '../ton/money-text.ts';
import { networkOfCaip, openChain, type NetworkOptions } from '../ton/network.ts';
import { openWalletFile, type PlaceOptions } from '../ton/wallet-file.ts';
import { channelFolder, type KeptChannel } from './channel-files.ts';
import { openGateway, type PayerGateway } from './gateway.ts';
import { linkLines, type LinkOptions } from './link.ts';
import { openChannel, type Opened, type Payer } from './open-channel.ts';
import { acceptablePayee } from './payee.ts';

export interface ChannelOpenOptions
  extends PlaceOptions, NetworkOptions, ConsentOptions, LinkOptions {
  readonly gateway: string;
  readonly gatewayId?: string;
  /** TON. */
  readonly deposit: string;
  readonly cacert?: string;
  readonly another?: true;
  /** Whose wallet app pays. */
  readonly payer?: string;
}

/** Somebody has to find his phone. */
const LINK_WAIT_MS = 30 * 60_000;

export async function runChannelOpen(options: ChannelOpenOptions, io: MoneyIo): Promise<Answer> {
  const deposit = parseAmount(options.deposit, 'TON');
  if (deposit < CHANNEL_FEES.minDeposit) {
    throw cliError('cli.option', `a deposit is at least ${ton(CHANNEL_FEES.minDeposit)}`);
  }
  const gateway = openGateway(options.gateway, options, io);
  try {
    const document = await gateway.document();
    const { gatewayId } = options;
    const pinned = gatewayId === undefined ? { deposit } : { gatewayId, deposit };
    const payee = acceptablePayee(document, pinned);
    return await openAt(options, { gateway, aud: document.aud, payee, deposit }, io);
  } finally {
    await gateway.end();
  }
}

interface Found {
  readonly gateway: PayerGateway;
  readonly aud: string;
  readonly payee: ChannelPayee;
  readonly deposit: bigint;
}

async function openAt(options: ChannelOpenOptions, found: Found, io: MoneyIo): Promise<Answer> {
  const network = networkOfCaip(found.payee.network, options.network);
  const { chain, caution } = openChain(network, options, io.now);
  try {
    const payer = payerOf(options, network, io);
    const opened = await openChannel({
      ...found,
      chain,
      folder: channelFolder(options),
      payer,
      isAnother: options.another === true,
      confirm: async (resumed) => {
        const shown = { ...found, network, payer, resumed };
        for (const line of planLines(options, shown)) io.say(line);
        if (caution !== undefined) io.say(caution);
        await confirmed(options, { ...found, network, payer }, io);
      },
      io,
    });
    return answerOf(opened, network);
  } finally {
    await chain.close();
  }
}

function payerOf(options: ChannelOpenOptions, network: TonNetwork, io: MoneyIo): Payer {
  const isLink = options.link === true || options.qr === true;
  if (!isLink) {
    if (options.payer !== undefined) {
      throw cliError('cli.option', '--payer goes with --link or --qr');
    }
    return { kind: 'wallet', wallet: openWalletFile(options, network) };
  }
  if (options.payer === undefined) {
    throw cliError('cli.option', 'say with --payer which wallet will pay: refunds go there');
  }
  const { address } = readAddress(options.payer, network);
  return {
    kind: 'elsewhere',
    raw: address.toRawString(),
    forMs: LINK_WAIT_MS,
    pay: async (payment) => {
      for (const line of linkLines(payment, network, options)) io.show(line);
      io.say('Waiting for the payment. Ctrl-C loses nothing: the same command goes on later.');
      await Promise.resolve();
    },
  };
}

interface Shown extends Found {
  readonly network: TonNetwork;
  readonly payer: Payer;
  readonly resumed: KeptChannel | undefined;
}

function planLines(options: ChannelOpenOptions, shown: Shown): readonly string[] {
  const { aud, gateway, payee, deposit, network, payer, resumed } = shown;
  const { rent, depositFee } = CHANNEL_FEES;
  const most = deposit + rent + depositFee + WALLET_FEES;
  const raw = payer.kind === 'wallet' ? payer.wallet.address.toRawString() : payer.raw;
  const isPinned = options.gatewayId !== undefined;
  const rows: readonly Row[] = [
    [
      'gateway',
      aud,
      isPinned ? 'as you named it' : 'its own word: compare it with what its operator published',
    ],
    ['at', gateway.origin],
    ['network', paint(network.name === 'mainnet' ? 'red' : 'bold', network.name)],
    ['pays to', shownRaw(payee.address, network)],
    ['deposit', paint('bold', ton(deposit)), 'to be spent; what is left of it comes back to you'],
    ['rent', ton(rent), 'keeps the contract on the chain'],
    ['fees', `up to ${ton(depositFee + WALLET_FEES)}`, 'of the network'],
    ['in all', `up to ${ton(most)}`],
    ['paid by', shownRaw(raw, network), 'refunds go there'],
    [
      'delay',
      duration(payee.withdrawDelayMinS),
      'so long your coins wait when the gateway does not help',
    ],
  ];
  const head = resumed === undefined ? 'A new payment channel:' : `Going on with ${resumed.path}:`;
  return [head, '', ...rowLines(rows, terminalColumns()).map((line) => `  ${line}`), ''];
}

async function confirmed(
  options: ChannelOpenOptions,
  { aud, network, payer }: Found & { readonly network: TonNetwork; readonly payer: Payer },
  io: MoneyIo,
): Promise<void> {
  // Who the gateway is decides where the coins go, and --yes does not say that.
  if (options.gatewayId === undefined) await identityConfirmed(aud, io);
  // The wallet app asks by itself.
  if (payer.kind === 'elsewhere') return;
  await consentToSend('Open this channel?', network, { ...options, io });
}

async function identityConfirmed(aud: string, io: MoneyIo): Promise<void> {
  if (io.ask === undefined) {
    throw moneyError(
      'money.consent',
      `nobody is here to ask; --gateway-id ${aud} says that it is the right one`,
    );
  }
  if (/^y(?:es)?$/i.test(await io.ask(`Is ${aud} the gateway you mean? [y/N] `))) return;
  throw moneyError('money.consent', 'you did not say yes: nothing was sent');
}

function answerOf({ kept, live, how }: Opened, network: TonNetwork): Answer {
  const { channel, file, path } = kept;
  const id = toHex(channel.id);
  const { deposited, epoch } = live.state;
  const head = how === 'known' ? 'It was open already; nothing was sent.' : 'The channel is open.';
  const rows: readonly Row[] = [
    ['channel', id],
    ['available', paint('bold', ton(live.available))],
    ['file', path, 'what the client is given; the key beside it signs vouchers'],
  ];
  return {
    json: {
      opened: how === 'opened',
      channel: id,
      address: channel.address.toRawString(),
      network: network.name,
      gateway: file.gateway,
      epoch,
      deposited: deposited.toString(),
      available: live.available.toString(),
      file: path,
    },
    lines: [paint('green', head), ...rowLines(rows, terminalColumns())],
  };
}
