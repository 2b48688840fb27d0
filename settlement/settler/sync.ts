/**
 * From the chain into the ledger: one channel's state, and what follows when the chain knows more than the ledger.
 * Spec: ton-settlement §4.11 (4), (5); L9.
 * @module
 */

import { toHex, utf8, type Bytes } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import { sha256 } from '#primitives';
import type { Account, Ledger } from '../ledger/ledger.ts';
import type { TonChain } from '../ton/chain.ts';
import { readChannel, type ChannelReading, type ReadChannel } from '../ton/channels/read.ts';
import type { ChannelBook } from './channels.ts';
import type { OnSettlerEvent } from './events.ts';

export interface SyncParts {
  readonly chain: TonChain;
  readonly ledger: Ledger;
  readonly channels: ChannelBook;
  readonly now: Clock;
  readonly emit: OnSettlerEvent;
}

export type SyncOutcome =
  | { readonly outcome: 'synced'; readonly account: Account }
  | {
      readonly outcome: 'refused';
      readonly code:
        | 'channel_unknown'
        /** There is no channel of ours at its address (any more), or the chain has frozen it. */
        | 'channel_gone'
        | 'chain_stale'
        | 'chain_regressed';
    };

/** Throws as the chain does. */
export async function syncChannel(
  parts: SyncParts,
  id: Bytes<32>,
  signal?: AbortSignal,
): Promise<SyncOutcome> {
  if (parts.channels.find(id) === undefined) return { outcome: 'refused', code: 'channel_unknown' };
  const reading = await readChannel(parts.chain, id, signal === undefined ? {} : { signal });
  if (reading.outcome !== 'read') return await gone(parts, id, reading);
  return await recordReading(parts, id, reading);
}

/** Nobody can be paid from it, so nothing more is served on it until an operator has looked. */
async function gone(
  { ledger, emit }: SyncParts,
  channel: Bytes<32>,
  { outcome: reason }: ChannelReading,
): Promise<SyncOutcome> {
  emit('settler.channel_gone', { channel, reason });
  await ledger.setStanding(channel, 'frozen');
  return { outcome: 'refused', code: 'channel_gone' };
}

export async function recordReading(
  parts: SyncParts,
  channel: Bytes<32>,
  reading: ReadChannel,
): Promise<SyncOutcome> {
  const { ledger, channels, emit, now } = parts;
  const before = await ledger.findAccount(channel);
  const { epoch, deposited, claimed, refunded, withdrawing, blockSeqno, witnesses } = reading;
  const counters = { epoch, deposited, claimed, refunded, withdrawing };
  const recorded = await ledger.recordChainState({ channel, ...counters, blockSeqno, witnesses });
  if (recorded.outcome === 'refused') {
    if (recorded.code === 'chain_regressed') {
      emit('settler.channel_contradicted', { channel, reason: recorded.code });
    }
    return recorded;
  }
  noteStatus(parts, channel, reading);
  const account =
    recorded.outcome === 'behind' ? await adopt(parts, recorded.account) : recorded.account;
  if (before !== undefined && claimed > before.claimed) {
    await channels.claimSeen(channel, now());
    emit('settler.claim_seen', { channel, claimed });
  }
  noteLoss(parts, account);
  return { outcome: 'synced', account };
}

function noteStatus(
  { channels, emit, now }: SyncParts,
  channel: Bytes<32>,
  { status, unlockAtS, withdrawing, witnesses }: ReadChannel,
): void {
  const known = channels.find(channel);
  if (status === 'closing' && known?.status !== 'closing') {
    emit('settler.channel_closing', { channel, withdrawing, unlockAtS });
  }
  const read = { readMs: now(), unreadMs: undefined, isDoubted: false };
  channels.change(channel, { status, unlockAtS, witnesses, ...read });
}

/**
 * The contract pays on two signatures only, so more was charged than this ledger remembers: it lost its newest entries. The
 * chain's word is taken, or the same money would be spent again.
 */
async function adopt({ ledger, emit, now }: SyncParts, account: Account): Promise<Account> {
  const { id, claimed, charged, epoch, blockSeqno } = account;
  emit('settler.channel_behind', { channel: id, claimed, charged });
  const reference = sha256(utf8(`claimed ${toHex(id)} ${epoch} ${claimed} ${blockSeqno}`));
  const answer = await ledger.adoptCharge({ account: id, cum: claimed, reference, nowMs: now() });
  return answer.outcome === 'refused' ? account : answer.account;
}

/** What a payer took out before it was claimed: the bound of a withdraw that was missed. §4.12. */
function noteLoss({ channels, emit }: SyncParts, account: Account): void {
  const { id, charged, deposited, refunded } = account;
  const lost = charged - (deposited - refunded);
  const known = channels.find(id);
  if (known === undefined || lost <= known.lost) return;
  channels.change(id, { lost });
  emit('settler.channel_lost', { channel: id, lost });
}
