/** From an envelope to something that may be used: keys, thresholds, one content one text, one policy. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keyIdOf, parseEnvelope, signEnvelope } from '../../../attestation/publication/envelope.ts';
import { RELEASE, encodeRelease, type Release } from '../../../attestation/publication/release.ts';
import { RevocationSet } from '../../../attestation/publication/revocation-set.ts';
import { openPinnedRoot, type Root } from '../../../attestation/publication/root.ts';
import {
  assertVerified,
  hasSigned,
  verifyDocument,
  type Verified,
} from '../../../attestation/publication/verified.ts';
import { concat, fixed, fromUtf8, toHex, utf8 } from '../../../core/bytes.ts';
import { VeilError, hasCode } from '../../../core/errors.ts';
import { canonicalJson } from '../../../core/json.ts';
import { flipBit } from '../../support/changes.ts';
import {
  makeRelease,
  makeRoot,
  publicKeyOf,
  releaseOf,
  revocationsOf,
  rootFields,
  secretKeyOf,
  sign,
} from '../../support/publication.ts';

const ROOT_1 = openPinnedRoot(makeRoot());

function verify(bytes: Uint8Array, root: Verified<Root> = ROOT_1): Verified<Release> {
  return verifyDocument(parseEnvelope(bytes, 'release'), root, RELEASE);
}

function refuses(bytes: Uint8Array, code: string, root: Verified<Root> = ROOT_1): VeilError {
  let refused: unknown;
  assert.throws(
    () => verify(bytes, root),
    (error) => {
      refused = error;
      return hasCode(error, `publication.${code}`);
    },
  );
  assert.ok(refused instanceof VeilError);
  return refused;
}

/** The envelope with one signature exchanged for another of the same length. */
function withSignature(bytes: Uint8Array, at: number, from: Uint8Array): Uint8Array {
  const [own, other] = [bytes, from].map((one) => [...fromUtf8(one).matchAll(/"sig": "([^"]+)"/g)]);
  const [mine, theirs] = [own?.[at]?.[1] ?? '', other?.[at]?.[1] ?? ''];
  assert.notEqual(mine, theirs);
  return utf8(fromUtf8(bytes).replace(mine, theirs));
}

test('a document that its role has signed is verified, and says who signed', () => {
  const { payload, signedBy } = verify(makeRelease({}, ['alice', 'bob', 'carol']));
  assert.deepEqual(payload, releaseOf());
  assert.equal(signedBy.size, 3);
});

test('as many keys of the role as the threshold says have to sign', () => {
  assert.doesNotThrow(() => verify(makeRelease({}, ['carol', 'alice'])));
  refuses(makeRelease({}, ['carol']), 'threshold');
  refuses(makeRelease({}, []), 'threshold');
});

test('keys of the root outside the role do not count', () => {
  refuses(makeRelease({}, ['alice', 'dave']), 'threshold');
  refuses(makeRelease({}, ['alice', 'server']), 'threshold');
});

test('unknown keys do not count and are no fault', () => {
  refuses(makeRelease({}, ['alice', 'mallory', 'trudy']), 'threshold');
  assert.doesNotThrow(() => verify(makeRelease({}, ['mallory', 'alice', 'bob'])));
});

test('a known key with a wrong signature refuses the whole, even where the others would do', () => {
  const bytes = makeRelease({}, ['alice', 'bob', 'carol']);
  const other = makeRelease({ number: 2 }, ['alice', 'bob', 'carol']);
  for (const at of [0, 1, 2]) refuses(withSignature(bytes, at, other), 'signature');
});

test('so does one of a known key that is not of the role', () => {
  const bytes = makeRelease({}, ['alice', 'bob', 'dave']);
  const other = makeRelease({ number: 2 }, ['alice', 'bob', 'dave']);
  refuses(withSignature(bytes, 2, other), 'signature');
});

test('a wrong signature of an unknown key is as good as a right one', () => {
  const bytes = makeRelease({}, ['alice', 'bob', 'mallory']);
  const other = makeRelease({ number: 2 }, ['alice', 'bob', 'mallory']);
  assert.doesNotThrow(() => verify(withSignature(bytes, 2, other)));
});

test('one signature under two keyids counts once at most', () => {
  const bytes = fromUtf8(makeRelease({}, ['alice', 'bob']));
  const [alice = '', bob = ''] = [...bytes.matchAll(/"sig": "([^"]+)"/g)].map(
    ([, sig]) => sig ?? '',
  );
  refuses(utf8(bytes.replace(bob, alice)), 'signature');
});

test('a key that is no point of the curve verifies nothing and breaks nothing', () => {
  const noPoint = fixed(Uint8Array.of(2, ...new Uint8Array(31)), 32);
  const keys = [...rootFields().keys, { name: 'eve', publicKey: noPoint }];
  const root = openPinnedRoot(makeRoot({ keys }));
  const bytes = makeRelease({}, ['alice', 'bob', 'mallory']);
  const claimed = fromUtf8(bytes).replace(keyIdOf(publicKeyOf('mallory')), keyIdOf(noPoint));
  refuses(utf8(claimed), 'signature', root);
});

test('the payload is the one canonical text of its content', () => {
  const canonical = fromUtf8(encodeRelease(releaseOf()));
  const cases: readonly (readonly [what: string, text: string])[] = [
    ['a space', canonical.replace(':', ': ')],
    ['a new line at the end', `${canonical}\n`],
    ['another order of members', canonical.replace(/^\{(.*),("policy":"test")\}$/, '{$2,$1}')],
    ['an escaped letter', canonical.replace('"test"', '"\\u0074est"')],
    ['an escaped slash', canonical.replace('release/1', 'release\\/1')],
    ['minus zero', canonical.replace('"number":1', '"number":-0')],
  ];
  for (const [what, text] of cases) {
    assert.notEqual(text, canonical, what);
    refuses(sign('release', utf8(text)), 'not_canonical');
  }
});

test('payloads that are no strict JSON are malformed', () => {
  const canonical = encodeRelease(releaseOf());
  const text = fromUtf8(canonical);
  for (const payload of [
    utf8(''),
    concat(utf8('\uFEFF'), canonical),
    concat(canonical, canonical),
    utf8(text.replace('{', '{"number":1,')),
    utf8(text.replace('"number":1', '"number":1.0')),
    utf8(text.replace('"number":1', '"number":1e0')),
    utf8(text.replace('"number":1', '"number":9007199254740992')),
    utf8(text.replace('test', '\\ud800')),
    concat(utf8('{"a":"'), Uint8Array.of(0xff), utf8('"}')),
    utf8('['.repeat(40) + ']'.repeat(40)),
  ]) {
    refuses(sign('release', payload), 'malformed');
  }
});

test('a member that schemas pass over is malformed at any depth', () => {
  const text = fromUtf8(encodeRelease(releaseOf()));
  const top = text.replace('{', '{"__proto__":{},');
  const inner = text.replace('"current":{', '"current":{"__proto__":1,');
  for (const payload of [top, inner]) refuses(sign('release', utf8(payload)), 'malformed');
});

test('another document under the same kind is malformed', () => {
  const payload = utf8(canonicalJson({ format: 'veilgate.release/2' }));
  refuses(sign('release', payload), 'malformed');
});

test('nothing signed for one policy counts for another', () => {
  refuses(makeRelease({ policy: 'other' }), 'other_policy');
});

test('signatures come before the payload: who cannot sign is not told what is wrong with it', () => {
  refuses(sign('release', utf8('nonsense'), ['alice']), 'threshold');
});

test('a signature for one kind does not hold for another', () => {
  const payload = encodeRelease(releaseOf());
  const asBundle = signEnvelope('bundle', payload, ['alice', 'bob'].map(secretKeyOf));
  const relabelled = fromUtf8(asBundle).replace('veilgate.bundle', 'veilgate.release');
  refuses(utf8(relabelled), 'signature');
});

test('no document is used that nothing verified', () => {
  const sound = verify(makeRelease());
  const forged = { ...sound };
  const broken = (run: () => unknown): void =>
    assert.throws(run, (error) => hasCode(error, 'internal.invariant'));
  assert.doesNotThrow(() => assertVerified(sound));
  broken(() => assertVerified(forged));
  broken(() => verify(makeRelease(), { ...ROOT_1 }));
  broken(() => hasSigned(forged, ROOT_1, 'release'));
  broken(() => hasSigned(sound, { ...ROOT_1 }, 'release'));
  broken(() => RevocationSet.of({ ...sound, payload: revocationsOf() }));
});

test('what was verified cannot be changed', () => {
  const { payload } = verify(makeRelease());
  assert.throws(() => Object.assign(payload, { number: 2 }), TypeError);
});

/** Short, so that every byte can be tried. */
const SMALL_ENVELOPE = makeRelease();

test('every flipped bit of an envelope is refused', () => {
  for (let at = 0; at < SMALL_ENVELOPE.length; at++) {
    for (const bit of [0, 1, 5, 7]) {
      assert.throws(
        () => verify(flipBit(SMALL_ENVELOPE, at, bit)),
        (error) => error instanceof VeilError && error.code.startsWith('publication.'),
        `byte ${at}, bit ${bit}`,
      );
    }
  }
});

test('of an unknown key, a flipped bit is harmless', () => {
  const bytes = makeRelease({}, ['alice', 'bob', 'mallory']);
  const text = fromUtf8(bytes);
  const start = text.lastIndexOf('"sig": "') + '"sig": "'.length;
  const digest = toHex(verify(bytes).digest);
  for (let at = start; at < start + 80; at++) {
    const changed = utf8(text.slice(0, at) + (text[at] === 'A' ? 'B' : 'A') + text.slice(at + 1));
    assert.equal(toHex(verify(changed).digest), digest);
  }
});

test('every truncation is refused', () => {
  for (let size = 0; size < SMALL_ENVELOPE.length - 1; size++) {
    assert.throws(
      () => verify(SMALL_ENVELOPE.subarray(0, size)),
      (error) => hasCode(error, 'publication.malformed'),
      `${size}`,
    );
  }
});
