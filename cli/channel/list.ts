/** `veilgate channel list`: what lies in the directory. Asks nobody. @module */

import { paint, printable } from '../../core/node/terminal.ts';
import { toHex } from '../../core/bytes.ts';
import { NETWORKS } from '../../settlement/ton/network.ts';
import type { Answer, MoneyIo } from '../ton/io.ts';
import type { PlaceOptions } from '../ton/wallet-file.ts';
import { channelFolder, listChannels, type KeptChannel } from './channel-files.ts';

const ID_SHOWN_CHARS = 16;

export async function runChannelList(options: PlaceOptions, { say }: MoneyIo): Promise<Answer> {
  const folder = channelFolder(options);
  const { channels, unreadable } = listChannels(folder);
  for (const path of unreadable) say(paint('yellow', `${path} cannot be read as a channel`));
  const json = {
    channels: channels.map(({ path, file }) => ({
      channel: toHex(file.channel),
      network: file.terms.network,
      gateway: file.gateway,
      url: file.url,
      payer: file.terms.payer,
      file: path,
    })),
    unreadable,
  };
  const none = `None in ${folder}. "veilgate channel open" makes one.`;
  const lines = channels.length === 0 ? [none] : channels.map(lineOf);
  return await Promise.resolve({ json, lines, isTroubled: unreadable.length > 0 });
}

function lineOf({ file }: KeptChannel): string {
  const { network } = file.terms;
  const name = NETWORKS.find(({ globalId }) => network === `tvm:${globalId}`)?.name ?? network;
  return `${toHex(file.channel).slice(0, ID_SHOWN_CHARS)}  ${name.padEnd(7)}  ${printable(file.url)}`;
}
