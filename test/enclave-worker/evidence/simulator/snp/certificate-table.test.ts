/** The host's certificate table, by offsets written down here. Spec: AMD 56421; sev-snp.md §2.4. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isZero, toHex } from '../../../../../core/bytes.ts';
import {
  guidBytes,
  TABLE_GUID,
  writeCertificateTable,
} from '../../../../../enclave-worker/evidence/simulator/snp/certificate-table.ts';

test('GUIDs are written in text order, or with three groups turned round', () => {
  assert.equal(toHex(guidBytes(TABLE_GUID.vcek, 'text')), '63da758de6644564adc5f4b93be8accd');
  assert.equal(toHex(guidBytes(TABLE_GUID.vcek, 'mixed')), '8d75da6364e66445adc5f4b93be8accd');
});

test('entries come first, then zeros, then the certificates up to a whole page', () => {
  const vek = new Uint8Array(5).fill(0xaa);
  const root = new Uint8Array(3).fill(0xbb);
  const table = writeCertificateTable([
    { guid: TABLE_GUID.vlek, bytes: vek },
    { guid: TABLE_GUID.root, bytes: root },
  ]);
  assert.equal(table.length, 4096);
  assert.equal(toHex(table.subarray(0, 16)), 'a8074bc2a25a483eaae639c045a0b8a1');
  assert.equal(toHex(table.subarray(16, 24)), '4800000005000000');
  assert.equal(toHex(table.subarray(24, 40)), 'c0b406a4a803495297433fb6014cd0ae');
  assert.equal(toHex(table.subarray(40, 48)), '4d00000003000000');
  assert.ok(isZero(table.subarray(48, 72)));
  assert.equal(toHex(table.subarray(72, 80)), 'aaaaaaaaaabbbbbb');
  assert.ok(isZero(table.subarray(80)));
});

test('a test can lie about places and lengths', () => {
  const bytes = new Uint8Array(1);
  const table = writeCertificateTable([
    { guid: TABLE_GUID.crl, bytes, offset: 0xffff_fff0, length: 0x20 },
  ]);
  assert.equal(toHex(table.subarray(16, 24)), 'f0ffffff20000000');
});

test('an empty table is an entry of zeros', () => {
  assert.ok(isZero(writeCertificateTable([])));
});
