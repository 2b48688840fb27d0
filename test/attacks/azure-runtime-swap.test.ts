/**
 * Attack: two genuine machines, one of them with a bad guest, and evidence put together from both: the runtime data, the
 * quote and the registers of the good one beside the report of the bad one, or the other way round.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyAzureSnp, verifyAzureTdx } from '../../attestation/azure/verify-azure.ts';
import { concat } from '../../core/bytes.ts';
import { azureSnpCase, azureTdxCase, failedIds, STRANGER } from '../support/azure/case.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';
import { createTestPki } from '../support/tdx/pki.ts';

const [snpPki, tdxPki] = await Promise.all([createSnpTestPki(), createTestPki()]);
const REPORT_END = 1216;

test('on SEV-SNP the report of one machine does not carry the runtime data of another', async () => {
  const good = await azureSnpCase(snpPki);
  const bad = await azureSnpCase(snpPki, { vtpm: STRANGER });
  assert.equal(verifyAzureSnp(good).accepted, true);
  assert.equal(verifyAzureSnp(bad).accepted, true, 'its registers are listed too');
  const blob = concat(bad.blob.subarray(0, REPORT_END), good.blob.subarray(REPORT_END));
  const result = verifyAzureSnp({ ...good, blob });
  assert.deepEqual(failedIds(result), ['hcl.runtimeData', 'azure.hardware', 'azure.runtimeData']);
  assert.equal(result.authentic, false);
});

test('on TDX the quote of one machine does not carry the blob of another', async () => {
  const good = await azureTdxCase(tdxPki);
  const bad = await azureTdxCase(tdxPki, { vtpm: STRANGER });
  assert.equal(verifyAzureTdx(good).accepted, true);
  assert.equal(verifyAzureTdx(bad).accepted, true, 'its registers are listed too');
  const result = verifyAzureTdx({ ...good, quote: bad.quote });
  assert.deepEqual(failedIds(result), ['azure.runtimeData']);
  assert.equal(result.authentic, false);
});

test('the quote of one machine is not one of another', async () => {
  const good = await azureSnpCase(snpPki);
  const bad = await azureSnpCase(snpPki, { vtpm: STRANGER });
  const { tpm, pcrs } = good;
  const result = verifyAzureSnp({ ...bad, tpm, pcrs });
  assert.deepEqual(failedIds(result), ['azure.quote.signature']);
});

test('the registers of one machine are not those of another', async () => {
  const good = await azureSnpCase(snpPki);
  const bad = await azureSnpCase(snpPki, { vtpm: STRANGER });
  const result = verifyAzureSnp({ ...bad, pcrs: good.pcrs });
  assert.deepEqual(failedIds(result), ['azure.pcr.digest']);
});

test('the blob of SEV-SNP is none of TDX, whoever has bound it', async () => {
  const tdx = await azureTdxCase(tdxPki);
  const { blob } = await azureSnpCase(snpPki);
  const result = verifyAzureTdx({ ...tdx, blob });
  assert.deepEqual(failedIds(result), ['azure.hcl']);
});
