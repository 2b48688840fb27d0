/**
 * The journal's head on chain, every so often: what an older copy of this ledger cannot know. Spec: ton-settlement §4.9,
 * §4.11 (5a).
 * @module
 */

import { equalPublic } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { ed25519PublicKey } from '#primitives';
import { EMPTY_HEAD } from '../ledger/journal.ts';
import {
  anchorAddressOf,
  anchorFunding,
  anchorMessage,
  readAnchor,
  type ReadAnchor,
} from '../ton/channels/anchor.ts';
import type { AnchorTerms } from '../ton/contracts/ledger-anchor.ts';
import type { ClaimParts } from './claims.ts';
import { settlerError } from './errors.ts';
import type { SettlerParts } from './parts.ts';
import { ANCHOR_FLOOR, ANCHOR_FUNDING, ANCHOR_VALID_S } from './policy.ts';

function termsOf({ settlementSeed }: SettlerParts): AnchorTerms {
  return { key: ed25519PublicKey(settlementSeed), genesis: EMPTY_HEAD.hash };
}

/** Raw. */
export function anchorOf(parts: SettlerParts): string {
  return anchorAddressOf(termsOf(parts));
}

/**
 * Whether this ledger knows what was anchored. If not it is an older copy, and everything settled since would be free.
 * Throws `settler.rolled_back`, and as the chain does.
 */
export async function checkAnchor(parts: SettlerParts, signal: AbortSignal): Promise<void> {
  if (parts.policy.anchor === 'off') return;
  const reading = await readAnchor(parts.chain, termsOf(parts), { signal });
  if (reading.outcome === 'absent') return;
  if ((await parts.ledger.findHead(reading.head)) !== undefined) return;
  parts.emit('settler.rolled_back', { witness: 'anchor' });
  throw settlerError('settler.rolled_back', 'the anchored head is not in this journal', {
    facts: { seq: reading.seq },
  });
}

/** One head, where there is a new one. Throws as the chain does. */
export async function moveAnchor(parts: ClaimParts): Promise<'moved' | 'waiting' | 'unchanged'> {
  const { chain, outbox, signal, ledger } = parts;
  const terms = termsOf(parts);
  const reading = await readAnchor(chain, terms, { signal });
  if (reading.balance < ANCHOR_FLOOR) {
    outbox.want('anchor', anchorFunding(terms, ANCHOR_FUNDING));
  }
  if (reading.outcome === 'absent') return 'waiting';
  const { hash: head } = await ledger.journalHead();
  if (equalPublic(head, reading.head)) return 'unchanged';
  return (await send(parts, reading, head)) ? 'moved' : 'waiting';
}

async function send(
  parts: ClaimParts,
  from: ReadAnchor,
  head: typeof EMPTY_HEAD.hash,
): Promise<boolean> {
  const { chain, signal, settlementSeed, emit } = parts;
  const validUntilS = from.timeS + ANCHOR_VALID_S;
  const message = anchorMessage(settlementSeed, termsOf(parts), { from, head, validUntilS });
  try {
    await chain.send(message, { signal });
  } catch (error) {
    // Another head came before, or its coins are used up: the next look tells.
    if (hasCode(error, 'ton.not_accepted')) return false;
    throw error;
  }
  emit('settler.anchored', { seq: from.seq + 1n });
  return true;
}
