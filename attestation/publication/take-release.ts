/** A newer release, whole with its bundles, or refused. Spec: docs/publication.md §2 "Release", §3 rule 3. @module */

import { equalPublic } from '../../core/bytes.ts';
import type { Bundle } from './bundle.ts';
import { publicationError } from './errors.ts';
import { findBundles, heldBundles, type OfferedBundles } from './find-bundles.ts';
import { hold, type Held, type HeldRelease, type PublicationState } from './memory.ts';
import { assertNotAhead, assertRootLives, compareNumbered, equivocation } from './order.ts';
import { RELEASE, type Release, type ReleasedPolicy } from './release.ts';
import type { Refusal, Step } from './step.ts';

export interface OfferedRelease {
  readonly bytes: Uint8Array;
  readonly bundles: OfferedBundles;
  readonly nowMs: number;
}

export interface ReleaseStep extends Step {
  /** Of bundles. */
  readonly refused: readonly Refusal[];
  /** Serials. When there are any, the release is sound and was not taken for want of them. */
  readonly missing: readonly number[];
}

/** Throws `publication.*` for what is wrong with the release itself. */
export function takeRelease(state: PublicationState, offered: OfferedRelease): ReleaseStep {
  const { bytes, bundles, nowMs } = offered;
  const before = state.release;
  const isUnchanged = before !== undefined && equalPublic(bytes, before.bytes);
  const nothing: ReleaseStep = { state, events: [], refused: [], missing: [] };
  if (isUnchanged && !bringsOthers(heldBundles(state), bundles)) return nothing;
  assertRootLives(state.root, nowMs);
  const next = hold(bytes, state.root, RELEASE);
  const order = compareNumbered(before?.document, next.document);
  if (order === 'newer') assertGoesOn(state, next.document.payload, nowMs);
  const { whole, missing, refused } = findBundles(state, next.document.payload, { bundles, nowMs });
  if (whole === undefined) return { ...nothing, missing, refused };
  if (order === 'newer') return { ...taken(state, { ...next, ...whole }, nowMs), missing, refused };
  const isSame = whole.current === before?.current && whole.candidate === before.candidate;
  if (isUnchanged && isSame) return { ...nothing, refused };
  return {
    state: { ...state, release: { ...next, ...whole } },
    events: [{ kind: 'renewed', document: 'release' }],
    missing,
    refused,
  };
}

/** Whether a bundle that is held comes with other bytes, such as more signatures. */
function bringsOthers(held: readonly Held<Bundle>[], bundles: OfferedBundles): boolean {
  return held.some(({ document, bytes }) => {
    const offered = bundles.get(document.payload.policy.document.serial);
    return offered !== undefined && !equalPublic(offered, bytes);
  });
}

/** Policies neither go back nor change under one serial. */
function assertGoesOn(state: PublicationState, release: Release, nowMs: number): void {
  const { issuedMs, current, candidate } = release;
  assertNotAhead(issuedMs, nowMs);
  if (current.serial < state.highestSerial) {
    throw publicationError(
      'publication.rollback',
      `serial ${current.serial} < ${state.highestSerial}`,
    );
  }
  for (const { document } of heldBundles(state)) {
    const { policy } = document.payload;
    const isOther = (named: ReleasedPolicy): boolean =>
      named.serial === policy.document.serial && !equalPublic(named.digest, policy.digest);
    const other = [current, candidate].find((named) => named !== null && isOther(named));
    if (other) throw equivocation('serial', other.serial, policy, other);
  }
}

function taken(state: PublicationState, release: HeldRelease, nowMs: number): Step {
  const { number, issuedMs, current } = release.document.payload;
  const next = { ...state, release };
  const policies = heldBundles(next).map((bundle) => livePolicy(bundle, nowMs));
  return {
    state: {
      ...next,
      highestSerial: Math.max(state.highestSerial, current.serial),
      newestIssuedMs: Math.max(
        state.newestIssuedMs,
        issuedMs,
        ...policies.map(({ issued }) => issued),
      ),
    },
    events: [{ kind: 'release', number }],
  };
}

function livePolicy({ document }: Held<Bundle>, nowMs: number): { readonly issued: number } {
  const { serial, issued, expires } = document.payload.policy.document;
  if (nowMs < expires) return { issued };
  throw publicationError('publication.expired', `serial ${serial}`);
}
