/**
 * The reader's one step: documents from anywhere in, the next state out. Each is judged on its own; what fails keeps what
 * was there before. Everything offered is an attacker's until it has been verified.
 * Spec: docs/publication.md §3.
 * @module
 */

import type { OfferedBundles } from './find-bundles.ts';
import { isNamedBy, type PublicationState } from './memory.ts';
import { attempt, type PublicationEvent, type Refusal, type Step } from './step.ts';
import { takeRelease } from './take-release.ts';
import { takeRevocations } from './take-revocations.ts';
import { takeRoots } from './take-root.ts';
import { takeTimestamp } from './take-timestamp.ts';

/** Envelopes as they came. */
export interface Offered {
  /** In rising order. */
  readonly roots?: readonly Uint8Array[];
  readonly release?: Uint8Array;
  /** By the serial they are published under. Only those that the release names are read. */
  readonly bundles?: OfferedBundles;
  readonly revocations?: Uint8Array;
  readonly timestamp?: Uint8Array;
}

export interface Advance {
  /** The very same object when nothing changed; otherwise to be saved before it is used. */
  readonly state: PublicationState;
  readonly accepted: readonly PublicationEvent[];
  readonly refused: readonly Refusal[];
  /** Serials of bundles that a sound release names and nobody brought: to be fetched, and both offered again. */
  readonly missingBundles: readonly number[];
}

/** Never throws for what is offered: what does not hold is in `refused`. */
export function advance(state: PublicationState, offered: Offered, nowMs: number): Advance {
  const climbed = takeRoots(state, offered.roots ?? [], nowMs);
  const accepted: PublicationEvent[] = [...climbed.events];
  const refused: Refusal[] = [...climbed.refused];
  let now = climbed.state;
  const follow = ({ state: next, events }: Step): void => {
    now = next;
    accepted.push(...events);
  };

  const { revocations, timestamp } = offered;
  if (revocations !== undefined) {
    const done = attempt('revocations', () => takeRevocations(now, revocations, nowMs));
    if (done.outcome === 'refused') refused.push(done.refusal);
    else follow(done.value);
  }

  const release = releaseStep(now, offered, nowMs);
  follow(release);
  refused.push(...release.refused);

  if (timestamp !== undefined) {
    const done = attempt('timestamp', () => takeTimestamp(now, timestamp, nowMs));
    if (done.outcome === 'refused') refused.push(done.refusal);
    else follow(done.value);
  }
  return { state: confirmed(now), accepted, refused, missingBundles: release.missing };
}

/** A timestamp is made by a reader too, one that remembers: what it names has left nothing out. */
function confirmed(state: PublicationState): PublicationState {
  const { revocations, timestamp } = state;
  if (!revocations || revocations.confirmed || !timestamp) return state;
  if (!isNamedBy(timestamp, revocations)) return state;
  return { ...state, revocations: { ...revocations, confirmed: true } };
}

function releaseStep(
  state: PublicationState,
  { release: bytes, bundles = new Map() }: Offered,
  nowMs: number,
): ReturnType<typeof takeRelease> {
  const nothing = { state, events: [], refused: [], missing: [] };
  if (bytes === undefined) return nothing;
  const done = attempt('release', () => takeRelease(state, { bytes, bundles, nowMs }));
  if (done.outcome === 'refused') return { ...nothing, refused: [done.refusal] };
  const { missing, refused } = done.value;
  if (missing.length === 0) return done.value;
  const detail = `serials ${missing.join(', ')}`;
  const refusal: Refusal = { document: 'release', code: 'publication.missing_bundle', detail };
  return { ...done.value, refused: [...refused, refusal] };
}

/** The version of the root to ask for next; there may be none yet. */
export function nextRootVersion({ root }: PublicationState): number {
  return root.payload.version + 1;
}
