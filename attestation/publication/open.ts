/**
 * Where a reader begins: the root it was configured with, and what it had accepted before. The saved file is verified from
 * the pinned root upwards and trusted no more than a server is; that it may be an old copy is noticed by the timestamp.
 * Spec: docs/publication.md §3.
 * @module
 */

import { equalPublic } from '../../core/bytes.ts';
import { assert, VeilError } from '../../core/errors.ts';
import { BUNDLE } from './bundle.ts';
import { parseEnvelope } from './envelope.ts';
import { publicationError } from './errors.ts';
import { heldBundles, isNamed } from './find-bundles.ts';
import { CLOCK_SKEW_MS } from './limits.ts';
import {
  blankState,
  heldRevocations,
  hold,
  revocationsUnder,
  type Held,
  type HeldRelease,
  type HeldRevocations,
  type PublicationState,
} from './memory.ts';
import { RELEASE } from './release.ts';
import { REVOCATIONS } from './revocations.ts';
import { openPinnedRoot, readRootUnverified, verifyNextRoot, type Root } from './root.ts';
import { decodeState, type SavedState } from './saved-state.ts';
import { TIMESTAMP } from './timestamp.ts';
import type { Verified } from './verified.ts';

export interface OpenOptions {
  /** The envelope of a root document, from the reader's own configuration. */
  readonly pinnedRoot: Uint8Array;
  /** What `encodeState` made. Absent: nothing is remembered, and the timestamp alone shows what is old. */
  readonly saved?: Uint8Array;
  readonly nowMs: number;
}

/**
 * Ends of validity are not asked about: what has expired since stays, and denies by itself. Throws `publication.*` for the
 * pinned root, `publication.saved_state` with the code of what does not hold, `publication.clock`.
 */
export function openPublication({ pinnedRoot, saved, nowMs }: OpenOptions): PublicationState {
  const pinned = { document: openPinnedRoot(pinnedRoot), bytes: Uint8Array.from(pinnedRoot) };
  const state = saved === undefined ? blankState(pinned) : reopened(pinned, saved);
  const behindMs = state.newestIssuedMs - nowMs;
  if (behindMs <= CLOCK_SKEW_MS) return state;
  throw publicationError('publication.clock', `${Math.ceil(behindMs / 1000)} s behind`);
}

function reopened(pinned: Held<Root>, bytes: Uint8Array): PublicationState {
  try {
    return restored(pinned, decodeState(bytes));
  } catch (cause) {
    if (!(cause instanceof VeilError) || cause.code === 'internal.invariant') throw cause;
    if (cause.code === 'publication.saved_state') throw cause;
    throw publicationError('publication.saved_state', cause.code, { cause });
  }
}

/**
 * The saved chain above the pinned root. A pin newer than the whole chain begins a new one; an older or another one than
 * the chain has is a mistake that somebody has to look at.
 */
function chainFrom(pinned: Held<Root>, saved: readonly Uint8Array[]): readonly Held<Root>[] {
  const envelopes = saved.map((bytes) => parseEnvelope(bytes, 'root'));
  const at = envelopes.findIndex(({ digest }) => equalPublic(digest, pinned.document.digest));
  const newest = Math.max(...envelopes.map((envelope) => readRootUnverified(envelope).version));
  if (at < 0 && newest >= pinned.document.payload.version) {
    throw publicationError('publication.saved_state', 'another chain of roots');
  }
  const chain = [pinned];
  for (const bytes of at < 0 ? [] : saved.slice(at + 1)) {
    const previous = chain.at(-1) ?? pinned;
    chain.push({ document: verifyNextRoot(bytes, previous.document), bytes });
  }
  return chain;
}

function restored(pinned: Held<Root>, saved: SavedState): PublicationState {
  const roots = chainFrom(pinned, saved.roots);
  const root = roots.at(-1)?.document ?? pinned.document;
  const release = restoredRelease(saved.release, root);
  const revocations = restoredRevocations(saved.revocations, roots);
  const timestamp = saved.timestamp && {
    ...hold(saved.timestamp.envelope, root, TIMESTAMP),
    rootVersion: saved.timestamp.root,
  };
  const state = {
    ...blankState(pinned),
    roots,
    root,
    release,
    revocations,
    timestamp: timestamp ?? undefined,
  };
  const current = release?.document.payload.current.serial ?? 0;
  return {
    ...state,
    highestSerial: Math.max(saved.highestSerial, current),
    newestIssuedMs: Math.max(saved.newestIssuedMs, ...issuedIn(state)),
  };
}

function issuedIn(state: PublicationState): readonly number[] {
  const { roots, release, revocations } = state;
  return [
    ...roots.map(({ document }) => document.payload.issuedMs),
    ...heldBundles(state).map(({ document }) => document.payload.policy.document.issued),
    release?.document.payload.issuedMs ?? 0,
    revocations?.document.payload.issuedMs ?? 0,
  ];
}

function restoredRelease(
  saved: SavedState['release'],
  root: Verified<Root>,
): HeldRelease | undefined {
  if (saved === null) return undefined;
  const release = hold(saved.envelope, root, RELEASE);
  const named = release.document.payload;
  const current = hold(saved.current, root, BUNDLE);
  const candidate = saved.candidate === null ? undefined : hold(saved.candidate, root, BUNDLE);
  const isWhole =
    isNamed(current, named.current) &&
    (candidate === undefined
      ? named.candidate === null
      : named.candidate !== null && isNamed(candidate, named.candidate));
  if (!isWhole) throw publicationError('publication.bundle_mismatch', `release ${named.number}`);
  return { ...release, current, candidate };
}

/** Under the newest root, or under the one of the chain that it was accepted under: it goes on taking away. */
function restoredRevocations(
  saved: SavedState['revocations'],
  roots: readonly Held<Root>[],
): HeldRevocations | undefined {
  if (saved === null) return undefined;
  const newest = roots.at(-1)?.document;
  assert(newest !== undefined, 'a chain without a root');
  const recorded = roots.find(({ document }) => document.payload.version === saved.root);
  // The root that is pinned by now may be above the recorded one.
  const held = hold(saved.envelope, recorded?.document ?? newest, REVOCATIONS);
  return revocationsUnder(heldRevocations(held, saved.root, saved.confirmed), newest);
}
