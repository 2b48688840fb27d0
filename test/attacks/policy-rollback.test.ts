/**
 * B1: whoever holds the files shows an older policy, genuine and signed as it was then: an older release, the release of
 * today with the bundle of yesterday, a whole snapshot, a restored disk. By number, serial, digest or timestamp each is
 * noticed. Spec: docs/publication.md §3.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advance, type Offered } from '../../attestation/publication/advance.ts';
import { freshness } from '../../attestation/publication/freshness.ts';
import type { PublicationState } from '../../attestation/publication/memory.ts';
import { openPublication } from '../../attestation/publication/open.ts';
import { encodeState } from '../../attestation/publication/saved-state.ts';
import {
  accepted,
  blankReader,
  bundlesOf,
  entry,
  firstDay,
  makeBundle,
  makeRelease,
  makeRevocations,
  makeRoot,
  makeTimestamp,
  named,
  policyOf,
  reader,
  refusals,
} from '../support/publication.ts';
import { NOW_MS } from '../support/tdx/pki.ts';

const AGE_MS = 60_000;
const P2 = policyOf(2);
const LATER_MS = NOW_MS + 20_000;

/** Policy 2 in force, one image revoked, and a timestamp that says so. */
function secondDay(): Offered {
  const release = makeRelease({ number: 2, current: named(P2) });
  const revocations = makeRevocations({ number: 2, entries: [entry('image', 'bad')] });
  const { state } = advance(reader(), { release, bundles: bundlesOf([P2]), revocations }, NOW_MS);
  assert.ok(state.release && state.revocations);
  const timestamp = makeTimestamp({
    timeMs: LATER_MS,
    release: { number: 2, digest: state.release.document.digest },
    revocations: { number: 2, digest: state.revocations.document.digest },
  });
  return { release, bundles: bundlesOf([P2]), revocations, timestamp };
}

const TODAY = accepted(reader(), secondDay(), LATER_MS);

function isFresh(state: PublicationState): boolean {
  return freshness(state, AGE_MS, LATER_MS).fresh;
}

test('B1: a reader of today is fresh', () => assert.equal(isFresh(TODAY), true));

test('B1: the release of yesterday is refused by its number', () => {
  const { release, bundles } = firstDay();
  const result = advance(TODAY, { release, bundles }, LATER_MS);
  assert.deepEqual(refusals(result), ['release publication.rollback']);
  assert.equal(result.state, TODAY);
});

test('B1: the revocations and the timestamp of yesterday too', () => {
  const { revocations, timestamp } = firstDay();
  const result = advance(TODAY, { revocations, timestamp }, LATER_MS);
  assert.deepEqual(refusals(result), [
    'revocations publication.rollback',
    'timestamp publication.rollback',
  ]);
  assert.equal(result.state, TODAY);
});

test('B1: a newer release that two misled people signed does not bring an older serial back', () => {
  const release = makeRelease({ number: 3 });
  const result = advance(TODAY, { release, bundles: bundlesOf([policyOf(1)]) }, LATER_MS);
  assert.deepEqual(refusals(result), ['release publication.rollback']);
});

test('B1: the bundle of yesterday does not pass for that of today', () => {
  const { release } = secondDay();
  assert.ok(release);
  const bundles = new Map([[2, makeBundle(policyOf(1))]]);
  const result = advance(reader(), { release, bundles }, LATER_MS);
  assert.deepEqual(refusals(result), [
    'bundle publication.bundle_mismatch',
    'release publication.missing_bundle',
  ]);
});

test('B1: the whole of yesterday is noticed by a reader that remembers nothing', () => {
  const yesterday = accepted(blankReader(), firstDay(), NOW_MS + AGE_MS);
  assert.deepEqual(freshness(yesterday, AGE_MS, NOW_MS + AGE_MS), { fresh: false, why: 'stale' });
});

test('B1: yesterday with the timestamp of today is noticed', () => {
  const { timestamp } = secondDay();
  assert.ok(timestamp);
  for (const old of ['release', 'revocations'] as const) {
    const mixed = { ...secondDay(), bundles: bundlesOf([policyOf(1), P2]), [old]: firstDay()[old] };
    const state = accepted(blankReader(), { ...mixed, timestamp }, LATER_MS);
    assert.deepEqual(freshness(state, AGE_MS, LATER_MS), { fresh: false, why: 'behind' });
  }
});

test('B1: a disk restored from yesterday is noticed by the timestamp of today', () => {
  const saved = encodeState(reader());
  const restored = openPublication({ pinnedRoot: makeRoot(), saved, nowMs: LATER_MS });
  const { timestamp } = secondDay();
  assert.ok(timestamp);
  const state = accepted(restored, { timestamp }, LATER_MS);
  assert.deepEqual(freshness(state, AGE_MS, LATER_MS), { fresh: false, why: 'behind' });
});

test('B1: setting the clock back does not make yesterday today', () => {
  const { pinnedRoot, saved } = { pinnedRoot: makeRoot(), saved: encodeState(TODAY) };
  const nowMs = TODAY.newestIssuedMs - 60_001;
  assert.throws(() => openPublication({ pinnedRoot, saved, nowMs }));
  assert.deepEqual(freshness(TODAY, AGE_MS, LATER_MS - 3_600_000), { fresh: false, why: 'clock' });
});

test('B1: after a root that took nothing away, yesterday is still yesterday', () => {
  const state = accepted(TODAY, { roots: [makeRoot({ version: 2 })] }, LATER_MS);
  const { timestamp: _, ...day } = firstDay();
  const result = advance(state, day, LATER_MS);
  assert.deepEqual(refusals(result), [
    'revocations publication.rollback',
    'release publication.rollback',
  ]);
});
