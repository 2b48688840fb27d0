/** PEM lists without loose forms. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodePemBlock, PEM_MAX_CHARS, splitPemCertificates } from '../../attestation/pem.ts';
import { hasCode } from '../../core/errors.ts';

const BLOCK = '-----BEGIN CERTIFICATE-----\nAQID\nBA==\n-----END CERTIFICATE-----';

function parsePemCertificates(pem: string): readonly Uint8Array[] {
  return splitPemCertificates(pem).map(decodePemBlock);
}

function refuses(pem: string, code = 'pem.malformed'): void {
  assert.throws(
    () => parsePemCertificates(pem),
    (error) => hasCode(error, code),
  );
}

test('blocks are read in order, with any white space between them', () => {
  assert.deepEqual(parsePemCertificates(''), []);
  assert.deepEqual(parsePemCertificates(BLOCK), [Uint8Array.of(1, 2, 3, 4)]);
  assert.equal(parsePemCertificates(`\n${BLOCK}\r\n\n${BLOCK}\n`).length, 2);
  assert.equal(parsePemCertificates(BLOCK.replaceAll('\n', '\r\n')).length, 1);
});

test('anything but certificates is refused', () => {
  refuses('hello');
  refuses(`${BLOCK}\nhello`);
  refuses(`${BLOCK}\0`);
  refuses(`subject=CN\n${BLOCK}`);
  refuses(BLOCK.replaceAll('CERTIFICATE', 'PRIVATE KEY'));
  refuses(BLOCK.replace('-----END CERTIFICATE-----', ''));
  refuses('-----BEGIN CERTIFICATE----------END CERTIFICATE-----');
  refuses(BLOCK.replace('AQID\n', 'AQID'.padEnd(7, '=')));
});

test('base64 has one form', () => {
  refuses(BLOCK.replace('BA==', 'BB=='));
  refuses(BLOCK.replace('BA==', 'BA'));
  refuses(BLOCK.replace('AQID', 'AQI D'));
  refuses(BLOCK.replace('AQID', 'AQ-_'));
  refuses(BLOCK.replace('AQID', 'Proc-Type: 4,ENCRYPTED'));
});

test('there is a limit on blocks and on size', () => {
  refuses(Array.from({ length: 9 }, () => BLOCK).join('\n'));
  refuses(' '.repeat(PEM_MAX_CHARS + 1), 'pem.size');
});
