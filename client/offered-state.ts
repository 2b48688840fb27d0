/** What one reader holds, offered to another: nothing of it is taken on trust. @module */

import { advance, type Offered } from '../attestation/publication/advance.ts';
import { heldBundles } from '../attestation/publication/find-bundles.ts';
import type { PublicationState } from '../attestation/publication/memory.ts';

export function offeredOf(state: PublicationState): Offered {
  const { roots, release, revocations, timestamp } = state;
  const bundles = heldBundles(state).map(
    ({ document, bytes }) => [document.payload.policy.document.serial, bytes] as const,
  );
  return {
    roots: roots.map(({ bytes }) => bytes),
    ...(release && { release: release.bytes, bundles: new Map(bundles) }),
    ...(revocations && { revocations: revocations.bytes }),
    ...(timestamp && { timestamp: timestamp.bytes }),
  };
}

/** The newer of both in everything. */
export function joined(
  mine: PublicationState,
  theirs: PublicationState,
  nowMs: number,
): PublicationState {
  const { state } = advance(mine, offeredOf(theirs), nowMs);
  return {
    ...state,
    highestSerial: Math.max(state.highestSerial, theirs.highestSerial),
    newestIssuedMs: Math.max(state.newestIssuedMs, theirs.newestIssuedMs),
  };
}
