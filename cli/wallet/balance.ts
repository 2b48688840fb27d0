/** `veilgate wallet balance`: what the chain says of it. @module */

import { paint, terminalColumns } from '../../core/node/terminal.ts';
import type { Answer, MoneyIo } from '../ton/io.ts';
import { rowLines, ton, type Row } from '../ton/money-text.ts';
import { networkNamed, openChain, type NetworkName, type NetworkOptions } from '../ton/network.ts';
import { openWalletFile, type PlaceOptions } from '../ton/wallet-file.ts';
import { walletFacts } from './facts.ts';

export interface WalletBalanceOptions extends PlaceOptions, NetworkOptions {
  readonly network: NetworkName;
}

export async function runWalletBalance(
  options: WalletBalanceOptions,
  { say, now, signal }: MoneyIo,
): Promise<Answer> {
  const network = networkNamed(options.network);
  const wallet = openWalletFile(options, network);
  const { chain, caution } = openChain(network, options, now);
  try {
    const account = await chain.readAccount(wallet.address, { signal });
    const { seqno } = await wallet.readState(chain, { signal });
    if (caution !== undefined) say(caution);
    const facts = walletFacts(wallet, network);
    const { state, balanceNanoton, agreedBy } = account;
    const isUnused = state === 'uninitialized';
    const rows: readonly Row[] = [
      ['network', network.name],
      ['address', facts.address],
      isUnused ? ['state', 'not deployed', 'its first payment does that'] : ['state', state],
      ['seqno', String(seqno)],
      ['balance', paint('bold', ton(balanceNanoton))],
      ['said by', agreedBy.join(', ')],
    ];
    const json = {
      ...facts,
      state,
      seqno,
      balanceNanoton: balanceNanoton.toString(),
      agreedBy,
      atSeqno: account.seqno,
    };
    return { json, lines: rowLines(rows, terminalColumns()) };
  } finally {
    await chain.close();
  }
}
