/**
 * Attack: a quote from before the machine was changed, or one that somebody else has asked for. Everything in it is
 * genuine; only the nonce tells.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { verifyAzureSnp } from '../../attestation/azure/verify-azure.ts';
import { concat, utf8 } from '../../core/bytes.ts';
import { azureSnpCase, failedIds, NONCE } from '../support/azure/case.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';

const pki = await createSnpTestPki();

const ASKED = {
  'of yesterday': sha256(utf8('the nonce of yesterday')),
  'of nobody': new Uint8Array(0),
  'that starts with the right one': concat(NONCE, NONCE),
  'that ends with the right one': concat(Uint8Array.of(0), NONCE),
  'that is the hash of the right one': sha256(NONCE),
  'that is the first half of the right one': NONCE.subarray(0, 16),
};

for (const [what, asked] of Object.entries(ASKED)) {
  test(`a quote with a nonce ${what} is refused`, async () => {
    const result = verifyAzureSnp(await azureSnpCase(pki, { asked }));
    assert.deepEqual(failedIds(result), ['azure.nonce']);
    assert.equal(result.authentic, false);
    assert.equal(result.validUntilMs, 0);
  });
}

test('the nonce cannot be written into an old quote', async () => {
  const old = await azureSnpCase(pki, { asked: sha256(utf8('the nonce of yesterday')) });
  const fresh = await azureSnpCase(pki);
  const result = verifyAzureSnp({
    ...old,
    tpm: { quote: fresh.tpm.quote, signature: old.tpm.signature },
  });
  assert.deepEqual(failedIds(result), ['azure.quote.signature']);
});

test('a verifier that forgot its nonce accepts nothing', async () => {
  for (const nonce of [new Uint8Array(0), new Uint8Array(1), new Uint8Array(15)]) {
    const result = verifyAzureSnp(await azureSnpCase(pki, { nonce }));
    assert.deepEqual(failedIds(result), ['azure.nonce']);
  }
});
