/** What attestation/der-writer.ts writes, read back by the strict reader. Spec: ITU-T X.690 §8, §10. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DerReader } from '../../attestation/der.ts';
import {
  derBits,
  derContext,
  derIa5,
  derInteger,
  derNull,
  derOctets,
  derOid,
  derSequence,
  derTime,
  derUnsigned,
} from '../../attestation/der-writer.ts';
import { fromHex, toHex } from '../../core/bytes.ts';

function reader(bytes: Uint8Array): DerReader {
  return DerReader.over(bytes, 0x1_0000);
}

test('integers are minimal and stay positive', () => {
  assert.equal(toHex(derInteger(0)), '020100');
  assert.equal(toHex(derInteger(127)), '02017f');
  assert.equal(toHex(derInteger(128)), '02020080');
  assert.equal(toHex(derInteger(219)), '020200db');
  assert.equal(toHex(derInteger(256)), '02020100');
  assert.equal(toHex(derInteger(65_535)), '020300ffff');
  assert.throws(() => derInteger(65_536));
  assert.throws(() => derInteger(-1));
  assert.throws(() => derInteger(0.5));
});

test('a magnitude loses its leading zeros and keeps its sign', () => {
  assert.equal(toHex(derUnsigned(new Uint8Array())), '020100');
  assert.equal(toHex(derUnsigned(fromHex('000000'))), '020100');
  assert.equal(toHex(derUnsigned(fromHex('00ff'))), '020200ff');
  assert.equal(toHex(derUnsigned(fromHex('020001'))), '0203020001');
});

test('times change their form with the year 2050', () => {
  assert.equal(
    toHex(derTime(Date.UTC(2049, 11, 31, 23, 59, 59, 999))),
    '170d3439313233313233353935395a',
  );
  assert.equal(toHex(derTime(Date.UTC(2050, 0, 1))), '180f32303530303130313030303030305a');
  for (const ms of [Date.UTC(1950, 0, 1), Date.UTC(2026, 1, 28, 1, 2, 3), Date.UTC(2099, 1, 1)]) {
    assert.equal(reader(derTime(ms)).time('time'), ms);
  }
  assert.throws(() => derTime(Date.UTC(1949, 11, 31)));
});

test('lengths take the shortest form', () => {
  for (const size of [0, 127, 128, 255, 256, 65_000]) {
    const read = reader(derOctets(new Uint8Array(size)));
    assert.equal(read.octets('octets').length, size);
    read.end('octets');
  }
  assert.throws(() => derOctets(new Uint8Array(65_536)));
});

test('everything else is what the reader demands', () => {
  const read = reader(
    derSequence(
      derContext(3, derNull()),
      derBits(Uint8Array.of(1, 2)),
      derOid('1.3.6.1.4.1.3704.1.3.8'),
      derIa5('Genoa'),
    ),
  ).sequence('outer');
  assert.equal(toHex(read.enter(0xa3, 'context').any('null').raw), '0500');
  assert.equal(toHex(read.wholeBits('bits')), '0102');
  assert.equal(read.oid('oid'), '2b060104019c78010308');
  assert.equal(toHex(read.any('text').raw), '160547656e6f61');
  read.end('outer');
});
