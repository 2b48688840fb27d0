/**
 * Attack: a certificate whose key usage is a bit string of many kilobytes. Every bit that is set became an entry of a
 * set: three such certificates held the event loop of a gateway for a tenth of a second. Spec: RFC 5280 §4.2.1.3.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { derValue } from '../../attestation/der-writer.ts';
import { DerReader, TAG } from '../../attestation/der.ts';
import { concat } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import { verifySnp } from '../../attestation/snp/verify.ts';
import { buildSnpCase } from '../support/snp/case.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';
import { withExtension } from '../support/spoil.ts';

const KEY_USAGE = '2.5.29.15';
const FLOOD_BYTES = 12_000;

function bits(size: number): Uint8Array {
  return derValue(TAG.bitString, concat(Uint8Array.of(0), new Uint8Array(size).fill(0xff)));
}

test('a list of named bits ends after the two octets that the nine bits of a key usage need', () => {
  const read = (size: number): number =>
    DerReader.over(bits(size), FLOOD_BYTES + 16).namedBits('x').bits.size;
  assert.equal(read(1), 8);
  assert.equal(read(2), 16);
  for (const size of [3, FLOOD_BYTES]) {
    assert.throws(
      () => read(size),
      (error) => hasCode(error, 'der.malformed'),
    );
  }
});

test('a CA with such a key usage is no certificate', async () => {
  const pki = await createSnpTestPki();
  const flood = { oid: KEY_USAGE, critical: true, value: bits(FLOOD_BYTES) };
  const evidence = await buildSnpCase(pki, {
    chain: { intermediate: { profile: withExtension(flood) } },
  });
  const failed = verifySnp(evidence).checks.filter(({ outcome }) => outcome === 'fail');
  assert.deepEqual(
    failed.map(({ id }) => id),
    ['intermediate.format'],
  );
});
