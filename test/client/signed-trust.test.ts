/** What is in force before it is saved, and offline whatever is shown: what takes away, and nothing that gives. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { BUNDLE } from '../../attestation/publication/bundle.ts';
import { parseEnvelope } from '../../attestation/publication/envelope.ts';
import { hold } from '../../attestation/publication/memory.ts';
import { fromUtf8 } from '../../core/bytes.ts';
import { ClientMemory } from '../../client/policy-memory.ts';
import { SignedTrust } from '../../client/signed-trust.ts';
import type { Trust } from '../../client/trust.ts';
import { plainUrlOf } from '../../client/documents.ts';
import {
  bundlesOf,
  entry,
  makeBundle,
  makeRelease,
  makeRevocations,
  makeRoot,
  makeTimestamp,
  named,
  policyOf,
  POLICY_NAME,
  reader,
} from '../support/publication.ts';
import { NOW_MS } from '../support/tdx/pki.ts';

const HERE = new AbortController().signal;
const NOTHING = (): Promise<undefined> => Promise.resolve(undefined);
const CLOCK = (): number => NOW_MS;
const LIST = makeRevocations({ number: 2, entries: [entry('rule', 'a')] });
const CANDIDATE = { ...named(policyOf(2)), share: 50 };

/** Release 1 with policy 2 beside it. */
function withCandidate() {
  const release = makeRelease({ number: 2, candidate: CANDIDATE });
  return reader({ release, bundles: bundlesOf([policyOf(2)]) });
}

const PROMOTED = makeRelease({ number: 3, current: named(policyOf(2)) });

function json(bytes: Uint8Array): unknown {
  return JSON.parse(fromUtf8(bytes));
}

function digestOf(bytes: Uint8Array, kind: 'release' | 'revocations') {
  return sha256(parseEnvelope(bytes, kind).payload);
}

function serialOf({ policy }: Trust): number {
  return policy.document.serial;
}

function isRevoked({ revocations }: Trust, value: string): boolean {
  return 'list' in revocations && revocations.list.find('rule', value) !== undefined;
}

test('on a full disk what gives is not in force, and what takes away is', async () => {
  const store = { load: NOTHING, save: () => Promise.reject(new Error('full')) };
  const memory = new ClientMemory(store, { pinnedRoot: makeRoot(), policy: POLICY_NAME });
  const trust = new SignedTrust({ clock: CLOCK, state: withCandidate(), memory, mode: 'online' });
  const timestamp = makeTimestamp({
    timeMs: NOW_MS + 1000,
    release: { number: 3, digest: digestOf(PROMOTED, 'release') },
    revocations: { number: 2, digest: digestOf(LIST, 'revocations') },
  });
  const staple = {
    root: 1,
    release: json(PROMOTED),
    revocations: json(LIST),
    timestamp: json(timestamp),
  };
  await assert.rejects(trust.update({ staple, documents: NOTHING }, HERE), {
    code: 'client.policy_memory',
  });
  const now = trust.current(NOW_MS);
  assert.equal(serialOf(now), 1);
  assert.ok(isRevoked(now, 'a'));
});

test('offline a gateway may take away, and does not promote a candidate', async () => {
  const trust = new SignedTrust({ clock: CLOCK, state: withCandidate(), mode: 'offline' });
  const staple = { root: 1, release: json(PROMOTED), revocations: json(LIST) };
  await trust.update({ staple, documents: NOTHING }, HERE);
  const now = trust.current(NOW_MS);
  assert.equal(serialOf(now), 1);
  assert.ok(isRevoked(now, 'a'));
});

test('a bundle that was given for offline use has no candidate of a release beside it', () => {
  const state = withCandidate();
  const unreleased = hold(makeBundle(policyOf(3)), state.root, BUNDLE);
  const trust = new SignedTrust({ clock: CLOCK, state, mode: 'offline', unreleased });
  const { policy, candidate } = trust.current(NOW_MS);
  assert.equal(policy, unreleased.document.payload.policy);
  assert.equal(candidate, undefined);
});

test('documents come in the clear from this machine alone', () => {
  assert.throws(() => plainUrlOf('http://policies.example.org/p', 'x'), {
    code: 'client.insecure_url',
  });
  assert.throws(() => plainUrlOf('http://127.0.0.1.example.org/p', 'x'), {
    code: 'client.insecure_url',
  });
  assert.equal(plainUrlOf('http://127.0.0.1:8787/p/', 'x'), 'http://127.0.0.1:8787/p');
});

test('a URL with more in it than a place is refused, not cut down in silence', () => {
  for (const more of [
    'https://me@a.test/',
    'https://:pw@a.test/',
    'https://a.test/?x',
    'https://a.test/#x',
  ]) {
    assert.throws(() => plainUrlOf(more, 'x'), { code: 'client.option' });
  }
});
