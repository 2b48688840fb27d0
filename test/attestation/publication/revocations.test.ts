/** Lists of revocations: what they must say, the one form of each value, and looking things up. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REVOCATION_KINDS, type RevocationKind } from '../../../attestation/policy/revocations.ts';
import { parseEnvelope } from '../../../attestation/publication/envelope.ts';
import { ENVELOPE_MAX_BYTES } from '../../../attestation/publication/kinds.ts';
import { ENTRIES_MAX } from '../../../attestation/publication/limits.ts';
import { RevocationSet } from '../../../attestation/publication/revocation-set.ts';
import {
  REVOCATIONS,
  countWithdrawn,
  decodeRevocations,
  encodeRevocations,
  type DatedRevocation,
  type RevocationList,
} from '../../../attestation/publication/revocations.ts';
import { openPinnedRoot } from '../../../attestation/publication/root.ts';
import { verifyDocument } from '../../../attestation/publication/verified.ts';
import { fromUtf8, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { parseStrictJson, type Json } from '../../../core/json.ts';
import { entry, makeRevocations, makeRoot, revocationsOf } from '../../support/publication.ts';

function json(text: string): Json {
  return parseStrictJson(utf8(text), { maxBytes: 1 << 22, numbers: 'integers' }).value;
}

function refuses(list: RevocationList, what: string): void {
  assert.throws(
    () => encodeRevocations(list),
    (error) => hasCode(error, 'publication.malformed'),
    what,
  );
}

const hex = (digits: number): string => 'ab'.repeat(digits / 2);

/** Sound values of each kind, and texts that mean the same to people and would never be found. */
const VALUES: Readonly<
  Record<RevocationKind, { readonly sound: readonly string[]; readonly not: readonly string[] }>
> = {
  image: { sound: ['worker-1.2.3'], not: ['Worker', 'a b', '-a', 'a'.repeat(129), ''] },
  rule: { sound: ['tdx-h200'], not: ['TDX', ''] },
  advisory: { sound: ['INTEL-SA-01036'], not: ['intel-sa-01036', 'A', ''] },
  measurement: { sound: [hex(96)], not: [hex(96).toUpperCase(), hex(94), hex(98), 'zero'] },
  cpu: { sound: [hex(32), hex(128)], not: [hex(64), hex(96), hex(32).toUpperCase()] },
  key: { sound: [hex(64)], not: [hex(62), hex(64).toUpperCase(), `0x${hex(64)}`] },
  kid: { sound: [hex(32)], not: [hex(64), hex(32).toUpperCase()] },
  policy: { sound: [`sha256:${hex(64)}`], not: [hex(64), `sha256:${hex(64).toUpperCase()}`] },
  ueid: { sound: ['478176379286082186618948445787393647364802107249'], not: ['', 'a b'] },
  driver: { sound: ['575.57.08'], not: ['', '575 57'] },
  vbios: { sound: ['96.00.CF.00.01'], not: ['', 'ü'] },
  rim: { sound: ['NV_GPU_DRIVER_GH100_575.57.08'], not: ['', 'a\n'] },
};

test('a list comes out as it went in', () => {
  const entries = REVOCATION_KINDS.flatMap((kind) =>
    VALUES[kind].sound.map((value) => entry(kind, value)),
  );
  const list = revocationsOf({ entries });
  assert.deepEqual(decodeRevocations(json(fromUtf8(encodeRevocations(list)))), list);
});

for (const kind of REVOCATION_KINDS) {
  test(`a value of kind ${kind} has one form`, () => {
    for (const value of VALUES[kind].not) {
      refuses(revocationsOf({ entries: [entry(kind, value)] }), value);
    }
  });
}

test('no list: entries twice, by kind and value', () => {
  const twice = [entry('image', 'a'), { ...entry('image', 'a'), reason: 'another' }];
  refuses(revocationsOf({ entries: twice }), 'twice');
  const kinds = [entry('image', 'a'), entry('rule', 'a')];
  assert.doesNotThrow(() => encodeRevocations(revocationsOf({ entries: kinds })));
});

test('no list: reasons, authors and numbers out of bounds', () => {
  const one = entry('image', 'a');
  for (const change of [
    { reason: '' },
    { reason: 'x'.repeat(1001) },
    { by: '' },
    { by: 'x'.repeat(129) },
    { atMs: 1 },
  ] satisfies Partial<DatedRevocation>[]) {
    refuses(revocationsOf({ entries: [{ ...one, ...change }] }), JSON.stringify(change));
  }
  refuses(revocationsOf({ number: 0 }), 'number');
});

test('no list: members missing, unknown or of another form', () => {
  const text = fromUtf8(encodeRevocations(revocationsOf({ entries: [entry('image', 'a')] })));
  for (const changed of [
    text.replace('revocations/1', 'revocations/2'),
    text.replace('{', '{"spare":1,'),
    text.replace('"kind":"image"', '"kind":"image","spare":1'),
    text.replace('"kind":"image"', '"kind":"worker"'),
    text.replace(/"by":"carol",/, ''),
    text.replace(/"entries":\[.*\],/, '"entries":{},'),
  ]) {
    assert.notEqual(changed, text);
    assert.throws(
      () => decodeRevocations(json(changed)),
      (error) => hasCode(error, 'publication.malformed'),
      changed,
    );
  }
});

test('a full list fits into its envelope, and one entry more is refused', () => {
  const entries = Array.from({ length: ENTRIES_MAX }, (_, at) =>
    entry('kid', at.toString(16).padStart(32, '0')),
  );
  const bytes = makeRevocations({ entries });
  assert.ok(bytes.length <= ENVELOPE_MAX_BYTES.revocations, `${bytes.length}`);
  refuses(revocationsOf({ entries: [...entries, entry('image', 'a')] }), 'too many');
});

test('what a list leaves out is counted by kind and value', () => {
  const before = revocationsOf({ entries: [entry('image', 'a'), entry('rule', 'a')] });
  const worded = { ...entry('image', 'a'), reason: 'in other words', by: 'alice' };
  const after = (entries: readonly DatedRevocation[]): number =>
    countWithdrawn(before, revocationsOf({ entries }));
  assert.equal(after([entry('rule', 'a'), worded, entry('image', 'b')]), 0);
  assert.equal(after([entry('rule', 'a'), entry('image', 'b')]), 1);
  assert.equal(after([]), 2);
});

test('a set finds what the list names, by kind and value', () => {
  const root = openPinnedRoot(makeRoot());
  const bytes = makeRevocations({
    number: 7,
    entries: [entry('image', 'a'), entry('kid', hex(32))],
  });
  const list = verifyDocument(parseEnvelope(bytes, 'revocations'), root, REVOCATIONS);
  const set = RevocationSet.of(list);
  assert.deepEqual(set.find('image', 'a'), entry('image', 'a'));
  assert.deepEqual(set.find('kid', hex(32)), entry('kid', hex(32)));
  assert.equal(set.find('rule', 'a'), undefined);
  assert.equal(set.find('image', '__proto__'), undefined);
  assert.equal(set.find('image', 'constructor'), undefined);
  assert.equal(set.isEmpty, false);
  assert.equal(set.number, 7);
  assert.deepEqual(set.digest, list.digest);
});

test('without a list there is an empty set of number 0', () => {
  const set = RevocationSet.NONE;
  assert.equal(set.isEmpty, true);
  assert.equal(set.number, 0);
  assert.equal(set.digest, undefined);
  assert.equal(set.find('image', 'a'), undefined);
});
