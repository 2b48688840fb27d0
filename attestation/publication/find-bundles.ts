/**
 * The bundles that a verified release names: brought with it, or held already. Spec: docs/publication.md §3 rule 3.
 * @module
 */

import { equalPublic } from '../../core/bytes.ts';
import { BUNDLE, type Bundle } from './bundle.ts';
import { publicationError } from './errors.ts';
import { hold, type Held, type PublicationState } from './memory.ts';
import { assertNotAhead } from './order.ts';
import type { Release, ReleasedPolicy } from './release.ts';
import { attempt, type Refusal } from './step.ts';

/** By serial, as they came. */
export type OfferedBundles = ReadonlyMap<number, Uint8Array>;

export interface FoundBundles {
  /** Undefined unless all that the release names are there. */
  readonly whole:
    | { readonly current: Held<Bundle>; readonly candidate: Held<Bundle> | undefined }
    | undefined;
  /** Serials. */
  readonly missing: readonly number[];
  readonly refused: readonly Refusal[];
}

/** A bundle that is refused is as good as none: the one held, if it is the right one, stays. */
export function findBundles(
  state: PublicationState,
  { current, candidate }: Pick<Release, 'current' | 'candidate'>,
  { bundles, nowMs }: { readonly bundles: OfferedBundles; readonly nowMs: number },
): FoundBundles {
  const refused: Refusal[] = [];
  const missing: number[] = [];
  const find = (named: ReleasedPolicy): Held<Bundle> | undefined => {
    const held = heldBundles(state).find((bundle) => isNamed(bundle, named));
    const bytes = bundles.get(named.serial);
    if (bytes === undefined || (held !== undefined && equalPublic(bytes, held.bytes))) return held;
    const done = attempt('bundle', () => readBundle(state, { named, bytes, nowMs }));
    if (done.outcome === 'done') return done.value;
    refused.push(done.refusal);
    return held;
  };
  const findOrMiss = (named: ReleasedPolicy): Held<Bundle> | undefined => {
    const found = find(named);
    if (found === undefined) missing.push(named.serial);
    return found;
  };
  const first = findOrMiss(current);
  const second = candidate === null ? undefined : findOrMiss(candidate);
  const whole =
    first === undefined || missing.length > 0 ? undefined : { current: first, candidate: second };
  return { whole, missing, refused };
}

export function heldBundles({ release }: PublicationState): readonly Held<Bundle>[] {
  if (release === undefined) return [];
  return release.candidate === undefined ? [release.current] : [release.current, release.candidate];
}

export function isNamed({ document }: Held<Bundle>, named: ReleasedPolicy): boolean {
  const { policy } = document.payload;
  return policy.document.serial === named.serial && equalPublic(policy.digest, named.digest);
}

function readBundle(
  { root }: Pick<PublicationState, 'root'>,
  {
    named,
    bytes,
    nowMs,
  }: { readonly named: ReleasedPolicy; readonly bytes: Uint8Array; readonly nowMs: number },
): Held<Bundle> {
  const bundle = hold(bytes, root, BUNDLE);
  if (!isNamed(bundle, named)) {
    throw publicationError('publication.bundle_mismatch', `serial ${named.serial}`);
  }
  assertNotAhead(bundle.document.payload.policy.document.issued, nowMs);
  return bundle;
}
