/**
 * Attack: a genuine attestation key signs more than quotes. What it says of keys, of the time or of bytes from outside is
 * offered in place of a quote, with the right nonce in it.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyAzureSnp } from '../../attestation/azure/verify-azure.ts';
import { azureSnpCase, failedIds } from '../support/azure/case.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';

const pki = await createSnpTestPki();

/** TPM_ST_ATTEST_* but that of a quote. */
const OTHERS = [0x8014, 0x8015, 0x8016, 0x8017, 0x8019, 0x801a, 0x801c];

for (const type of OTHERS) {
  test(`an attestation of type 0x${type.toString(16)} is no quote`, async () => {
    const result = verifyAzureSnp(await azureSnpCase(pki, { quote: { attest: { type } } }));
    assert.deepEqual(failedIds(result), ['azure.quote.format']);
    assert.equal(result.authentic, false);
  });
}

test('bytes that the TPM was given to sign are no quote', async () => {
  for (const magic of [0, 0xff544346, 0x00544347, 0x474354ff]) {
    const result = verifyAzureSnp(await azureSnpCase(pki, { quote: { attest: { magic } } }));
    assert.deepEqual(failedIds(result), ['azure.quote.format']);
  }
});
