/** What must not be undone, and that it is remembered. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Floors, isBelowFloor } from '../../../attestation/collateral/floors.ts';
import type { Verified } from '../../../attestation/collateral/judge.ts';
import { fromUtf8, utf8 } from '../../../core/bytes.ts';

const ISSUER = 'ab'.repeat(32);

function list(number: bigint, dateMs: number, issuerId = ISSUER): Verified {
  return {
    item: { kind: 'sgx-root-crl' },
    key: 'sgx.root-crl',
    raw: { body: new Uint8Array(), chain: '' },
    rank: { number, dateMs },
    expiresAtMs: 1000,
    serials: [],
    list: { issuerId, revoked: new Set() },
  };
}

function document(number: bigint, key = 'tdx.qe-identity.standard'): Verified {
  const { list: _none, ...rest } = list(number, 5);
  return { ...rest, item: { kind: 'tdx-qe-identity', edition: 'standard' }, key };
}

test('a list below the newest of its issuer is refused: by number, and by date where numbers are equal', () => {
  const floors = new Floors();
  assert.ok(floors.admits(list(0n, 0), 0));
  assert.ok(floors.raise(list(5n, 100), 0));
  assert.equal(floors.admits(list(4n, 200), 0), false);
  assert.equal(floors.admits(list(5n, 99), 0), false);
  assert.ok(floors.admits(list(5n, 100), 0));
  assert.ok(floors.admits(list(5n, 101), 0));
  assert.ok(floors.admits(list(6n, 1), 0));
  assert.ok(floors.admits(list(0n, 0, 'cd'.repeat(32)), 0));
  assert.deepEqual(floors.listFloor(ISSUER), { number: 5n, thisUpdateMs: 100 });
});

test('a floor never sinks', () => {
  const floors = new Floors();
  floors.raise(list(5n, 100), 0);
  assert.equal(floors.raise(list(4n, 200), 0), false);
  assert.equal(floors.raise(list(5n, 100), 0), false);
  assert.deepEqual(floors.listFloor(ISSUER), { number: 5n, thisUpdateMs: 100 });
});

test('a document below the highest evaluation number of its key is refused, an older one of it is not', () => {
  const floors = new Floors();
  assert.ok(floors.raise(document(20n), 0));
  assert.equal(floors.admits(document(19n), 0), false);
  assert.ok(floors.admits(document(20n), 0));
  assert.ok(floors.admits(document(19n, 'tdx.qe-identity.early'), 0));
});

test('the floor of a document ends with the document that raised it, and lives on with the next', () => {
  const floors = new Floors();
  floors.raise(document(20n), 0);
  assert.equal(floors.admits(document(19n), 1000), false);
  assert.ok(floors.admits(document(19n), 1001));
  assert.ok(floors.raise({ ...document(20n), expiresAtMs: 2000 }, 500));
  assert.equal(floors.raise({ ...document(20n), expiresAtMs: 1500 }, 500), false);
  assert.equal(floors.admits(document(19n), 1001), false);
  assert.ok(floors.raise(document(19n), 2001));
});

test('floors come back as they were, and rise only', () => {
  const floors = new Floors();
  floors.raise(list(2n ** 150n, 100), 0);
  floors.raise(list(7n, 7, `${'cd'.repeat(32)}.vcek`), 0);
  floors.raise(document(20n), 0);
  const later = new Floors();
  later.raise(document(21n), 0);
  assert.ok(later.restore(floors.encode()));
  assert.equal(later.admits(document(20n), 0), false);
  assert.equal(later.admits(list(2n ** 150n, 99), 0), false);
  assert.deepEqual(later.listFloor(`${'cd'.repeat(32)}.vcek`), { number: 7n, thisUpdateMs: 7 });
});

test('a file of floors that is none changes nothing', () => {
  const floors = new Floors();
  floors.raise(list(5n, 100), 0);
  const text = fromUtf8(floors.encode());
  for (const damaged of [
    '{}',
    text.replace('"version":1', '"version":2'),
    text.replace('"number":"5"', '"number":"-5"'),
    text.replace('"number":"5"', `"number":"${'f'.repeat(41)}"`),
    text.replace('"lists":[', '"lists":[{},'),
    text.replace(ISSUER, '../../etc'),
    text.replace('"thisUpdateMs":100', '"thisUpdateMs":1e400'),
  ]) {
    assert.equal(new Floors().restore(utf8(damaged)), false, damaged);
  }
  assert.throws(() => new Floors().restore(utf8('not json')));
  assert.throws(() => new Floors().restore(new Uint8Array(600_000)));
  const foreign = utf8(
    '{"version":1,"lists":[],"documents":[{"key":"__proto__","number":1,"untilMs":1}]}',
  );
  assert.ok(new Floors().restore(foreign));
});

test('floors stay bounded', () => {
  const floors = new Floors();
  for (let at = 0; at < 5000; at++) {
    floors.raise(document(1n, `tdx.tcb-info.standard.${at.toString(16).padStart(12, '0')}`), 0);
    floors.raise(list(1n, 1, at.toString(16).padStart(64, '0')), 0);
  }
  assert.ok(floors.encode().length < 512 * 1024);
  assert.ok(new Floors().restore(floors.encode()));
});

test('a verifier can tell whether a list it is shown is below', () => {
  const floor = { number: 5n, thisUpdateMs: 100 };
  assert.equal(isBelowFloor({ number: 5n, thisUpdateMs: 99 }, floor), true);
  assert.equal(isBelowFloor({ number: 4n, thisUpdateMs: 200 }, floor), true);
  assert.equal(isBelowFloor({ number: 5n, thisUpdateMs: 100 }, floor), false);
  assert.equal(isBelowFloor({ number: 0n, thisUpdateMs: 0 }, undefined), false);
});
