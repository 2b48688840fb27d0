/** The forms of one list, and a chain out of a header. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chainFromHeader, listToDer, pemOf } from '../../../attestation/collateral/text-forms.ts';
import { splitPemCertificates, decodePemBlock } from '../../../attestation/pem.ts';
import { concat, fromHex, utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { formed } from '../../support/vendors/intel.ts';

const DER = concat(fromHex('30820100'), new Uint8Array(256).fill(0xa5));
const refused = (error: unknown): boolean => hasCode(error, 'collateral.invalid');

for (const form of ['der', 'pem', 'hex', 'base64'] as const) {
  test(`a list as ${form} is the same list`, () => {
    assert.deepEqual(listToDer('x', formed(DER, form)), DER);
    if (form === 'der') return;
    assert.deepEqual(listToDer('x', concat(utf8('\r\n '), formed(DER, form), utf8('\n'))), DER);
  });
}

test('base64 in lines, and hex in capitals', () => {
  const lines = utf8(
    new TextDecoder().decode(formed(DER, 'base64')).replaceAll(/(.{64})/g, '$1\r\n'),
  );
  assert.deepEqual(listToDer('x', lines), DER);
  const capitals = utf8(new TextDecoder().decode(formed(DER, 'hex')).toUpperCase());
  assert.deepEqual(listToDer('x', capitals), DER);
});

test('what is none of these is refused, and so is what is too large', () => {
  for (const text of ['', ' ', '<html>', '{"a":1}', 'MII=A', '308', '-----BEGIN X509 CRL-----']) {
    assert.throws(() => listToDer('x', utf8(text)), refused, text);
  }
  const twoBlocks = concat(formed(DER, 'pem'), formed(DER, 'pem'));
  assert.throws(() => listToDer('x', twoBlocks), refused);
  assert.throws(() => listToDer('x', Uint8Array.of(0x4d, 0xff, 0xfe)), refused);
  assert.throws(() => listToDer('x', new Uint8Array(512 * 1024 + 1).fill(0x30)), refused);
  assert.throws(() => listToDer('x', utf8('30'.repeat(512 * 1024 + 1))), refused);
});

test('a header is percent-decoded once, and a plus stays a plus', () => {
  assert.equal(chainFromHeader('x', 'a%20b%0Ac+d%2Be%2525'), 'a b\nc+d+e%25');
});

test('a header that is absent, repeated, broken or too large is refused', () => {
  for (const value of [undefined, ['a', 'b'], '%', '%zz', '%ff', 'a'.repeat(16 * 1024 + 1)]) {
    assert.throws(() => chainFromHeader('x', value), refused);
  }
});

test('certificates as PEM read back as they were', () => {
  const pem = pemOf(DER, fromHex('3000'), new Uint8Array(48));
  assert.deepEqual(splitPemCertificates(pem).map(decodePemBlock), [
    DER,
    fromHex('3000'),
    new Uint8Array(48),
  ]);
});
