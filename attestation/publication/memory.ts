/**
 * What a reader holds and remembers. Immutable: `advance` and `openPublication` make the next one. Everything in it has
 * been verified under its newest root, except for a list of revocations that a newer root does not support any more: that
 * one goes on taking away. Spec: docs/publication.md §3.
 * @module
 */

import { equalPublic } from '../../core/bytes.ts';
import { VeilError } from '../../core/errors.ts';
import { BUNDLE, type Bundle } from './bundle.ts';
import { parseEnvelope } from './envelope.ts';
import { RELEASE, type Release } from './release.ts';
import { RevocationSet } from './revocation-set.ts';
import { REVOCATIONS, type RevocationList } from './revocations.ts';
import type { Root } from './root.ts';
import { TIMESTAMP, type Timestamp } from './timestamp.ts';
import { verifyDocument, type DocumentFormat, type Verified } from './verified.ts';

export interface Held<Payload> {
  readonly document: Verified<Payload>;
  /** The envelope as received, in memory of our own. */
  readonly bytes: Uint8Array;
}

export interface HeldRelease extends Held<Release> {
  readonly current: Held<Bundle>;
  readonly candidate: Held<Bundle> | undefined;
}

export interface HeldRevocations extends Held<RevocationList> {
  readonly set: RevocationSet;
  /** Version of the root it was last verified under. */
  readonly rootVersion: number;
  /** Whether that is the newest one. If not, the list still takes away, its number binds nobody, and it is not fresh. */
  readonly supported: boolean;
  /**
   * Whether a timestamp named it, or a list that it goes on from without giving back, or those who may give back have
   * signed it. Of the first list that a reader sees nobody else could say that nothing was left out.
   */
  readonly confirmed: boolean;
}

export interface HeldTimestamp extends Held<Timestamp> {
  /** Version of the root it was accepted under. Under a later one its numbers bind nobody: they may have been a thief's. */
  readonly rootVersion: number;
}

export interface PublicationState {
  /** From the pinned one upwards, without a gap. */
  readonly roots: readonly Held<Root>[];
  /** The last of `roots`. */
  readonly root: Verified<Root>;
  readonly release: HeldRelease | undefined;
  readonly revocations: HeldRevocations | undefined;
  readonly timestamp: HeldTimestamp | undefined;
  /** Of all policies that were in force; 0 before the first. */
  readonly highestSerial: number;
  readonly newestIssuedMs: number;
}

export type Retired = 'release' | 'revocations' | 'timestamp';

/** Nothing but the pinned root. */
export function blankState(pinned: Held<Root>): PublicationState {
  return {
    roots: [pinned],
    root: pinned.document,
    release: undefined,
    revocations: undefined,
    timestamp: undefined,
    highestSerial: 0,
    newestIssuedMs: pinned.document.payload.issuedMs,
  };
}

/** Verifies and keeps a copy: the bytes of the caller may be in a buffer that is used again. Throws `publication.*`. */
export function hold<Payload>(
  bytes: Uint8Array,
  root: Verified<Root>,
  format: DocumentFormat<Payload>,
): Held<Payload> {
  const document = verifyDocument(parseEnvelope(bytes, format.kind), root, format);
  return { document, bytes: Uint8Array.from(bytes) };
}

/** Just verified, under the root of this version. */
export function heldRevocations(
  held: Held<RevocationList>,
  rootVersion: number,
  confirmed: boolean,
): HeldRevocations {
  return { ...held, rootVersion, supported: true, confirmed, set: RevocationSet.of(held.document) };
}

/** What a request asks. Empty without a list; whether that admits anybody is for `freshness` to say. */
export function revocationSetOf({ revocations }: PublicationState): RevocationSet {
  return revocations?.set ?? RevocationSet.NONE;
}

/** The same document, whatever signatures it carries. */
export function isSameDocument(a: Verified<unknown>, b: Verified<unknown>): boolean {
  return equalPublic(a.digest, b.digest);
}

/** Whether it is the list that was the newest by this timestamp. */
export function isNamedBy(timestamp: HeldTimestamp, { document }: Held<RevocationList>): boolean {
  const { number, digest } = timestamp.document.payload.revocations;
  return number === document.payload.number && equalPublic(digest, document.digest);
}

/**
 * After the chain has grown. Keys may have been taken away because they were stolen: what the newest root does not
 * support is not in force any more, and its number binds nobody, so that a thief cannot use numbers up.
 */
export function underNewestRoot(
  state: PublicationState,
  roots: readonly Held<Root>[],
  newest: Held<Root>,
): { readonly state: PublicationState; readonly retired: readonly Retired[] } {
  const root = newest.document;
  const release = state.release && releaseUnder(state.release, root);
  const revocations = state.revocations && revocationsUnder(state.revocations, root);
  const lost: Retired[] = [];
  if (state.release !== undefined && release === undefined) lost.push('release');
  if (state.revocations?.supported === true && revocations?.supported !== true) {
    lost.push('revocations');
  }
  const timestamp = state.timestamp && timestampUnder(state.timestamp, root);
  if (state.timestamp !== undefined && timestamp === undefined) lost.push('timestamp');
  const issued = roots.map(({ document }) => document.payload.issuedMs);
  const newestIssuedMs = Math.max(state.newestIssuedMs, ...issued);
  return {
    state: { ...state, roots, root, release, revocations, timestamp, newestIssuedMs },
    retired: lost,
  };
}

function heldUnder<Payload>(
  { bytes }: Held<Payload>,
  root: Verified<Root>,
  format: DocumentFormat<Payload>,
): Held<Payload> | undefined {
  try {
    return { bytes, document: verifyDocument(parseEnvelope(bytes, format.kind), root, format) };
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    return undefined; // an answer: this root does not support it
  }
}

function timestampUnder(held: HeldTimestamp, root: Verified<Root>): HeldTimestamp | undefined {
  const again = heldUnder(held, root, TIMESTAMP);
  return again && { ...again, rootVersion: held.rootVersion };
}

function releaseUnder(held: HeldRelease, root: Verified<Root>): HeldRelease | undefined {
  const release = heldUnder(held, root, RELEASE);
  const current = heldUnder(held.current, root, BUNDLE);
  const candidate = held.candidate && heldUnder(held.candidate, root, BUNDLE);
  if (release === undefined || current === undefined) return undefined;
  if (held.candidate !== undefined && candidate === undefined) return undefined;
  return { ...release, current, candidate };
}

/** Judged anew under another root; one that does not support it leaves it as it was, and marked. */
export function revocationsUnder(held: HeldRevocations, root: Verified<Root>): HeldRevocations {
  const again = heldUnder(held, root, REVOCATIONS);
  if (again === undefined) return { ...held, supported: false };
  return heldRevocations(again, root.payload.version, held.confirmed);
}
