/** What one reader holds, offered to another: nothing of it is taken on trust. @module */

import { advance, type Offered } from '../attestation/publication/advance.ts';
import { heldBundles } from '../attestation/publication/find-bundles.ts';
import type { PublicationState } from '../attestation/publication/memory.ts';
import type { Refusal } from '../attestation/publication/step.ts';

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

/** The newer of both in everything. That most of the other is older is no news; that it contradicts is. */
export function joined(
  mine: PublicationState,
  theirs: PublicationState,
  nowMs: number,
): { readonly state: PublicationState; readonly contradictions: readonly Refusal[] } {
  const { state, refused } = advance(mine, offeredOf(theirs), nowMs);
  return {
    state: {
      ...state,
      highestSerial: Math.max(state.highestSerial, theirs.highestSerial),
      newestIssuedMs: Math.max(state.newestIssuedMs, theirs.newestIssuedMs),
    },
    contradictions: refused.filter(({ code }) => code === 'publication.equivocation'),
  };
}
