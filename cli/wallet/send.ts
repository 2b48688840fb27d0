/** `veilgate wallet send`: coins from here to there, once, followed until the wallet has sent them. @module */

import { paint, printable, terminalColumns } from '../../core/node/terminal.ts';
import { parseAmount } from '../../settlement/money.ts';
import { readAddress, shownAddress } from '../../settlement/ton/address-text.ts';
import { deliver } from '../../settlement/ton/payer/deliver.ts';
import { commentBody } from '../../settlement/ton/payer/comment.ts';
import { cliError } from '../errors.ts';
import { consentToSend, type ConsentOptions } from '../ton/consent.ts';
import type { Answer, MoneyIo } from '../ton/io.ts';
import { rowLines, ton, type Row } from '../ton/money-text.ts';
import { networkNamed, openChain, type NetworkName, type NetworkOptions } from '../ton/network.ts';
import { openWalletFile, type PlaceOptions } from '../ton/wallet-file.ts';

export interface WalletSendOptions extends PlaceOptions, NetworkOptions, ConsentOptions {
  readonly network: NetworkName;
  readonly comment?: string;
}

export async function runWalletSend(
  { to, amount }: { readonly to: string; readonly amount: string },
  options: WalletSendOptions,
  io: MoneyIo,
): Promise<Answer> {
  const network = networkNamed(options.network);
  const { address, bounce } = readAddress(to, network);
  const nanoton = parseAmount(amount, 'TON');
  if (nanoton === 0n) throw cliError('cli.option', 'an amount above zero');
  const wallet = openWalletFile(options, network);
  const shown = shownAddress(address, network, bounce ? 'contract' : 'account');
  const { chain, caution } = openChain(network, options, io.now);
  try {
    const { comment } = options;
    const rows: readonly Row[] = [
      ['network', network.name],
      ['from', shownAddress(wallet.address, network, 'account')],
      ['to', shown],
      ['amount', paint('bold', ton(nanoton)), 'and the network’s fee, below 0.01 TON'],
      ...(comment === undefined ? [] : [['comment', printable(comment)] as const]),
    ];
    for (const line of rowLines(rows, terminalColumns())) io.say(line);
    if (caution !== undefined) io.say(caution);
    await consentToSend('Send it?', network, { ...options, io });
    io.say('Sending …');
    const body = comment === undefined ? {} : { body: commentBody(comment) };
    const payment = { to: address, nanoton, bounce, ...body };
    const { hash } = await deliver({ ...io, chain }, wallet, [payment]);
    const json = { sent: true, to: address.toRawString(), nanoton: nanoton.toString(), hash };
    return { json, lines: [`Sent ${ton(nanoton)} to ${shown}`, `transaction ${hash}`] };
  } finally {
    await chain.close();
  }
}
