/** Beginning again: the saved file is verified from the pinned root upwards, and nothing in it is believed otherwise. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advance } from '../../../attestation/publication/advance.ts';
import { freshness } from '../../../attestation/publication/freshness.ts';
import type { PublicationState } from '../../../attestation/publication/memory.ts';
import { openPublication } from '../../../attestation/publication/open.ts';
import { encodeState } from '../../../attestation/publication/saved-state.ts';
import { fromUtf8, toBase64, utf8 } from '../../../core/bytes.ts';
import { VeilError, hasCode } from '../../../core/errors.ts';
import { damage } from '../../support/changes.ts';
import {
  accepted,
  blankReader,
  bundlesOf,
  entry,
  makeBundle,
  makeRelease,
  makeRevocations,
  makeRoot,
  makeTimestamp,
  named,
  policyOf,
  reader,
  rootFields,
} from '../../support/publication.ts';
import { DAY_MS, NOW_MS } from '../../support/tdx/pki.ts';

const P2 = policyOf(2);
/** Two roots, a candidate, revocations. */
const FULL = accepted(reader(), {
  roots: [makeRoot({ version: 2 })],
  release: makeRelease({ number: 2, candidate: { ...named(P2), share: 5 } }),
  bundles: bundlesOf([P2]),
  revocations: makeRevocations({ number: 2, entries: [entry('image', 'a')] }),
});
const SAVED = encodeState(FULL);

function open(saved: Uint8Array, pinnedRoot = makeRoot(), nowMs = NOW_MS): PublicationState {
  return openPublication({ pinnedRoot, saved, nowMs });
}

function refuses(saved: Uint8Array, reason: string, pinnedRoot = makeRoot()): void {
  assert.throws(
    () => open(saved, pinnedRoot),
    (error) => {
      assert.ok(error instanceof VeilError);
      assert.equal(error.message, `publication.saved_state: ${reason}`);
      return true;
    },
  );
}

/** The saved file with one document exchanged. */
function exchanged(from: Uint8Array | undefined, to: Uint8Array, saved = SAVED): Uint8Array {
  assert.ok(from);
  const text = fromUtf8(saved);
  assert.ok(text.includes(toBase64(from)));
  return utf8(text.replace(toBase64(from), toBase64(to)));
}

test('a reader begins with what it is configured with', () => {
  const state = blankReader();
  assert.equal(state.root.payload.version, 1);
  assert.equal(state.release, undefined);
  assert.equal(state.highestSerial, 0);
  assert.equal(state.newestIssuedMs, rootFields().issuedMs);
});

test('everything survives a restart', () => {
  for (const state of [blankReader(), reader(), FULL]) {
    const again = open(encodeState(state));
    assert.deepEqual(encodeState(again), encodeState(state));
    assert.deepEqual(freshness(again, 60_000, NOW_MS), freshness(state, 60_000, NOW_MS));
    assert.equal(again.highestSerial, state.highestSerial);
    assert.equal(again.newestIssuedMs, state.newestIssuedMs);
  }
  const { policy } = open(SAVED).release?.candidate?.document.payload ?? {};
  assert.deepEqual(policy?.digest, P2.digest);
});

test('a pinned root that does not hold is named as such', () => {
  assert.throws(
    () => open(SAVED, makeRoot({}, ['alice'])),
    (error) => hasCode(error, 'publication.threshold'),
  );
});

test('a file that is none is refused', () => {
  for (const bytes of ['', '{}', 'null', fromUtf8(SAVED).replace('state/1', 'state/2')]) {
    refuses(utf8(bytes), 'publication.malformed');
  }
  refuses(utf8(fromUtf8(SAVED).replace('{', '{"spare":1,')), 'publication.malformed');
});

test('each document is verified again', () => {
  const { release, revocations, timestamp, roots } = FULL;
  refuses(
    exchanged(release?.bytes, makeRelease({ number: 9 }, ['alice'])),
    'publication.threshold',
  );
  refuses(
    exchanged(release?.current.bytes, makeBundle(policyOf(1), ['alice'])),
    'publication.threshold',
  );
  refuses(exchanged(release?.candidate?.bytes, makeBundle(P2, ['bob'])), 'publication.threshold');
  refuses(
    exchanged(revocations?.bytes, makeRevocations({ number: 9 }, ['dave'])),
    'publication.threshold',
  );
  refuses(
    exchanged(timestamp?.bytes, makeTimestamp({ timeMs: NOW_MS + 1000 }, ['alice'])),
    'publication.threshold',
  );
  refuses(exchanged(roots[1]?.bytes, makeRoot({ version: 2 }, ['alice'])), 'publication.threshold');
  refuses(exchanged(roots[1]?.bytes, makeRoot({ version: 3 })), 'publication.root_chain');
});

test('bundles are the ones that the release names', () => {
  const other = makeBundle(policyOf(1, { note: 'another' }));
  refuses(exchanged(FULL.release?.current.bytes, other), 'publication.bundle_mismatch');
  refuses(
    exchanged(FULL.release?.candidate?.bytes, makeBundle(policyOf(3))),
    'publication.bundle_mismatch',
  );
  refuses(
    exchanged(FULL.release?.bytes, makeRelease({ number: 2 })),
    'publication.bundle_mismatch',
  );
  const without = fromUtf8(SAVED).replace(/"candidate":"[^"]*"/, '"candidate":null');
  refuses(utf8(without), 'publication.bundle_mismatch');
});

test('another chain of roots is not continued', () => {
  refuses(SAVED, 'another chain of roots', makeRoot({ issuedMs: NOW_MS - 2 * DAY_MS }));
  const higher = makeRoot({ version: 2, issuedMs: NOW_MS - 2 * DAY_MS });
  refuses(SAVED, 'another chain of roots', higher);
});

test('a newer root of the same chain may be pinned, and one above it', () => {
  const fromSecond = open(SAVED, makeRoot({ version: 2 }));
  assert.equal(fromSecond.roots.length, 1);
  assert.equal(freshness(fromSecond, 60_000, NOW_MS).fresh, true);
  const above = open(SAVED, makeRoot({ version: 3 }));
  assert.equal(above.root.payload.version, 3);
  assert.equal(above.release?.document.payload.number, 2);
});

test('a root pinned above the chain has to support what was saved', () => {
  const { roles, keys } = rootFields();
  const pinned = makeRoot({
    version: 3,
    keys,
    roles: { ...roles, release: { threshold: 1, keys: ['dave'] } },
  });
  refuses(SAVED, 'publication.threshold', pinned);
});

test('documents of another policy do not come in by the file', () => {
  const foreign = exchanged(FULL.timestamp?.bytes, makeTimestamp({ policy: 'other' }));
  refuses(foreign, 'publication.other_policy');
});

test('what has expired since stays, and nothing new is taken', () => {
  const later = NOW_MS + 500 * DAY_MS;
  const state = open(SAVED, makeRoot(), later);
  assert.equal(state.release?.document.payload.number, 2);
  assert.equal(state.revocations?.set.find('image', 'a')?.value, 'a');
  assert.deepEqual(freshness(state, 60_000, later), { fresh: false, why: 'stale' });
  const offered = { revocations: makeRevocations({ number: 3, entries: [entry('image', 'a')] }) };
  const { refused } = advance(state, offered, later);
  assert.deepEqual(
    refused.map(({ code }) => code),
    ['publication.root_expired'],
  );
  const roots = [makeRoot({ version: 3, issuedMs: later - DAY_MS, expiresMs: later + DAY_MS })];
  assert.deepEqual(advance(state, { roots, ...offered }, later).refused, []);
});

test('a clock behind the newest date of issue stops a reader from starting', () => {
  const newest = FULL.newestIssuedMs;
  assert.doesNotThrow(() => open(SAVED, makeRoot(), newest - 60_000));
  for (const nowMs of [newest - 60_001, Number.NaN]) {
    assert.throws(
      () => open(SAVED, makeRoot(), nowMs),
      (error) => hasCode(error, 'publication.clock'),
    );
  }
});

test('the date is remembered apart from the document it stood in', () => {
  const policy = policyOf(2, { issued: '2026-06-15T12:00:50Z' });
  const beside = accepted(reader(), {
    release: makeRelease({ number: 2, candidate: { ...named(policy), share: 0 } }),
    bundles: bundlesOf([policy]),
  });
  const back = accepted(beside, { release: makeRelease({ number: 3 }) });
  const saved = encodeState(back);
  assert.throws(
    () => open(saved, makeRoot(), NOW_MS - 11_000),
    (error) => hasCode(error, 'publication.clock'),
  );
  assert.doesNotThrow(() => open(saved, makeRoot(), NOW_MS - 10_000));
});

test('what documents say themselves outweighs what the file says besides', () => {
  const text = fromUtf8(SAVED)
    .replace(/"highestSerial":\d+/, '"highestSerial":0')
    .replace(/"newestIssuedMs":\d+/, '"newestIssuedMs":0');
  assert.notEqual(text, fromUtf8(SAVED));
  const state = open(utf8(text));
  assert.equal(state.highestSerial, FULL.highestSerial);
  assert.equal(state.newestIssuedMs, FULL.newestIssuedMs);
});

test('an older copy of the file is genuine, and a newer timestamp shows it', () => {
  const old = encodeState(reader());
  const now = accepted(reader(), {
    revocations: makeRevocations({ number: 2, entries: [entry('key', 'ab'.repeat(32))] }),
  });
  const digest = now.revocations?.document.digest;
  assert.ok(digest);
  const timestamp = makeTimestamp({ timeMs: NOW_MS + 1000, revocations: { number: 2, digest } });
  const restored = accepted(open(old), { timestamp });
  assert.deepEqual(freshness(restored, 60_000, NOW_MS), { fresh: false, why: 'behind' });
  assert.equal(freshness(accepted(now, { timestamp }), 60_000, NOW_MS).fresh, true);
});

test('whether a first list was confirmed is remembered', () => {
  const revocations = makeRevocations({ number: 2 });
  const state = accepted(accepted(blankReader(), { revocations }), { timestamp: makeTimestamp() });
  assert.equal(open(encodeState(state)).revocations?.confirmed, false);
  assert.equal(open(SAVED).revocations?.confirmed, true);
});

test('a damaged file never opens as another state', () => {
  let opened = 0;
  for (let at = 0; at < 80; at++) {
    try {
      const state = open(damage(SAVED, `damage ${at}`));
      assert.equal(state.release?.document.payload.number, 2);
      opened++;
    } catch (error) {
      assert.ok(error instanceof VeilError && error.code.startsWith('publication.'), String(error));
    }
  }
  assert.ok(opened < 5, `${opened}`);
});
