/** Releases: what they must say, and who is in the share. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import {
  decodeRelease,
  encodeRelease,
  inCanary,
  type Release,
} from '../../../attestation/publication/release.ts';
import { fromUtf8, toHex, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { parseStrictJson, type Json } from '../../../core/json.ts';
import { named, policyOf, releaseOf } from '../../support/publication.ts';

const CANDIDATE = { ...named(policyOf(2)), share: 5 };
const SOUND = releaseOf({ candidate: CANDIDATE });

function json(text: string): Json {
  return parseStrictJson(utf8(text), { maxBytes: 65_536, numbers: 'integers' }).value;
}

test('a release comes out as it went in', () => {
  for (const release of [releaseOf(), SOUND]) {
    assert.deepEqual(decodeRelease(json(fromUtf8(encodeRelease(release)))), release);
  }
});

const SENSELESS: readonly (readonly [what: string, change: Partial<Release>])[] = [
  ['number 0', { number: 0 }],
  ['a number beyond the safe ones', { number: Number.MAX_SAFE_INTEGER + 1 }],
  ['serial 0', { current: { ...SOUND.current, serial: 0 } }],
  ['a candidate of the same serial', { candidate: { ...CANDIDATE, serial: 1 } }],
  ['a share of all', { candidate: { ...CANDIDATE, share: 100 } }],
  ['a share below none', { candidate: { ...CANDIDATE, share: -1 } }],
  ['a share in fractions', { candidate: { ...CANDIDATE, share: 0.5 } }],
];

for (const [what, change] of SENSELESS) {
  test(`no release: ${what}`, () => {
    assert.throws(
      () => encodeRelease({ ...SOUND, ...change }),
      (error) => hasCode(error, 'publication.malformed'),
    );
  });
}

test('no release: members missing, unknown or of another form', () => {
  const text = fromUtf8(encodeRelease(SOUND));
  const digest = toHex(SOUND.current.digest);
  for (const changed of [
    text.replace('release/1', 'release/2'),
    text.replace('{', '{"spare":1,'),
    text.replace('"share":5', '"share":5,"spare":1'),
    text.replace(/"candidate":\{[^}]*\},/, ''),
    text.replace(`sha256:${digest}`, digest),
    text.replace(digest, digest.toUpperCase()),
    text.replace(digest, digest.slice(2)),
    text.replace('"policy":"test"', '"policy":"Test"'),
  ]) {
    assert.notEqual(changed, text);
    assert.throws(
      () => decodeRelease(json(changed)),
      (error) => hasCode(error, 'publication.malformed'),
      changed,
    );
  }
});

test('who is in the share is written in the digests', () => {
  const digest = sha256(utf8('candidate'));
  const worker = sha256(utf8('worker'));
  const hash = sha256(utf8('veilgate.canary/1\0'), digest, worker);
  const draw = Number.parseInt(toHex(hash.subarray(0, 4)), 16) % 100;
  assert.equal(inCanary(digest, worker, draw), false);
  assert.equal(inCanary(digest, worker, draw + 1), true);
});

test('a share is about that part of the workers, and a larger one contains it', () => {
  const digest = sha256(utf8('candidate'));
  const workers = Array.from({ length: 2000 }, (_, at) => sha256(utf8(`worker ${at}`)));
  const members = (share: number) => workers.filter((worker) => inCanary(digest, worker, share));
  assert.equal(members(0).length, 0);
  assert.ok(Math.abs(members(20).length - 400) < 80, `${members(20).length}`);
  const larger = new Set(members(30));
  assert.ok(members(20).every((worker) => larger.has(worker)));
});

test('another candidate is another draw', () => {
  const workers = Array.from({ length: 200 }, (_, at) => sha256(utf8(`worker ${at}`)));
  const drawn = (candidate: string) =>
    workers.map((worker) => inCanary(sha256(utf8(candidate)), worker, 50));
  assert.notDeepEqual(drawn('a'), drawn('b'));
});

test('a share that no release can have is a mistake of ours', () => {
  const [digest, worker] = [sha256(utf8('candidate')), sha256(utf8('worker'))];
  for (const share of [-1, 100, 1.5, Number.NaN]) {
    assert.throws(() => inCanary(digest, worker, share));
  }
});
