/**
 * The payer's count follows the chain into a new epoch. Only here: a client signs for no epoch that anybody but the chain
 * named. Spec: ton-settlement §4.8 "Epoch is mandatory".
 * @module
 */

import { hasCode, type VeilError } from '../../core/errors.ts';
import { readCount, setCountEpoch } from '../../client/node/channel-file.ts';
import { amount } from '../../settlement/money.ts';
import type { LiveChannel } from '../../settlement/ton/payer/payer-channel.ts';
import type { KeptChannel } from './channel-files.ts';

/** What keeps the count behind, if anything: a client that pays from it, or a chain that cannot be right. */
export function countBehind(
  { path }: KeptChannel,
  { state: { epoch, claimed } }: LiveChannel,
): VeilError | undefined {
  try {
    const known = readCount(path);
    if (epoch > (known?.epoch ?? 0)) setCountEpoch(path, epoch, amount(claimed));
    return undefined;
  } catch (error) {
    if (hasCode(error, 'client.channel_file')) return error;
    throw error;
  }
}
