/**
 * Looks at one address, the treasury, and so at every channel: a payer that withdraws makes the contract write here, and so
 * does every claim that is paid. What is noted is durable before the look moves on, and seeing it twice changes nothing.
 * Spec: ton-settlement §4.8 (notice), §4.10.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { byteKey } from '../../core/node/byte-key.ts';
import { treasuryHistory, type TreasuryHistory } from '../ton/channels/history.ts';
import { tonError } from '../ton/errors.ts';
import type { TreasuryState } from '../ton/treasury.ts';
import { troubledLast, type KnownChannel } from './channels.ts';
import type { ClaimParts } from './claims.ts';
import {
  CLAIM_SEEN_AFTER_MS,
  DOUBTS_PER_WITHDRAW_DELAY,
  HISTORY_DEADLINE_MS,
  HISTORY_LOOK_MAX,
  HISTORY_PAGE,
  READS_PER_WITHDRAW_DELAY,
  READS_TOGETHER,
} from './policy.ts';
import { syncChannel } from './sync.ts';
import { creditTopUp } from './top-ups.ts';

/** Returns the treasury's state from before the look: of everything up to it, the outbox knows. */
export async function lookAtTreasury(parts: ClaimParts): Promise<TreasuryState> {
  const { treasury, chain, signal, progress, outbox } = parts;
  const state = await treasury.readState(chain, { signal });
  const before = progress.now;
  if (before === undefined) {
    // Whatever was before this ledger is none of its orders; its channels are read one by one.
    await progress.save({ lt: state.lt });
    return state;
  }
  if (state.lt <= before.lt) return state;
  const history = await historySince(parts, before.lt);
  const touched = new Map<string, Bytes<32>>();
  for (const event of history.events) {
    if (event.kind === 'order') await outbox.note(event.step, event.lt);
    else if (event.kind === 'transfer') await creditTopUp(parts, event);
    // Anybody can write that it is a channel; only those that were opened here are believed.
    else if (parts.channels.find(event.channel) !== undefined) {
      touched.set(byteKey(event.channel), event.channel);
    }
  }
  await readTouched(parts, [...touched.values()]);
  await progress.save({ lt: history.lt });
  return state;
}

/**
 * One that cannot be read now is read with those whose turn it is, and everything else that was seen goes on. After a crash
 * all are read, so nothing that moved is forgotten.
 */
async function readTouched(parts: ClaimParts, touched: readonly Bytes<32>[]): Promise<void> {
  let isAway = false;
  for (const channel of touched) {
    if (!isAway) isAway = !(await isRead(parts, channel));
    if (isAway) parts.channels.change(channel, { unreadMs: parts.now() });
  }
}

async function isRead(parts: ClaimParts, channel: Bytes<32>): Promise<boolean> {
  try {
    await syncChannel(parts, channel, parts.signal);
    return true;
  } catch (error) {
    if (error instanceof VeilError && error.code.startsWith('ton.')) return false;
    throw error;
  }
}

/** All of it or nothing: past a gap nobody knows what became of an order. Throws `ton.history`. */
async function historySince(
  { chain, treasury, signal, emit }: ClaimParts,
  afterLt: bigint,
): Promise<TreasuryHistory> {
  const { address } = treasury;
  const first = await treasuryHistory(chain, address, { afterLt, limit: HISTORY_PAGE, signal });
  if (first.isComplete) return first;
  const whole = await treasuryHistory(chain, address, {
    afterLt,
    limit: HISTORY_LOOK_MAX,
    signal,
    deadlineMs: HISTORY_DEADLINE_MS,
  });
  if (whole.isComplete) return whole;
  emit('settler.history_missing', { afterLt });
  throw tonError('ton.history', 'more transactions than can be looked through');
}

/** Reads the channels whose turn it is; after a start, all of them. Throws as the chain does. */
export async function readDue(parts: ClaimParts): Promise<void> {
  const due = troubledLast(
    parts.channels.all().filter((channel) => isDue(parts, channel)),
    'unreadMs',
  );
  let next = 0;
  const reader = async (): Promise<void> => {
    for (let at = next++; at < due.length && !parts.signal.aborted; at = next++) {
      const channel = due[at];
      if (channel !== undefined) await readOne(parts, channel.id);
    }
  };
  const readers = await Promise.allSettled(Array.from({ length: READS_TOGETHER }, reader));
  for (const done of readers) if (done.status === 'rejected') throw done.reason;
}

/**
 * What was read half a withdraw delay ago does not count any more: a withdraw may have begun since, and end before the chain
 * is reached again. Until the next reading nothing is admitted on such a channel.
 */
export async function doubtOld(parts: ClaimParts): Promise<void> {
  const { ledger, channels, now } = parts;
  for (const { id, terms, readMs, isDoubted } of channels.all()) {
    const lastsMs = (terms.withdrawDelayS * MS_PER_S) / DOUBTS_PER_WITHDRAW_DELAY;
    if (readMs === undefined || isDoubted || now() - readMs < lastsMs) continue;
    const account = await ledger.findAccount(id);
    // Somebody announced it again meanwhile.
    if (account === undefined || channels.find(id)?.readMs !== readMs) continue;
    const { epoch, deposited, claimed, refunded, withdrawing, blockSeqno } = account;
    const counters = { epoch, deposited, claimed, refunded, withdrawing };
    await ledger.recordChainState({ channel: id, ...counters, blockSeqno, witnesses: 0 });
    channels.change(id, { isDoubted: true });
  }
}

async function readOne(parts: ClaimParts, channel: Bytes<32>): Promise<void> {
  try {
    await syncChannel(parts, channel, parts.signal);
  } catch (error) {
    parts.channels.change(channel, { unreadMs: parts.now() });
    throw error;
  }
}

const MS_PER_S = 1000;

function isDue({ policy, now }: ClaimParts, channel: KnownChannel): boolean {
  const { readMs, sentMs, terms, unreadMs, status } = channel;
  if (readMs === undefined || unreadMs !== undefined) return true;
  const nowMs = now();
  const delayMs = terms.withdrawDelayS * MS_PER_S;
  // So that a withdraw whose notice was lost is seen long before it unlocks. Out of an empty channel nothing can go: those
  // stay for good and grow in number, and whoever fills one again announces it.
  const everyMs =
    status === 'idle'
      ? delayMs / DOUBTS_PER_WITHDRAW_DELAY
      : Math.min(policy.readEveryMs, delayMs / READS_PER_WITHDRAW_DELAY);
  if (nowMs - readMs >= everyMs) return true;
  return sentMs !== undefined && sentMs >= readMs && nowMs - sentMs >= CLAIM_SEEN_AFTER_MS;
}
