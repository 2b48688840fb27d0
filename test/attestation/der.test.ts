/** The strict DER reader: one value, one form. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DerReader, signatureToRaw, TAG } from '../../attestation/der.ts';
import { concat, fromHex, toHex } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';

const MAX_BYTES = 65_536;

function reader(hex: string): DerReader {
  return DerReader.over(fromHex(hex), MAX_BYTES);
}

function refuses(read: () => unknown, code = 'der.malformed'): void {
  assert.throws(read, (error) => hasCode(error, code));
}

test('integers are read in their only form', () => {
  assert.equal(reader('020100').small(255, 'x'), 0);
  assert.equal(reader('02017f').small(255, 'x'), 127);
  assert.equal(reader('02020080').small(255, 'x'), 128);
  assert.equal(reader('0202012c').small(65_535, 'x'), 300);
  refuses(() => reader('0200').small(255, 'x'));
  refuses(() => reader('02020001').small(255, 'x'));
  refuses(() => reader('020180').small(255, 'x'));
  refuses(() => reader('02020104').small(255, 'x'));
  refuses(() => reader('0206010000000000').small(255, 'x'));
});

test('lengths are definite and minimal', () => {
  assert.equal(reader('0400').octets('x').length, 0);
  const long = concat(fromHex('048180'), new Uint8Array(128));
  assert.equal(DerReader.over(long, MAX_BYTES).octets('x').length, 128);
  refuses(() => reader('3080').sequence('indefinite'));
  refuses(() => reader('04810100').octets('long form of a short length'));
  const padded = concat(fromHex('04820080'), new Uint8Array(128));
  refuses(() => DerReader.over(padded, MAX_BYTES).octets('leading zero'));
  refuses(() => reader('0485000000000100').octets('five length bytes'));
  refuses(() => reader('0484ffffffff').octets('past the end'));
  refuses(() => reader('0402aa').octets('past the end'));
  refuses(() => reader('04').octets('no length'));
  refuses(() => reader('').octets('nothing'));
});

test('a value inside may not reach past the value around it', () => {
  // The inner octet string claims three bytes; the sequence around it has room for one.
  const outer = reader('30030403aabbcc');
  const inner = outer.sequence('outer');
  refuses(() => inner.octets('inner'));
});

test('what is left over is seen', () => {
  const outer = reader('30020500ff');
  outer.sequence('sequence');
  refuses(() => outer.end('document'));
});

test('nesting stops at sixteen', () => {
  const nest = (levels: number): Uint8Array => {
    let bytes: Uint8Array = new Uint8Array(0);
    for (let i = 0; i < levels; i++)
      bytes = concat(Uint8Array.of(TAG.sequence, bytes.length), bytes);
    return bytes;
  };
  const dive = (levels: number): void => {
    let at = DerReader.over(nest(levels), MAX_BYTES);
    for (let i = 0; i < levels; i++) at = at.sequence('level');
  };
  dive(16);
  refuses(() => dive(17));
});

test('a document larger than allowed is not read at all', () => {
  refuses(() => DerReader.over(new Uint8Array(11), 10), 'der.size');
});

test('booleans are 00 or ff', () => {
  assert.equal(reader('0101ff').boolean('x'), true);
  assert.equal(reader('010100').boolean('x'), false);
  refuses(() => reader('010101').boolean('x'));
  refuses(() => reader('0102ffff').boolean('x'));
});

test('named bits say whether they leave out trailing zeros', () => {
  const read = (hex: string) => {
    const { bits, isMinimal } = reader(hex).namedBits('x');
    return { bits: [...bits], isMinimal };
  };
  assert.deepEqual(read('030206c0'), { bits: [0, 1], isMinimal: true });
  assert.deepEqual(read('03020106'), { bits: [5, 6], isMinimal: true });
  assert.deepEqual(read('030100'), { bits: [], isMinimal: true });
  assert.deepEqual(read('030200c0'), { bits: [0, 1], isMinimal: false });
  refuses(() => reader('030206c1').namedBits('x'));
  refuses(() => reader('030208c0').namedBits('x'));
  refuses(() => reader('0300').namedBits('x'));
  refuses(() => reader('030103').namedBits('x'));
});

function timeOf(tag: number, text: string): number {
  const content = new TextEncoder().encode(text);
  return DerReader.over(concat(Uint8Array.of(tag, content.length), content), MAX_BYTES).time('x');
}

test('times are in the one form of certificates', () => {
  assert.equal(timeOf(TAG.utcTime, '491231235959Z'), Date.UTC(2049, 11, 31, 23, 59, 59));
  assert.equal(timeOf(TAG.utcTime, '500101000000Z'), Date.UTC(1950, 0, 1));
  assert.equal(timeOf(TAG.generalizedTime, '20500101000000Z'), Date.UTC(2050, 0, 1));
  assert.equal(timeOf(TAG.utcTime, '240229000000Z'), Date.UTC(2024, 1, 29));
  refuses(() => timeOf(TAG.generalizedTime, '20490101000000Z'));
  refuses(() => timeOf(TAG.utcTime, '230229000000Z'));
  refuses(() => timeOf(TAG.utcTime, '231301000000Z'));
  refuses(() => timeOf(TAG.utcTime, '230100000000Z'));
  refuses(() => timeOf(TAG.utcTime, '230101240000Z'));
  refuses(() => timeOf(TAG.utcTime, '230101000060Z'));
  refuses(() => timeOf(TAG.utcTime, '2301010000Z'));
  refuses(() => timeOf(TAG.utcTime, '230101000000+0000'));
  refuses(() => timeOf(TAG.generalizedTime, '20500101000000.5Z'));
  refuses(() => timeOf(TAG.utcTime, '230101000000Z\n'));
});

test('object identifiers end with a final octet', () => {
  assert.equal(reader('0603550403').oid('x'), '550403');
  refuses(() => reader('0600').oid('x'));
  refuses(() => reader('0603550483').oid('x'));
});

test('object identifiers are not padded', () => {
  assert.equal(reader('06042b868010').oid('x'), '2b868010');
  for (const padded of ['060480550403', '060455800403', '06052b80860102']) {
    refuses(() => reader(padded).oid('x'));
  }
});

test('signatures become r‖s, each half left-padded', () => {
  const raw = signatureToRaw(fromHex('30080202008002020100'));
  assert.equal(toHex(raw), `${'00'.repeat(31)}80${'00'.repeat(30)}0100`);
  const r33 = `022101${'00'.repeat(32)}`;
  refuses(() => signatureToRaw(fromHex(`3026${r33}020101`)));
  refuses(() => signatureToRaw(fromHex('3006020101020101ff')));
  refuses(() => signatureToRaw(fromHex('3003020101')));
  refuses(() => signatureToRaw(fromHex('3009020101020101020101')));
  refuses(() => signatureToRaw(fromHex('30060201ff020101')));
});
