/** `veilgate wallet new`: a key of one's own. What is there stays. @module */

import type { Answer, MoneyIo } from '../ton/io.ts';
import { rowLines } from '../ton/money-text.ts';
import { networkNamed, type NetworkName } from '../ton/network.ts';
import { makeWallet, type PlaceOptions } from '../ton/wallet-file.ts';
import { terminalColumns } from '../../core/node/terminal.ts';
import { walletFacts } from './facts.ts';

export interface WalletNewOptions extends PlaceOptions {
  readonly network: NetworkName;
}

export async function runWalletNew(options: WalletNewOptions, { say }: MoneyIo): Promise<Answer> {
  const network = networkNamed(options.network);
  const { wallet, path, isNew } = makeWallet(options, network);
  const facts = walletFacts(wallet, network);
  say(isNew ? 'A new wallet (W5R1).' : 'There is one already; it stays.');
  const rows = rowLines(
    [
      ['address', facts.address, `on ${network.name}; it is another one on other networks`],
      ['raw', facts.raw],
      ['key', path, 'whoever has this file has the coins: keep a copy, show it to nobody'],
    ],
    terminalColumns(),
  );
  return await Promise.resolve({ json: { ...facts, keyFile: path, isNew }, lines: rows });
}
