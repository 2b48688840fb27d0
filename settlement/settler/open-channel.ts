/**
 * Whether a channel that a payer announces may pay here. Nothing is believed: its address is computed from its terms, and
 * its state read from the chain as enough providers agree on it. Every check has a code of its own.
 * Spec: ton-settlement §4.5 (codes), §4.6.
 * @module
 */

import { equalPublic, toHex, type Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import type { ChannelPayee } from '../../protocol/gateway-document.ts';
import type { AnnouncedChannel } from '../channel-terms.ts';
import type { Account } from '../ledger/ledger.ts';
import { appraisePayerKey } from '../payer-key.ts';
import { placeChannel, usdtChannelId } from '../ton/channels/place.ts';
import { readChannel, type ReadChannel } from '../ton/channels/read.ts';
import { CHANNELS_MAX } from './policy.ts';
import { recordReading, type SyncParts } from './sync.ts';

export interface OpenParts extends SyncParts {
  /** As the gateway's document says. */
  readonly payee: ChannelPayee;
}

export type ChannelRefusal =
  | 'wrong_network'
  | 'wrong_payee'
  | 'wrong_payee_key'
  | 'delay_too_short'
  | 'key_unsound'
  | 'asset_unsupported'
  /** No code that is allowed here has this address under these terms. */
  | 'code_hash_unknown'
  /** Nothing is there, or somebody's other contract. */
  | 'channel_unknown'
  | 'account_frozen'
  | 'channel_idle'
  | 'channel_closing'
  | 'deposit_too_small'
  | 'chain_stale'
  /** The chain is said to be where it cannot have gone back to: an epoch or a counter fell. */
  | 'chain_regressed'
  | 'account_differs'
  | 'channels_full'
  /** Nothing can be read at the moment. */
  | 'chain_away';

export type OpenChannelOutcome =
  | { readonly outcome: 'opened' | 'existing'; readonly account: Account }
  | { readonly outcome: 'refused'; readonly code: ChannelRefusal };

/** Again for a channel that is known: its state is read anew. Throws as the ledger does. */
export async function openChannel(
  parts: OpenParts,
  announced: AnnouncedChannel,
  signal?: AbortSignal,
): Promise<OpenChannelOutcome> {
  const opened = await tryToOpen(parts, announced, signal);
  const { channel } = announced;
  if (opened.outcome === 'refused') {
    parts.emit('settler.channel_refused', { channel, reason: opened.code });
  } else if (opened.outcome === 'opened') {
    const { deposited } = opened.account;
    parts.emit('settler.channel_opened', { channel, deposited });
  }
  return opened;
}

async function tryToOpen(
  parts: OpenParts,
  announced: AnnouncedChannel,
  signal: AbortSignal | undefined,
): Promise<OpenChannelOutcome> {
  const wrong = checkTerms(announced, parts.payee);
  if (wrong !== undefined) return refused(wrong);
  const { channel, terms } = announced;
  const isKnown = parts.channels.find(channel) !== undefined;
  if (!isKnown && parts.channels.size >= CHANNELS_MAX) return refused('channels_full');
  const read = await readOpen(parts, announced, signal);
  if ('code' in read) return refused(read.code);
  const { payerKey } = terms;
  const opened = await parts.ledger.openAccount({
    kind: 'channel',
    id: channel,
    asset: 'TON',
    payerKey,
  });
  if (opened.outcome === 'refused') return refused(opened.code);
  // Until its state is recorded nothing is admitted on it, so what a crash leaves here is completed by announcing it again.
  await parts.channels.add(channel, terms, parts.now());
  const synced = await recordReading(parts, channel, read);
  if (synced.outcome === 'synced') return { outcome: opened.outcome, account: synced.account };
  return refused(synced.code === 'channel_gone' ? 'channel_unknown' : synced.code);
}

function refused(code: ChannelRefusal): OpenChannelOutcome {
  return { outcome: 'refused', code };
}

/** What can be said without the chain. */
function checkTerms(
  { channel, terms }: AnnouncedChannel,
  payee: ChannelPayee,
): ChannelRefusal | undefined {
  if (terms.network !== payee.network) return 'wrong_network';
  if (terms.payee !== payee.address) return 'wrong_payee';
  if (!equalPublic(terms.payeeKey, payee.key)) return 'wrong_payee_key';
  if (terms.withdrawDelayS < payee.withdrawDelayMinS) return 'delay_too_short';
  if (appraisePayerKey(terms.payerKey) !== 'sound') return 'key_unsound';
  if (equalPublic(placeChannel(terms).id, channel)) return undefined;
  if (equalPublic(usdtChannelId(terms), channel)) return 'asset_unsupported';
  return 'code_hash_unknown';
}

async function readOpen(
  { chain, channels, payee }: OpenParts,
  { channel, terms }: AnnouncedChannel,
  signal: AbortSignal | undefined,
): Promise<ReadChannel | { readonly code: ChannelRefusal }> {
  const reading = await readOrAway(chain, channel, signal);
  if (reading === undefined) return { code: 'chain_away' };
  if (reading.outcome === 'frozen') return { code: 'account_frozen' };
  if (reading.outcome === 'foreign') return { code: 'code_hash_unknown' };
  if (reading.outcome === 'absent') return { code: 'channel_unknown' };
  // The address stands for both, so whoever shows others lies.
  const isOfTerms =
    reading.termsHash === placeChannel(terms).termsHash &&
    toHex(reading.payerKey) === toHex(terms.payerKey);
  if (!isOfTerms) return { code: 'channel_unknown' };
  if (channels.find(channel) !== undefined) return reading;
  if (reading.status === 'idle') return { code: 'channel_idle' };
  if (reading.status === 'closing') return { code: 'channel_closing' };
  return holdings(reading) < payee.depositMin ? { code: 'deposit_too_small' } : reading;
}

/** What can be claimed: by the contract's books, and no more than its coins. */
function holdings({ deposited, claimed, refunded, balance }: ReadChannel): bigint {
  const available = deposited - claimed - refunded;
  return balance < available ? balance : available;
}

async function readOrAway(
  chain: OpenParts['chain'],
  channel: Bytes<32>,
  signal: AbortSignal | undefined,
) {
  try {
    return await readChannel(chain, channel, signal === undefined ? {} : { signal });
  } catch (error) {
    if (error instanceof VeilError && error.code.startsWith('ton.')) return undefined;
    throw error;
  }
}
