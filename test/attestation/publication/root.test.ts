/** Roots: what they must say, and who may be the next. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { keyIdOf } from '../../../attestation/publication/envelope.ts';
import type { Role } from '../../../attestation/publication/kinds.ts';
import {
  decodeRoot,
  encodeRoot,
  openPinnedRoot,
  verifyNextRoot,
  type RootFields,
} from '../../../attestation/publication/root.ts';
import { assertVerified } from '../../../attestation/publication/verified.ts';
import { fixed, fromHex, fromUtf8, utf8, type Bytes } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { parseStrictJson, type Json } from '../../../core/json.ts';
import { makeRoot, publicKeyOf, rootFields, sign } from '../../support/publication.ts';
import { DAY_MS, NOW_MS } from '../../support/tdx/pki.ts';

function refuses(run: () => unknown, code: string, what = ''): void {
  assert.throws(run, (error) => hasCode(error, `publication.${code}`), what);
}

function withRole(role: Role, change: Partial<RootFields['roles'][Role]>): Partial<RootFields> {
  const { roles } = rootFields();
  return { roles: { ...roles, [role]: { ...roles[role], ...change } } };
}

function withKey(publicKey: Bytes<32>): Partial<RootFields> {
  return { keys: [...rootFields().keys, { name: 'eve', publicKey }] };
}

function json(text: string): Json {
  return parseStrictJson(utf8(text), { maxBytes: 65_536, numbers: 'integers' }).value;
}

test('a root comes out as it went in, with its keys by their ids', () => {
  const { payload } = openPinnedRoot(makeRoot());
  const { keys, roles, policy, version, issuedMs, expiresMs } = payload;
  assert.deepEqual({ keys, roles, policy, version, issuedMs, expiresMs }, rootFields());
  assert.deepEqual(payload.publicKeys.get(keyIdOf(publicKeyOf('bob'))), publicKeyOf('bob'));
  assert.deepEqual([...payload.signers.timestamp.keyids], [keyIdOf(publicKeyOf('server'))]);
});

const SENSELESS: readonly (readonly [what: string, change: Partial<RootFields>])[] = [
  ['version 0', { version: 0 }],
  ['a policy that is no name', { policy: 'Test' }],
  ['an end before the beginning', { expiresMs: NOW_MS - DAY_MS }],
  ['instants between seconds', { issuedMs: NOW_MS - 1 }],
  ['no keys', { keys: [] }],
  [
    'a name that stands twice',
    { keys: [...rootFields().keys, { name: 'bob', publicKey: publicKeyOf('eve') }] },
  ],
  ['one key with two names', withKey(publicKeyOf('bob'))],
  ['threshold 0', withRole('release', { threshold: 0 })],
  ['a threshold above the keys', withRole('release', { threshold: 4 })],
  ['a role without keys', withRole('policy', { keys: [] })],
  ['a role of an unknown key', withRole('policy', { keys: ['alice', 'bob', 'eve'] })],
  ['a key twice in a role', withRole('policy', { keys: ['alice', 'alice'] })],
  ['the online key in root', withRole('root', { keys: ['alice', 'bob', 'server'] })],
  ['the online key in policy', withRole('policy', { keys: ['alice', 'bob', 'server'] })],
  ['the online key in release', withRole('release', { keys: ['alice', 'bob', 'server'] })],
  ['the online key in revocation', withRole('revocation', { keys: ['server'] })],
  [
    'more keys than allowed',
    {
      keys: Array.from({ length: 65 }, (_, at) => ({
        name: `k${at}`,
        publicKey: publicKeyOf(`k${at}`),
      })),
    },
  ],
];

for (const [what, change] of SENSELESS) {
  test(`no root: ${what}`, () => refuses(() => encodeRoot(rootFields(change)), 'malformed'));
}

test('no root: members missing, unknown or of another form', () => {
  const text = fromUtf8(encodeRoot(rootFields()));
  const alice = text.match(/"ed25519":"([^"]+)","name":"alice"/)?.[1] ?? '';
  for (const changed of [
    text.replace('veilgate.root/1', 'veilgate.root/2'),
    text.replace('"version":1', '"version":"1"'),
    text.replace('{', '{"spare":1,'),
    text.replace('"threshold":1', '"threshold":1,"spare":1'),
    text.replace(/,"timestamp":\{[^}]*\}/, ''),
    text.replace('"timestamp":{', '"spare":{"keys":["alice"],"threshold":1},"timestamp":{'),
    text.replace(alice, `${alice}=`),
    text.replace(alice, alice.slice(1)),
    text.replace(/"expires":"[^"]*"/, '"expires":"2027-02-30T00:00:00Z"'),
    text.replace(/"expires":"[^"]*"/, '"expires":"2027-02-03T00:00:00+00:00"'),
  ]) {
    assert.notEqual(changed, text);
    refuses(() => decodeRoot(json(changed)), 'malformed', changed);
  }
});

/** The points of small order and the second forms that fit into 32 bytes. Spec: RFC 8032 §5.1.3. */
const WEAK_KEYS: Readonly<Record<string, string>> = {
  'order 1': `01${'00'.repeat(31)}`,
  'order 1 with a sign': `01${'00'.repeat(30)}80`,
  'order 2': `ec${'ff'.repeat(30)}7f`,
  'order 4': '00'.repeat(32),
  'order 4, negative': `${'00'.repeat(31)}80`,
  'order 8': '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'order 8, negative': '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85',
  'order 8, another': 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'order 8, another, negative': 'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa',
  'order 1 in a second form': `ee${'ff'.repeat(30)}7f`,
  'order 4 in a second form': `ed${'ff'.repeat(30)}7f`,
  'y = 3 in a second form': `f0${'ff'.repeat(30)}ff`,
};

for (const [what, hex] of Object.entries(WEAK_KEYS)) {
  test(`no root: a key of ${what}`, () =>
    refuses(() => encodeRoot(rootFields(withKey(fixed(fromHex(hex), 32)))), 'malformed'));
}

test('a pinned root has to be signed by itself', () => {
  assertVerified(openPinnedRoot(makeRoot()));
  refuses(() => openPinnedRoot(makeRoot({}, ['alice'])), 'threshold');
  refuses(() => openPinnedRoot(makeRoot({}, ['dave', 'server'])), 'threshold');
});

const ROOT_1 = openPinnedRoot(makeRoot());
/** Carol goes, Dave comes. */
const ROTATED: Partial<RootFields> = {
  version: 2,
  ...withRole('root', { keys: ['alice', 'bob', 'dave'] }),
};

test('the next root is signed by the one before and by itself', () => {
  assert.equal(verifyNextRoot(makeRoot(ROTATED), ROOT_1).payload.version, 2);
});

test('the keys of the root before are not enough', () => {
  const dave = withRole('root', { keys: ['dave', 'carol'] });
  refuses(() => verifyNextRoot(makeRoot({ version: 2, ...dave }), ROOT_1), 'threshold');
});

test('the keys of the new root are not enough', () => {
  refuses(() => verifyNextRoot(makeRoot(ROTATED, ['alice', 'dave']), ROOT_1), 'threshold');
});

test('each threshold is its own', () => {
  const three = withRole('root', { threshold: 3 });
  const raised = { version: 2, ...three };
  refuses(() => verifyNextRoot(makeRoot(raised), ROOT_1), 'threshold');
  const strict = openPinnedRoot(makeRoot(three, ['alice', 'bob', 'carol']));
  refuses(() => verifyNextRoot(makeRoot({ version: 2 }), strict), 'threshold');
  const all = ['alice', 'bob', 'carol'];
  assert.doesNotThrow(() => verifyNextRoot(makeRoot(raised, all), ROOT_1));
  assert.doesNotThrow(() => verifyNextRoot(makeRoot({ version: 2 }, all), strict));
});

test('a key that only the new root knows is judged by it', () => {
  const bytes = fromUtf8(makeRoot(ROTATED, ['alice', 'bob', 'dave']));
  const sigs = [...bytes.matchAll(/"sig": "([^"]+)"/g)].map(([, sig]) => sig ?? '');
  assert.doesNotThrow(() => verifyNextRoot(utf8(bytes), ROOT_1));
  const forged = bytes.replace(sigs[2] ?? '', sigs[0] ?? '');
  const { keys } = rootFields();
  const withoutDave = openPinnedRoot(
    makeRoot({ keys: keys.filter(({ name }) => name !== 'dave') }),
  );
  refuses(() => verifyNextRoot(utf8(forged), withoutDave), 'signature');
});

test('one version after the other', () => {
  for (const version of [1, 3, 4]) {
    refuses(() => verifyNextRoot(makeRoot({ version }), ROOT_1), 'root_chain', `${version}`);
  }
});

test('the policy never changes', () => {
  refuses(() => verifyNextRoot(makeRoot({ version: 2, policy: 'other' }), ROOT_1), 'other_policy');
});

test('an expired root has a successor all the same', () => {
  const times = { issuedMs: NOW_MS - 2 * DAY_MS, expiresMs: NOW_MS - DAY_MS };
  const old = openPinnedRoot(makeRoot(times));
  assert.equal(verifyNextRoot(makeRoot({ version: 2 }), old).payload.version, 2);
});

test('another document is no root', () => {
  const payload = sign('release', encodeRoot(rootFields()));
  refuses(() => openPinnedRoot(payload), 'payload_type');
  assert.equal(sha256(payload).length, 32);
});
