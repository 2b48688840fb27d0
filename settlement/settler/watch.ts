/**
 * Looks at one address, the treasury, and so at every channel: a payer that withdraws makes the contract write here, and so
 * does every claim that is paid. What is noted is durable before the look moves on, and seeing it twice changes nothing.
 * Spec: ton-settlement §4.8 (notice), §4.10.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';
import { byteKey } from '../../core/node/byte-key.ts';
import { treasuryHistory, type TreasuryHistory } from '../ton/channels/history.ts';
import { tonError } from '../ton/errors.ts';
import type { TreasuryState } from '../ton/treasury.ts';
import type { KnownChannel } from './channels.ts';
import type { ClaimParts } from './claims.ts';
import {
  CLAIM_SEEN_AFTER_MS,
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
  for (const channel of touched.values()) await syncChannel(parts, channel, signal);
  await progress.save({ lt: history.lt });
  return state;
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
  const due = parts.channels.all().filter((channel) => isDue(parts, channel));
  let next = 0;
  const reader = async (): Promise<void> => {
    for (let at = next++; at < due.length && !parts.signal.aborted; at = next++) {
      const channel = due[at];
      if (channel !== undefined) await syncChannel(parts, channel.id, parts.signal);
    }
  };
  await Promise.all(Array.from({ length: READS_TOGETHER }, reader));
}

const MS_PER_S = 1000;

function isDue({ policy, now }: ClaimParts, channel: KnownChannel): boolean {
  const { readMs, sentMs, terms } = channel;
  if (readMs === undefined) return true;
  const nowMs = now();
  // So that a withdraw whose notice was lost is seen long before it unlocks.
  const delayMs = terms.withdrawDelayS * MS_PER_S;
  const everyMs = Math.min(policy.readEveryMs, delayMs / READS_PER_WITHDRAW_DELAY);
  if (nowMs - readMs >= everyMs) return true;
  return sentMs !== undefined && sentMs >= readMs && nowMs - sentMs >= CLAIM_SEEN_AFTER_MS;
}
