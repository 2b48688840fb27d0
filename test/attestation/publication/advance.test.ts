/** The reader's step: what is taken, what is refused for which reason, and that a refusal changes nothing. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  advance,
  nextRootVersion,
  type Offered,
} from '../../../attestation/publication/advance.ts';
import { freshness } from '../../../attestation/publication/freshness.ts';
import { revocationSetOf, type PublicationState } from '../../../attestation/publication/memory.ts';
import { seededBytes } from '../../support/changes.ts';
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
  timestampOf,
} from '../../support/publication.ts';
import { DAY_MS, NOW_MS } from '../../support/tdx/pki.ts';

const SECOND_MS = 1000;
const P2 = policyOf(2);
const P3 = policyOf(3);

/** Exactly this is refused, and nothing is different afterwards. */
function refuses(
  state: PublicationState,
  offered: Offered,
  refusal: string | readonly string[],
  nowMs = NOW_MS,
): void {
  const result = advance(state, offered, nowMs);
  assert.deepEqual(
    refusals(result),
    [refusal].flat().map((text) => text.replace(' ', ' publication.')),
  );
  assert.equal(result.state, state);
  assert.deepEqual(result.accepted, []);
}

test('the first day is taken whole, and is fresh', () => {
  const { state, accepted: events, refused } = advance(blankReader(), firstDay(), NOW_MS);
  assert.deepEqual(refused, []);
  assert.deepEqual(events, [
    { kind: 'revocations', number: 1 },
    { kind: 'release', number: 1 },
    { kind: 'timestamp', timeMs: NOW_MS },
  ]);
  assert.deepEqual(freshness(state, 60_000, NOW_MS), { fresh: true, untilMs: NOW_MS + 60_000 });
  assert.equal(state.release?.current.document.payload.policy.document.serial, 1);
  assert.equal(nextRootVersion(state), 2);
});

test('what is offered again changes nothing', () => {
  const state = reader();
  for (const offered of [firstDay(), { ...firstDay(), roots: [makeRoot()] }, {}]) {
    const again = advance(state, offered, NOW_MS);
    assert.equal(again.state, state);
    assert.deepEqual([...again.accepted, ...again.refused], []);
  }
});

test('each document is judged on its own', () => {
  const sound = firstDay();
  const junk = seededBytes('junk', 200);
  for (const kind of ['release', 'revocations', 'timestamp'] as const) {
    const { state, refused } = advance(blankReader(), { ...sound, [kind]: junk }, NOW_MS);
    assert.deepEqual(refused, [
      { document: kind, code: 'publication.malformed', detail: refused[0]?.detail ?? '' },
    ]);
    const held = [state.release, state.revocations, state.timestamp].filter(Boolean);
    assert.equal(held.length, 2, kind);
  }
});

test('the bytes of the caller may be used again', () => {
  const day = firstDay();
  const state = accepted(blankReader(), day);
  for (const bytes of [day.release, day.revocations, day.timestamp, ...day.bundles.values()]) {
    bytes.fill(0);
  }
  const again = advance(state, firstDay(), NOW_MS);
  assert.equal(again.state, state);
});

test('a document of one kind is not taken as another', () => {
  const state = blankReader();
  const day = firstDay();
  refuses(state, { release: day.timestamp }, 'release payload_type');
  refuses(state, { revocations: day.release }, 'revocations payload_type');
  refuses(state, { timestamp: day.revocations }, 'timestamp payload_type');
  refuses(state, { roots: [day.release] }, 'root payload_type');
  refuses(state, { release: day.release, bundles: new Map([[1, day.revocations]]) }, [
    'bundle payload_type',
    'release missing_bundle',
  ]);
});

test('documents of another policy are refused, whoever signed them', () => {
  const state = blankReader();
  const policy = 'other';
  refuses(state, { release: makeRelease({ policy }) }, 'release other_policy');
  refuses(state, { revocations: makeRevocations({ policy }) }, 'revocations other_policy');
  refuses(state, { timestamp: makeTimestamp({ policy }) }, 'timestamp other_policy');
  const other = policyOf(1, { name: policy });
  const release = makeRelease({ current: named(other) });
  refuses(state, { release, bundles: bundlesOf([other]) }, [
    'bundle other_policy',
    'release missing_bundle',
  ]);
});

// Releases.

test('a newer release is taken with its candidate, and promoted later without fetching anything', () => {
  const candidate = { ...named(P2), share: 0 };
  const beside = accepted(reader(), {
    release: makeRelease({ number: 2, candidate }),
    bundles: bundlesOf([P2]),
  });
  assert.equal(beside.release?.candidate?.document.payload.policy.document.serial, 2);
  assert.equal(beside.highestSerial, 1);
  const promoted = accepted(beside, { release: makeRelease({ number: 3, current: named(P2) }) });
  assert.equal(promoted.release?.current.document.payload.policy.document.serial, 2);
  assert.equal(promoted.release?.candidate, undefined);
  assert.equal(promoted.highestSerial, 2);
});

test('a candidate may be given up', () => {
  const beside = accepted(reader(), {
    release: makeRelease({ number: 2, candidate: { ...named(P2), share: 50 } }),
    bundles: bundlesOf([P2]),
  });
  const back = accepted(beside, { release: makeRelease({ number: 3 }) });
  assert.equal(back.release?.candidate, undefined);
});

test('a release is not taken without its bundles, and says which', () => {
  const release = makeRelease({
    number: 2,
    current: named(P2),
    candidate: { ...named(P3), share: 1 },
  });
  const missing = (bundles: ReadonlyMap<number, Uint8Array>): readonly number[] => {
    const state = reader();
    const result = advance(state, { release, bundles }, NOW_MS);
    assert.equal(result.state, state);
    assert.deepEqual(refusals(result), ['release publication.missing_bundle']);
    return result.missingBundles;
  };
  assert.deepEqual(missing(new Map()), [2, 3]);
  assert.deepEqual(missing(bundlesOf([P2])), [3]);
  assert.deepEqual(missing(bundlesOf([P3])), [2]);
  assert.deepEqual(
    advance(reader(), { release, bundles: bundlesOf([P2, P3]) }, NOW_MS).refused,
    [],
  );
});

test('a bundle that does not hold is as good as none', () => {
  const release = makeRelease({ number: 2, current: named(P2) });
  const refusesBundle = (bytes: Uint8Array, code: string): void =>
    refuses(reader(), { release, bundles: new Map([[2, bytes]]) }, [
      `bundle ${code}`,
      'release missing_bundle',
    ]);
  refusesBundle(makeBundle(P2, ['alice']), 'threshold');
  refusesBundle(makeBundle(policyOf(2, { note: 'another' })), 'bundle_mismatch');
  refusesBundle(makeBundle(P3), 'bundle_mismatch');
  refusesBundle(seededBytes('junk', 64), 'malformed');
});

test('a bundle of the right digest is held to the serial that the release says', () => {
  const release = makeRelease({ number: 2, current: { ...named(P2), serial: 3 } });
  const bundles = new Map([[3, makeBundle(P2)]]);
  refuses(reader(), { release, bundles }, ['bundle bundle_mismatch', 'release missing_bundle']);
});

test('a policy that is not yet issued or not any more valid is not put in force', () => {
  const early = policyOf(2, { issued: '2026-06-15T12:01:01Z' });
  const onTime = policyOf(2, { issued: '2026-06-15T12:01:00Z' });
  const late = policyOf(2, { expires: '2026-06-15T12:00:00Z' });
  const inTime = policyOf(2, { expires: '2026-06-15T12:00:01Z' });
  const offer = (policy: typeof P2): Offered => ({
    release: makeRelease({ number: 2, current: named(policy) }),
    bundles: bundlesOf([policy]),
  });
  refuses(reader(), offer(early), ['bundle future', 'release missing_bundle']);
  refuses(reader(), offer(late), 'release expired');
  accepted(reader(), offer(onTime));
  accepted(reader(), offer(inTime));
});

test('a candidate that has expired refuses the release that names it', () => {
  const late = policyOf(2, { expires: '2026-06-15T12:00:00Z' });
  const release = makeRelease({ number: 2, candidate: { ...named(late), share: 0 } });
  refuses(reader(), { release, bundles: bundlesOf([late]) }, 'release expired');
});

test('serials in force never fall, a given-up candidate aside', () => {
  const second = accepted(reader(), {
    release: makeRelease({ number: 2, current: named(P2) }),
    bundles: bundlesOf([P2]),
  });
  const offered = { release: makeRelease({ number: 3 }), bundles: bundlesOf([policyOf(1)]) };
  refuses(second, offered, 'release rollback');
});

test('one serial is one policy', () => {
  const other = policyOf(1, { note: 'another' });
  const current = { release: makeRelease({ number: 2, current: named(other) }) };
  refuses(reader(), { ...current, bundles: bundlesOf([other]) }, 'release equivocation');
  const beside = accepted(reader(), {
    release: makeRelease({ number: 2, candidate: { ...named(P2), share: 0 } }),
    bundles: bundlesOf([P2]),
  });
  const promoted = policyOf(2, { note: 'not what was tried' });
  const offered = { release: makeRelease({ number: 3, current: named(promoted) }) };
  refuses(beside, { ...offered, bundles: bundlesOf([promoted]) }, 'release equivocation');
});

test('bundles that no release names are not read', () => {
  const bundles = new Map([[9, seededBytes('junk', 64)]]);
  refuses(reader(), { bundles }, []);
  const { refused } = advance(reader(), { release: makeRelease(), bundles }, NOW_MS);
  assert.deepEqual(refused, []);
});

// Numbers and dates.

const NEXT = {
  release: (number: number, issuedMs = NOW_MS) => makeRelease({ number, issuedMs }),
  revocations: (number: number, issuedMs = NOW_MS) => makeRevocations({ number, issuedMs }),
} as const;

for (const kind of ['release', 'revocations'] as const) {
  test(`${kind}: a number below is a roll-back, the same with another content equivocation`, () => {
    const state = accepted(reader(), { [kind]: NEXT[kind](5) });
    refuses(state, { [kind]: NEXT[kind](4) }, `${kind} rollback`);
    refuses(state, { [kind]: NEXT[kind](5, NOW_MS - SECOND_MS) }, `${kind} equivocation`);
    accepted(state, { [kind]: NEXT[kind](6) });
  });

  test(`${kind}: issued more than a minute ahead is refused`, () => {
    const future = NEXT[kind](2, NOW_MS + 61 * SECOND_MS);
    refuses(reader(), { [kind]: future }, `${kind} future`);
    accepted(reader(), { [kind]: NEXT[kind](2, NOW_MS + 60 * SECOND_MS) });
  });

  test(`${kind}: the same with other signatures takes the place of what is held`, () => {
    const by = ['alice', 'bob', 'carol'];
    const renewed = kind === 'release' ? makeRelease({}, by) : makeRevocations({}, by);
    const { state, accepted: events, refused } = advance(reader(), { [kind]: renewed }, NOW_MS);
    assert.deepEqual(refused, []);
    assert.deepEqual(events, [{ kind: 'renewed', document: kind }]);
    assert.equal(state[kind]?.document.signedBy.size, 3);
    const few = kind === 'release' ? makeRelease({}, ['alice']) : makeRevocations({}, []);
    refuses(reader(), { [kind]: few }, `${kind} threshold`);
  });
}

test('signatures of a bundle that is held may be renewed', () => {
  const bundles = bundlesOf([policyOf(1)], ['alice', 'bob', 'carol']);
  const { state, accepted: events } = advance(
    reader(),
    { release: makeRelease(), bundles },
    NOW_MS,
  );
  assert.deepEqual(events, [{ kind: 'renewed', document: 'release' }]);
  assert.equal(state.release?.current.document.signedBy.size, 3);
  const worse = bundlesOf([policyOf(1)], ['alice']);
  refuses(reader(), { release: makeRelease(), bundles: worse }, 'bundle threshold');
});

test('the newest date of issue is remembered, of policies too', () => {
  assert.equal(reader().newestIssuedMs, NOW_MS - 3_600_000);
  const policy = policyOf(2, { issued: '2026-06-15T12:00:30Z' });
  const state = accepted(reader(), {
    release: makeRelease({ number: 2, current: named(policy) }),
    bundles: bundlesOf([policy]),
  });
  assert.equal(state.newestIssuedMs, NOW_MS + 30 * SECOND_MS);
});

// Revocations.

const REVOKED = makeRevocations({ number: 2, entries: [entry('image', 'a'), entry('rule', 'b')] });

test('one person takes away', () => {
  const state = accepted(reader(), { revocations: REVOKED });
  assert.deepEqual(revocationSetOf(state).find('image', 'a'), entry('image', 'a'));
  assert.equal(revocationSetOf(reader()).find('image', 'a'), undefined);
  assert.equal(revocationSetOf(blankReader()).isEmpty, true);
});

test('giving back needs those who may give', () => {
  const state = accepted(reader(), { revocations: REVOKED });
  const less = { number: 3, entries: [entry('image', 'a')] };
  for (const by of [['carol'], ['alice', 'dave']]) {
    refuses(state, { revocations: makeRevocations(less, by) }, 'revocations revocation_withdrawn');
  }
  const given = accepted(state, { revocations: makeRevocations(less, ['alice', 'bob']) });
  assert.equal(revocationSetOf(given).find('rule', 'b'), undefined);
});

// Timestamps.

test('time rises', () => {
  const later = makeTimestamp({ timeMs: NOW_MS + SECOND_MS });
  const state = accepted(reader(), { timestamp: later });
  refuses(state, { timestamp: makeTimestamp() }, 'timestamp rollback');
  const sameTime = timestampOf({ timeMs: NOW_MS + SECOND_MS });
  const other = { ...sameTime, release: { ...sameTime.release, number: 2 } };
  refuses(state, { timestamp: makeTimestamp(other) }, 'timestamp rollback');
  accepted(state, { timestamp: makeTimestamp({ timeMs: NOW_MS + 2 * SECOND_MS }) });
});

test('a time more than a minute ahead is refused', () => {
  const at = (seconds: number) => makeTimestamp({ timeMs: NOW_MS + seconds * SECOND_MS });
  refuses(reader(), { timestamp: at(61) }, 'timestamp future');
  accepted(reader(), { timestamp: at(60) });
});

for (const kind of ['release', 'revocations'] as const) {
  test(`what a timestamp names of ${kind} neither goes back nor changes`, () => {
    const of = timestampOf()[kind];
    const at = (seconds: number, number: number, digest = of.digest) =>
      makeTimestamp({ timeMs: NOW_MS + seconds * SECOND_MS, [kind]: { number, digest } });
    const state = accepted(reader(), { timestamp: at(1, 3) });
    refuses(state, { timestamp: at(2, 2) }, 'timestamp rollback');
    refuses(state, { timestamp: at(2, 3, policyOf(1).digest) }, 'timestamp equivocation');
    accepted(state, { timestamp: at(2, 4, policyOf(1).digest) });
  });
}

test('a person cannot make timestamps, nor the online key anything else', () => {
  refuses(
    reader(),
    { timestamp: makeTimestamp({ timeMs: NOW_MS + SECOND_MS }, ['alice', 'bob']) },
    'timestamp threshold',
  );
  refuses(
    reader(),
    { release: makeRelease({ number: 2 }, ['server', 'alice']) },
    'release threshold',
  );
  refuses(
    reader(),
    { revocations: makeRevocations({ number: 2 }, ['server']) },
    'revocations threshold',
  );
});

// The root's own end.

test('nothing new is taken under an expired root, and what was there stays', () => {
  const state = reader();
  const later = NOW_MS + 366 * DAY_MS;
  refuses(state, { release: NEXT.release(2) }, 'release root_expired', later);
  refuses(state, { revocations: NEXT.revocations(2) }, 'revocations root_expired', later);
  refuses(state, { timestamp: makeTimestamp({ timeMs: later }) }, 'timestamp root_expired', later);
  refuses(state, firstDay(), [], later);
  const first = NOW_MS + 365 * DAY_MS;
  refuses(state, { revocations: NEXT.revocations(2) }, 'revocations root_expired', first);
  accepted(state, { revocations: NEXT.revocations(2) }, first - 1);
});

test('hostile bytes never throw', () => {
  const state = reader();
  for (let at = 0; at < 60; at++) {
    const junk = seededBytes(`hostile ${at}`, at * 7);
    const offered = { roots: [junk], release: junk, revocations: junk, timestamp: junk };
    const result = advance(state, { ...offered, bundles: new Map([[1, junk]]) }, NOW_MS);
    assert.equal(result.state, state);
    assert.equal(result.refused.length, 4);
  }
});

test('a clock that is none takes nothing', () => {
  for (const nowMs of [Number.NaN, Number.NEGATIVE_INFINITY]) {
    const { state } = advance(blankReader(), firstDay(), nowMs);
    assert.equal(state.release, undefined);
    assert.equal(state.timestamp, undefined);
    assert.equal(state.revocations, undefined);
  }
});
