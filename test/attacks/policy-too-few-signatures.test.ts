/**
 * B2: one person, or whoever stole one key, puts a policy in force, gives back what was revoked or brings a new root; with
 * too few signatures, one signature in several guises, signatures of other documents, keys of other roles. Spec:
 * docs/publication.md §1, §2.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { advance, type Offered } from '../../attestation/publication/advance.ts';
import { keyIdOf } from '../../attestation/publication/envelope.ts';
import { freshness } from '../../attestation/publication/freshness.ts';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
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
  publicKeyOf,
  reader,
  refusals,
  rootFields,
} from '../support/publication.ts';
import { NOW_MS } from '../support/tdx/pki.ts';

const P2 = policyOf(2);
const RELEASE = { number: 2, current: named(P2) };

function refuses(offered: Offered, ...want: readonly string[]): void {
  const state = reader();
  const result = advance(state, offered, NOW_MS);
  assert.deepEqual(refusals(result), want);
  assert.equal(result.state, state);
}

function sigsOf(bytes: Uint8Array): readonly string[] {
  return [...fromUtf8(bytes).matchAll(/"sig": "([^"]+)"/g)].map(([, sig]) => sig ?? '');
}

test('B2: one of two does not publish', () => {
  for (const name of ['alice', 'bob', 'carol', 'dave', 'server', 'mallory']) {
    const bundles = bundlesOf([P2]);
    refuses({ release: makeRelease(RELEASE, [name]), bundles }, 'release publication.threshold');
    const lone = new Map([[2, makeBundle(P2, [name])]]);
    refuses(
      { release: makeRelease(RELEASE), bundles: lone },
      'bundle publication.threshold',
      'release publication.missing_bundle',
    );
  }
});

test('B2: nobody at all does not publish', () => {
  refuses({ release: makeRelease(RELEASE, []) }, 'release publication.threshold');
  refuses({ roots: [makeRoot({ version: 2 }, [])] }, 'root publication.threshold');
});

test('B2: one key does not sign twice', () => {
  const bytes = fromUtf8(makeRelease(RELEASE, ['alice', 'bob']));
  const [alice = '', bob = ''] = sigsOf(utf8(bytes));
  const asBob = bytes.replace(bob, alice);
  refuses({ release: utf8(asBob) }, 'release publication.signature');
  const twice = asBob.replace(keyIdOf(publicKeyOf('bob')), keyIdOf(publicKeyOf('alice')));
  refuses({ release: utf8(twice) }, 'release publication.duplicate_key');
  const upper = asBob.replace(
    keyIdOf(publicKeyOf('bob')),
    keyIdOf(publicKeyOf('alice')).toUpperCase(),
  );
  refuses({ release: utf8(upper) }, 'release publication.malformed');
  const unknown = asBob.replace(keyIdOf(publicKeyOf('bob')), 'ab'.repeat(32));
  refuses({ release: utf8(unknown) }, 'release publication.threshold');
});

test('B2: the signature of another document, or of another kind, does not count', () => {
  const mine = fromUtf8(makeRelease(RELEASE, ['alice', 'bob']));
  const [, bob = ''] = sigsOf(utf8(mine));
  for (const other of [
    makeRelease({ number: 3 }, ['alice', 'bob']),
    makeBundle(P2, ['alice', 'bob']),
    makeRoot({}, ['alice', 'bob']),
  ]) {
    const borrowed = mine.replace(bob, sigsOf(other)[1] ?? '');
    refuses({ release: utf8(borrowed) }, 'release publication.signature');
  }
});

test('B2: one key does not bring a root that makes it enough', () => {
  const { roles } = rootFields();
  const mine = { threshold: 1, keys: ['alice'] };
  const taken = { ...roles, root: mine, policy: mine, release: mine };
  refuses(
    { roots: [makeRoot({ version: 2, roles: taken }, ['alice'])] },
    'root publication.threshold',
  );
});

test('B2: who may take away cannot give back to a reader that remembers', () => {
  const entries = [entry('image', 'bad')];
  const state = accepted(reader(), { revocations: makeRevocations({ number: 2, entries }) });
  for (const by of [['carol'], ['carol', 'dave'], ['carol', 'server']]) {
    const result = advance(state, { revocations: makeRevocations({ number: 3 }, by) }, NOW_MS);
    assert.deepEqual(refusals(result), ['revocations publication.revocation_withdrawn']);
  }
});

test('B2: nor, with the files in hand, to one that begins today', () => {
  const bad = { number: 2, entries: [entry('image', 'bad')] };
  const { state } = advance(reader(), { revocations: makeRevocations(bad) }, NOW_MS);
  assert.ok(state.revocations);
  const timestamp = makeTimestamp({
    revocations: { number: 2, digest: state.revocations.document.digest },
  });
  const empty = makeRevocations({ number: 3 }, ['carol']);
  const offered = { ...firstDay(), revocations: empty, timestamp };
  const misled = accepted(blankReader(), offered);
  assert.deepEqual(freshness(misled, 60_000, NOW_MS), { fresh: false, why: 'unconfirmed' });
  const healed = accepted(misled, { revocations: makeRevocations(bad) });
  assert.equal(freshness(healed, 60_000, NOW_MS).fresh, true);
});

test('B2: the online key alone changes nothing but its own word', () => {
  const by = ['server'];
  refuses({ release: makeRelease(RELEASE, by) }, 'release publication.threshold');
  refuses({ revocations: makeRevocations({ number: 2 }, by) }, 'revocations publication.threshold');
  refuses({ roots: [makeRoot({ version: 2 }, by)] }, 'root publication.threshold');
});
