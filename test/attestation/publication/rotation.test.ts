/** New roots: who may bring one, and what becomes of all that older keys had signed. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { advance, type Offered } from '../../../attestation/publication/advance.ts';
import { addSignatures, parseEnvelope } from '../../../attestation/publication/envelope.ts';
import { freshness } from '../../../attestation/publication/freshness.ts';
import type { Role } from '../../../attestation/publication/kinds.ts';
import { ROOTS_MAX } from '../../../attestation/publication/limits.ts';
import { revocationSetOf, type PublicationState } from '../../../attestation/publication/memory.ts';
import { openPublication } from '../../../attestation/publication/open.ts';
import type { RootFields } from '../../../attestation/publication/root.ts';
import { encodeState } from '../../../attestation/publication/saved-state.ts';
import {
  accepted,
  blankReader,
  bundlesOf,
  entry,
  firstDay,
  makeRelease,
  makeRevocations,
  makeRoot,
  makeTimestamp,
  named,
  policyOf,
  publicKeyOf,
  reader,
  refusals,
  rootFields,
  secretKeyOf,
} from '../../support/publication.ts';
import { DAY_MS, NOW_MS } from '../../support/tdx/pki.ts';

const SECOND_MS = 1000;
const AGE_MS = 60_000;
const NEWCOMERS = ['erin', 'frank', 'grace'];

/** Root 2, in which newcomers have these roles; the others stay as they were. */
function rotated(
  roles: readonly Role[],
  more: Partial<RootFields> = {},
  by?: readonly string[],
): Uint8Array {
  const fields = rootFields();
  const keys = NEWCOMERS.map((name) => ({ name, publicKey: publicKeyOf(name) }));
  const replaced = roles.map((role) => [
    role,
    { ...fields.roles[role], keys: role === 'timestamp' ? ['server-2'] : NEWCOMERS },
  ]);
  const changed: Partial<RootFields> = {
    version: 2,
    keys: [...fields.keys, ...keys, { name: 'server-2', publicKey: publicKeyOf('server-2') }],
    roles: { ...fields.roles, ...Object.fromEntries(replaced) },
    ...more,
  };
  return makeRoot(changed, by);
}

function eventsOf(state: PublicationState, offered: Offered): readonly string[] {
  return advance(state, offered, NOW_MS).accepted.map((event) =>
    'document' in event ? `${event.kind} ${event.document}` : event.kind,
  );
}

function why(state: PublicationState): string {
  const answer = freshness(state, AGE_MS, NOW_MS);
  return answer.fresh ? 'fresh' : answer.why;
}

function reopened(state: PublicationState): PublicationState {
  const again = openPublication({
    pinnedRoot: makeRoot(),
    saved: encodeState(state),
    nowMs: NOW_MS,
  });
  assert.deepEqual(encodeState(again), encodeState(state));
  return again;
}

test('roots are climbed one by one, several at once', () => {
  const roots = [makeRoot(), makeRoot({ version: 2 }), makeRoot({ version: 3 })];
  const { state, accepted: events, refused } = advance(reader(), { roots }, NOW_MS);
  assert.deepEqual(refused, []);
  assert.deepEqual(events, [
    { kind: 'root', version: 2 },
    { kind: 'root', version: 3 },
  ]);
  assert.equal(state.root.payload.version, 3);
  assert.equal(why(reopened(state)), 'fresh');
});

test('a gap is not climbed over', () => {
  const result = advance(reader(), { roots: [makeRoot({ version: 3 })] }, NOW_MS);
  assert.deepEqual(refusals(result), ['root publication.root_chain']);
  assert.equal(result.state.root.payload.version, 1);
});

test('a root that is not signed by both is refused, and the one before stays', () => {
  const both = rotated(['root'], {}, ['alice', 'bob', 'erin', 'frank']);
  assert.deepEqual(eventsOf(reader(), { roots: [both] }), ['root']);
  const state = reader();
  for (const bytes of [
    makeRoot({ version: 2 }, ['alice']),
    makeRoot({ version: 2 }, ['dave', 'server']),
    rotated(['root'], {}, ['erin', 'frank']),
    rotated(['root'], {}, ['alice', 'bob']),
  ]) {
    const result = advance(state, { roots: [bytes] }, NOW_MS);
    assert.equal(result.state, state);
    assert.deepEqual(refusals(result), ['root publication.threshold']);
  }
});

test('a root of another policy, or from the future, is refused', () => {
  const offer = (more: Partial<RootFields>): readonly string[] =>
    refusals(advance(reader(), { roots: [makeRoot({ version: 2, ...more })] }, NOW_MS));
  assert.deepEqual(offer({ policy: 'other' }), ['root publication.other_policy']);
  assert.deepEqual(offer({ issuedMs: NOW_MS + 61 * SECOND_MS }), ['root publication.future']);
  assert.deepEqual(offer({ issuedMs: NOW_MS + 60 * SECOND_MS }), []);
});

test('expired roots are climbed over', () => {
  const late = NOW_MS + 400 * DAY_MS;
  const roots = [
    makeRoot({ version: 2 }),
    makeRoot({ version: 3, issuedMs: late - DAY_MS, expiresMs: late + DAY_MS }),
  ];
  const policy = policyOf(2, { issued: '2027-07-01T00:00:00Z', expires: '2027-08-01T00:00:00Z' });
  const offered = {
    roots,
    release: makeRelease({ issuedMs: late, current: named(policy) }),
    bundles: bundlesOf([policy]),
  };
  const { state, refused } = advance(blankReader(), offered, late);
  assert.deepEqual(refused, []);
  assert.equal(state.release?.document.payload.number, 1);
});

test('a chain has an end: past it a newer root has to be pinned', () => {
  const roots = Array.from({ length: ROOTS_MAX }, (_, at) => makeRoot({ version: at + 2 }));
  const result = advance(blankReader(), { roots }, NOW_MS);
  assert.deepEqual(refusals(result), ['root publication.root_chain']);
  assert.equal(result.state.roots.length, ROOTS_MAX);
  assert.equal(reopened(result.state).root.payload.version, ROOTS_MAX);
});

test('the date of a root is remembered', () => {
  const state = accepted(reader(), { roots: [makeRoot({ version: 2, issuedMs: NOW_MS })] });
  assert.equal(state.newestIssuedMs, NOW_MS);
});

test('two roots of one version are equivocation where both are signed', () => {
  const state = accepted(reader(), { roots: [makeRoot({ version: 2 })] });
  const offer = (bytes: Uint8Array): readonly string[] => {
    const result = advance(state, { roots: [bytes] }, NOW_MS);
    assert.equal(result.state, state);
    return refusals(result);
  };
  const other = { version: 2, issuedMs: NOW_MS };
  assert.deepEqual(offer(makeRoot(other)), ['root publication.equivocation']);
  assert.deepEqual(offer(makeRoot(other, ['alice'])), ['root publication.threshold']);
  assert.deepEqual(offer(makeRoot({ version: 1, issuedMs: NOW_MS })), [
    'root publication.rollback',
  ]);
});

test('a rotation that touches none of the signers changes nothing else', () => {
  const roots = [makeRoot({ version: 2 })];
  assert.deepEqual(eventsOf(reader(), { roots }), ['root']);
  assert.equal(why(accepted(reader(), { roots })), 'fresh');
});

test('a release whose keys are gone is not in force any more', () => {
  const roots = [rotated(['release'])];
  assert.deepEqual(eventsOf(reader(), { roots }), ['root', 'retired release']);
  const state = accepted(reader(), { roots });
  assert.equal(state.release, undefined);
  assert.equal(why(reopened(state)), 'behind');
});

test('nor is one whose policy lost its signers', () => {
  const roots = [rotated(['policy'])];
  assert.deepEqual(eventsOf(reader(), { roots }), ['root', 'retired release']);
  const beside = accepted(reader(), {
    release: makeRelease({ number: 2, candidate: { ...named(policyOf(2)), share: 0 } }, [
      'alice',
      'bob',
    ]),
    bundles: new Map([[2, firstOf(bundlesOf([policyOf(2)], ['bob', 'carol']))]]),
  });
  const { roles } = rootFields();
  const withoutCarol = makeRoot({
    version: 2,
    roles: { ...roles, policy: { threshold: 2, keys: ['alice', 'bob'] } },
  });
  // The candidate's: current was signed by Alice and Bob.
  assert.deepEqual(eventsOf(beside, { roots: [withoutCarol] }), ['root', 'retired release']);
});

function firstOf(bundles: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const [first] = bundles.values();
  assert.ok(first);
  return first;
}

test('a timestamp whose key is gone says nothing any more', () => {
  const roots = [rotated(['timestamp'])];
  assert.deepEqual(eventsOf(reader(), { roots }), ['root', 'retired timestamp']);
  const state = accepted(reader(), { roots });
  assert.equal(why(state), 'no_timestamp');
  assert.deepEqual(refusals(advance(state, { timestamp: makeTimestamp() }, NOW_MS)), [
    'timestamp publication.threshold',
  ]);
  assert.equal(why(accepted(state, { timestamp: makeTimestamp({}, ['server-2']) })), 'fresh');
});

const REVOKED = { number: 2, entries: [entry('image', 'a')] };

function afterLostRevocations(): PublicationState {
  const before = accepted(reader(), { revocations: makeRevocations(REVOKED) });
  const roots = [rotated(['revocation'])];
  assert.deepEqual(eventsOf(before, { roots }), ['root', 'retired revocations']);
  return reopened(accepted(before, { roots }));
}

test('a list whose key is gone goes on taking away, and is not fresh', () => {
  const state = afterLostRevocations();
  assert.deepEqual(revocationSetOf(state).find('image', 'a'), entry('image', 'a'));
  assert.equal(state.revocations?.supported, false);
  assert.equal(why(state), 'behind');
});

test('withdrawing from such a list needs those who may give', () => {
  const state = afterLostRevocations();
  const empty = makeRevocations({ number: 3 }, ['erin']);
  assert.deepEqual(refusals(advance(state, { revocations: empty }, NOW_MS)), [
    'revocations publication.revocation_withdrawn',
  ]);
  accepted(state, { revocations: makeRevocations({ number: 3 }, ['erin', 'alice', 'bob']) });
});

test('its number binds nobody: a thief cannot use numbers up', () => {
  const stolen = { number: Number.MAX_SAFE_INTEGER, entries: [entry('image', 'a')] };
  const robbed = accepted(reader(), { revocations: makeRevocations(stolen) });
  const roots = [rotated(['revocation'])];
  const revocations = makeRevocations({ ...REVOKED, number: 3 }, ['erin']);
  const state = accepted(robbed, { roots, revocations });
  assert.equal(state.revocations?.document.payload.number, 3);
});

test('nor do the numbers that a timestamp named under the root before', () => {
  const digest = sha256(new Uint8Array());
  const named = makeTimestamp({
    timeMs: NOW_MS + SECOND_MS,
    revocations: { number: Number.MAX_SAFE_INTEGER, digest },
  });
  const robbed = accepted(reader(), { timestamp: named });
  const next = makeTimestamp({ timeMs: NOW_MS + 2 * SECOND_MS });
  assert.deepEqual(refusals(advance(robbed, { timestamp: next }, NOW_MS)), [
    'timestamp publication.rollback',
  ]);
  const state = reopened(accepted(robbed, { roots: [makeRoot({ version: 2 })] }));
  assert.equal(why(accepted(state, { timestamp: next })), 'fresh');
});

test('but time goes on rising', () => {
  const later = makeTimestamp({ timeMs: NOW_MS + SECOND_MS });
  const roots = [makeRoot({ version: 2 })];
  const state = accepted(accepted(reader(), { timestamp: later }), { roots });
  const { refused } = advance(state, { timestamp: makeTimestamp({}, ['server']) }, NOW_MS);
  assert.equal(refused[0]?.code, 'publication.rollback');
});

test('signatures of new keys, added before, carry everything over without an interruption', () => {
  const added = (bytes: Uint8Array, ...names: readonly string[]): Uint8Array =>
    addSignatures(bytes, names.map(secretKeyOf));
  const day = firstDay();
  const resigned = {
    release: added(day.release, 'erin', 'frank'),
    bundles: new Map([[1, added(firstOf(day.bundles), 'erin', 'frank')]]),
    revocations: added(day.revocations, 'erin'),
  };
  const before = accepted(reader(), resigned);
  const roots = [rotated(['policy', 'release', 'revocation'])];
  const result = advance(before, { roots }, NOW_MS);
  assert.deepEqual(result.accepted, [{ kind: 'root', version: 2 }]);
  assert.equal(why(result.state), 'fresh');
  // And a reader that had not fetched them gets everything in one step.
  const late = accepted(reader(), { roots, ...resigned, timestamp: makeTimestamp() });
  assert.equal(why(late), 'fresh');
});

test('the highest serial outlives the release', () => {
  const second = accepted(reader(), {
    release: makeRelease({ number: 2, current: named(policyOf(2)) }),
    bundles: bundlesOf([policyOf(2)]),
  });
  const state = reopened(accepted(second, { roots: [rotated(['release'])] }));
  assert.equal(state.highestSerial, 2);
  const release = makeRelease({ number: 3 }, ['erin', 'frank']);
  const { refused } = advance(state, { release, bundles: bundlesOf([policyOf(1)]) }, NOW_MS);
  assert.deepEqual(
    refused.map(({ code }) => code),
    ['publication.rollback'],
  );
});

test('an envelope says who signed under the keys that are known', () => {
  const bytes = makeRelease({}, ['alice', 'bob', 'erin']);
  assert.equal(parseEnvelope(bytes, 'release').signatures.length, 3);
  const before = accepted(reader(), { release: bytes });
  assert.equal(before.release?.document.signedBy.size, 2);
  const after = accepted(before, { roots: [rotated([])] });
  assert.equal(after.release?.document.signedBy.size, 3);
});
