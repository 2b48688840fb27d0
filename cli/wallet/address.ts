/** `veilgate wallet address`: where coins for it go. Asks nobody. @module */

import type { Answer, MoneyIo } from '../ton/io.ts';
import { networkNamed, type NetworkName } from '../ton/network.ts';
import { openWalletFile, type PlaceOptions } from '../ton/wallet-file.ts';
import { walletFacts } from './facts.ts';

export interface WalletAddressOptions extends PlaceOptions {
  readonly network: NetworkName;
}

/** One line, for other programs too. */
export async function runWalletAddress(
  options: WalletAddressOptions,
  { say }: MoneyIo,
): Promise<Answer> {
  const network = networkNamed(options.network);
  const facts = walletFacts(openWalletFile(options, network), network);
  say(`On ${network.name}:`);
  return await Promise.resolve({ json: { ...facts }, lines: [facts.address] });
}
