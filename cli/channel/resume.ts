/**
 * `veilgate channel resume`: pays again from a channel whose last bill did not hold, by somebody's decision.
 * @module
 */

import { paint } from '../../core/node/terminal.ts';
import { readCount, resumeCount } from '../../client/node/channel-file.ts';
import { consentToSend, type ConsentOptions } from '../ton/consent.ts';
import type { Answer, MoneyIo } from '../ton/io.ts';
import { networkOfCaip } from '../ton/network.ts';
import type { ChannelOptions } from './around.ts';
import { findChannel } from './channel-files.ts';

export type ChannelResumeOptions = ChannelOptions & ConsentOptions;

/** Throws `money.channel`, `money.consent`, `client.channel_file`: also while an app pays from it. */
export async function runChannelResume(
  options: ChannelResumeOptions,
  io: MoneyIo,
): Promise<Answer> {
  const { path, file } = findChannel(options);
  const faults = readCount(path)?.faults ?? [];
  if (faults.length === 0) {
    return { json: { faults: [] }, lines: ['Nothing stopped: this channel is paid from.'] };
  }
  io.say(`Paying stopped, because a bill did not hold: ${faults.join(', ')}.`);
  io.say(`The bills are beside ${path}; "veilgate receipt verify" says what is wrong with them.`);
  const network = networkOfCaip(file.terms.network, options.network);
  await consentToSend('Pay from it again?', network, { ...options, io });
  return {
    json: { faults: [...resumeCount(path)] },
    lines: [paint('bold', 'Apps can pay from it again.')],
  };
}
