/**
 * Whether a reader knows the newest release and revocations. One that does not admits nobody.
 * Spec: docs/publication.md §3 rule 4.
 * @module
 */

import { equalPublic, type Bytes } from '../../core/bytes.ts';
import { assert } from '../../core/errors.ts';
import { CLOCK_SKEW_MS } from './limits.ts';
import type { PublicationState } from './memory.ts';
import type { NamedDocument } from './timestamp.ts';

export type Freshness =
  | { readonly fresh: true; readonly untilMs: number }
  | {
      readonly fresh: false;
      /**
       * `clock`: ours is behind what was signed. `behind`: there is something newer. `unconfirmed`: the list of revocations
       * is ahead of every timestamp seen, and was the first one: who may only take away could have left something out.
       */
      readonly why: 'no_timestamp' | 'clock' | 'stale' | 'equivocation' | 'behind' | 'unconfirmed';
    };

/** `maxAgeMs` is `limits.revocation_age` of the policy in force, for whoever asks. */
export function freshness(state: PublicationState, maxAgeMs: number, nowMs: number): Freshness {
  assert(maxAgeMs > 0, 'an age in the future');
  if (state.timestamp === undefined) return { fresh: false, why: 'no_timestamp' };
  const { timeMs, release, revocations } = state.timestamp.document.payload;
  // A clock that was set back would keep an old word fresh for as long as it is behind.
  if (Math.max(timeMs, state.newestIssuedMs) - nowMs > CLOCK_SKEW_MS) {
    return { fresh: false, why: 'clock' };
  }
  if (!(nowMs < timeMs + maxAgeMs)) return { fresh: false, why: 'stale' };
  const list = state.revocations?.supported === true ? state.revocations : undefined;
  const standings = [
    standing(release, state.release && numbered(state.release)),
    standing(revocations, list && numbered(list)),
  ];
  if (standings.includes('other')) return { fresh: false, why: 'equivocation' };
  if (standings.includes('behind')) return { fresh: false, why: 'behind' };
  if (list?.confirmed !== true) return { fresh: false, why: 'unconfirmed' };
  return { fresh: true, untilMs: timeMs + maxAgeMs };
}

function numbered({
  document,
}: {
  readonly document: {
    readonly payload: { readonly number: number };
    readonly digest: Bytes<32>;
  };
}): NamedDocument {
  return { number: document.payload.number, digest: document.digest };
}

function standing(
  newest: NamedDocument,
  has: NamedDocument | undefined,
): 'behind' | 'other' | 'abreast' {
  if (has === undefined || newest.number > has.number) return 'behind';
  if (newest.number < has.number) return 'abreast';
  return equalPublic(newest.digest, has.digest) ? 'abreast' : 'other';
}
