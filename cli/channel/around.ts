/** What every command about an open channel begins with: its file, its network, its state. @module */

import type { TonChain } from '../../settlement/ton/chain.ts';
import type { TonNetwork } from '../../settlement/ton/network.ts';
import { readPayerChannel, type LiveChannel } from '../../settlement/ton/payer/payer-channel.ts';
import type { TonWallet } from '../../settlement/ton/wallet.ts';
import { moneyError } from '../ton/errors.ts';
import type { MoneyIo } from '../ton/io.ts';
import { networkOfCaip, openChain, type NetworkOptions } from '../ton/network.ts';
import { hasWallet, openWalletFile } from '../ton/wallet-file.ts';
import { findChannel, type KeptChannel, type WhichChannel } from './channel-files.ts';

export interface ChannelOptions extends WhichChannel, NetworkOptions {
  /** Of the authority behind the gateway's certificate. */
  readonly cacert?: string;
}

export interface Around {
  readonly kept: KeptChannel;
  readonly network: TonNetwork;
  readonly chain: TonChain;
}

/** Throws `money.channel`, `money.gateway`, and what `work` throws. */
export async function withChannel<Result>(
  options: ChannelOptions,
  io: MoneyIo,
  work: (around: Around) => Promise<Result>,
): Promise<Result> {
  const kept = findChannel(options);
  const network = networkOfCaip(kept.file.terms.network, options.network);
  const { chain, caution } = openChain(network, options, io.now);
  if (caution !== undefined) io.say(caution);
  try {
    return await work({ kept, network, chain });
  } finally {
    await chain.close();
  }
}

/** Throws `money.state` when nothing was ever deposited. */
export async function liveChannel({ kept, chain }: Around, io: MoneyIo): Promise<LiveChannel> {
  const onChain = await readPayerChannel(chain, kept.channel, { signal: io.signal });
  if (onChain.kind === 'live') return onChain;
  throw moneyError(
    'money.state',
    'nothing has arrived at the channel yet; "veilgate channel open" again goes on with it',
  );
}

/** Undefined where this channel is paid from somewhere else. */
export function payersWallet(
  options: ChannelOptions,
  { kept, network }: Around,
): TonWallet | undefined {
  if (!hasWallet(options)) return undefined;
  const wallet = openWalletFile(options, network);
  return wallet.address.toRawString() === kept.file.terms.payer ? wallet : undefined;
}
