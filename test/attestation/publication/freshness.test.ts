/** Fresh or not, and why: what a timestamp says, how old it is, and whether the first list can be relied on. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { freshness } from '../../../attestation/publication/freshness.ts';
import type { PublicationState } from '../../../attestation/publication/memory.ts';
import { sha256 } from '#primitives';
import { advance } from '../../../attestation/publication/advance.ts';
import {
  accepted,
  blankReader,
  bundlesOf,
  entry,
  firstDay,
  makeRelease,
  makeRevocations,
  makeTimestamp,
  policyOf,
  reader,
  timestampOf,
} from '../../support/publication.ts';
import { NOW_MS } from '../../support/tdx/pki.ts';

const AGE_MS = 60_000;
const OTHER = sha256(new Uint8Array());

function why(state: PublicationState, nowMs = NOW_MS): string {
  const answer = freshness(state, AGE_MS, nowMs);
  return answer.fresh ? 'fresh' : answer.why;
}

test('fresh until the timestamp is as old as is allowed', () => {
  const state = reader();
  assert.deepEqual(freshness(state, AGE_MS, NOW_MS + AGE_MS - 1), {
    fresh: true,
    untilMs: NOW_MS + AGE_MS,
  });
  assert.equal(why(state, NOW_MS + AGE_MS), 'stale');
  assert.deepEqual(freshness(state, 2 * AGE_MS, NOW_MS + AGE_MS), {
    fresh: true,
    untilMs: NOW_MS + 2 * AGE_MS,
  });
});

test('without a timestamp nobody says so', () => {
  assert.equal(why(blankReader()), 'no_timestamp');
  const { timestamp: _, ...rest } = firstDay();
  assert.equal(why(accepted(blankReader(), rest)), 'no_timestamp');
});

test('a timestamp alone is news of documents that are not there', () => {
  const { timestamp, revocations } = firstDay();
  assert.equal(why(accepted(blankReader(), { timestamp })), 'behind');
  assert.equal(why(accepted(blankReader(), { timestamp, revocations })), 'behind');
});

for (const kind of ['release', 'revocations'] as const) {
  test(`${kind}: a higher number is news, another digest for the same one equivocation`, () => {
    const { digest } = timestampOf()[kind];
    const offered = (number: number, named = digest) => ({
      timestamp: makeTimestamp({ [kind]: { number, digest: named } }),
    });
    const before = { ...firstDay(), timestamp: makeTimestamp() };
    const without = accepted(blankReader(), { ...before, ...offered(1) });
    assert.equal(why(without), 'fresh');
    assert.equal(why(accepted(blankReader(), { ...before, ...offered(2) })), 'behind');
    assert.equal(why(accepted(blankReader(), { ...before, ...offered(1, OTHER) })), 'equivocation');
  });
}

test('a reader ahead of the timestamp is fresh', () => {
  const ahead = accepted(reader(), {
    release: makeRelease({ number: 2 }),
    revocations: makeRevocations({ number: 2, entries: [entry('image', 'a')] }),
  });
  assert.equal(why(ahead), 'fresh');
});

test('a clock that was set back keeps nothing fresh', () => {
  const state = reader();
  assert.equal(why(state, NOW_MS - 60_000), 'fresh');
  assert.equal(why(state, NOW_MS - 60_001), 'clock');
  assert.equal(why(state, Number.NaN), 'stale');
});

test('so does one behind the newest date of issue', () => {
  const early = { timestamp: makeTimestamp({ timeMs: NOW_MS - 50_000 }) };
  const issued = accepted(accepted(blankReader(), { ...firstDay(), ...early }), {
    release: makeRelease({ number: 2, issuedMs: NOW_MS }),
  });
  assert.equal(why(issued, NOW_MS - 60_000), 'fresh');
  assert.equal(why(issued, NOW_MS - 60_001), 'clock');
});

const FIRST_AHEAD = { number: 2, entries: [entry('image', 'a')] };

function newcomer(by: readonly string[]): PublicationState {
  return accepted(blankReader(), {
    ...firstDay(),
    revocations: makeRevocations(FIRST_AHEAD, by),
  });
}

test('a first list that no timestamp names counts only with those who may give', () => {
  assert.equal(why(newcomer(['carol'])), 'unconfirmed');
  assert.equal(why(newcomer(['alice', 'bob'])), 'fresh');
});

test('a first list counts once a timestamp names it, before or after it came', () => {
  const revocations = makeRevocations(FIRST_AHEAD);
  const { document } = newcomer(['carol']).revocations ?? {};
  assert.ok(document);
  const timestamp = makeTimestamp({
    timeMs: NOW_MS + 1000,
    revocations: { number: 2, digest: document.digest },
  });
  assert.equal(why(accepted(newcomer(['carol']), { timestamp })), 'fresh');
  const { revocations: _, ...rest } = firstDay();
  const waiting = accepted(blankReader(), { ...rest, timestamp });
  assert.equal(why(waiting), 'behind');
  assert.equal(why(accepted(waiting, { revocations })), 'fresh');
});

test('a first list that nobody confirmed gives way to the one that the timestamp names', () => {
  const misled = newcomer(['carol']);
  assert.equal(why(accepted(misled, { revocations: firstDay().revocations })), 'fresh');
  const other = makeRevocations({ number: 1, issuedMs: NOW_MS });
  const { refused } = advance(misled, { revocations: other }, NOW_MS);
  assert.deepEqual(
    refused.map(({ code }) => code),
    ['publication.rollback'],
  );
});

test('a confirmed list does not give way', () => {
  const state = accepted(reader(), { revocations: makeRevocations(FIRST_AHEAD) });
  const { refused } = advance(state, { revocations: firstDay().revocations }, NOW_MS);
  assert.deepEqual(
    refused.map(({ code }) => code),
    ['publication.rollback'],
  );
});

test('an age that is none is a mistake of ours', () => {
  for (const age of [0, -1, Number.NaN]) assert.throws(() => freshness(reader(), age, NOW_MS));
});

test('bundles alone do not make a reader fresh', () => {
  assert.equal(why(accepted(blankReader(), { bundles: bundlesOf([policyOf(1)]) })), 'no_timestamp');
});
