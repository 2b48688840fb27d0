/**
 * Attack: the registers of a good image, quoted by a key that is not the one of this machine's vTPM: a TPM in software, or
 * the vTPM of another machine.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyAzureSnp, verifyAzureTdx } from '../../attestation/azure/verify-azure.ts';
import {
  azureSnpCase,
  azureTdxCase,
  failedIds,
  reportDataFor,
  STRANGER,
  USER_DATA,
  VTPM,
} from '../support/azure/case.ts';
import { attestationKeyOf, runtimeClaims, runtimeDataOf } from '../support/azure/runtime-data.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';
import { createTestPki } from '../support/tdx/pki.ts';

const [snpPki, tdxPki] = await Promise.all([createSnpTestPki(), createTestPki()]);

/** What the machine's paravisor has bound. */
const BOUND = reportDataFor(runtimeDataOf(runtimeClaims(VTPM, USER_DATA)));

test('a quote by another key is refused on either kind of hardware', async () => {
  const faults = { quote: { key: STRANGER.key } };
  const snp = verifyAzureSnp(await azureSnpCase(snpPki, faults));
  const tdx = verifyAzureTdx(await azureTdxCase(tdxPki, faults));
  for (const result of [snp, tdx]) {
    assert.deepEqual(failedIds(result), ['azure.quote.signature']);
    assert.equal(result.authentic, false);
  }
});

test('the key cannot be put into the runtime data', async () => {
  const result = verifyAzureTdx(
    await azureTdxCase(tdxPki, {
      bound: () => BOUND,
      claims: (claims) => ({ ...claims, keys: [attestationKeyOf(STRANGER)] }),
      quote: { key: STRANGER.key },
    }),
  );
  assert.deepEqual(failedIds(result), ['azure.runtimeData']);
});

test('the key cannot be put beside the right one, in front or behind', async () => {
  const [own, foreign] = [attestationKeyOf(VTPM), attestationKeyOf(STRANGER)];
  for (const keys of [
    [own, foreign],
    [foreign, own],
  ]) {
    const result = verifyAzureTdx(
      await azureTdxCase(tdxPki, {
        bound: () => BOUND,
        claims: (claims) => ({ ...claims, keys }),
        quote: { key: STRANGER.key },
      }),
    );
    assert.deepEqual(failedIds(result), ['azure.runtimeData', 'azure.claims']);
  }
});

test('the key cannot be appended after the runtime data', async () => {
  const claims = runtimeDataOf({ keys: [attestationKeyOf(STRANGER)] });
  const result = verifyAzureTdx(
    await azureTdxCase(tdxPki, { hcl: { rest: claims }, quote: { key: STRANGER.key } }),
  );
  assert.deepEqual(failedIds(result), ['azure.hcl']);
});

test("the vTPM's encryption key is no attestation key", async () => {
  const result = verifyAzureTdx(
    await azureTdxCase(tdxPki, {
      claims: (claims) => ({
        ...claims,
        keys: [attestationKeyOf(VTPM), { ...attestationKeyOf(STRANGER), kid: 'HCLEkPub' }],
      }),
      quote: { key: STRANGER.key },
    }),
  );
  assert.deepEqual(failedIds(result), ['azure.quote.signature']);
});
