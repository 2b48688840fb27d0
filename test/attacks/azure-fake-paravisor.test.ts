/**
 * Attack: no paravisor at all. A guest of the attacker's own, on a genuine machine, asks the hardware for a report over
 * runtime data it has written itself, with a key it holds; it can then sign any registers. Everything is genuine. Only
 * the measurement says whose program stands there, and the VMPL whether it is a guest beside the paravisor.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyAzureSnp, verifyAzureTdx } from '../../attestation/azure/verify-azure.ts';
import { fixed } from '../../core/bytes.ts';
import { azureSnpCase, azureTdxCase, failedIds, type AzureFaults } from '../support/azure/case.ts';
import type { SnpFaults } from '../support/snp/case.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';
import { createTestPki } from '../support/tdx/pki.ts';

const [snpPki, tdxPki] = await Promise.all([createSnpTestPki(), createTestPki()]);
const NOT_ASKED = { unchecked: 'not asked for by this test' };
const OWN = fixed(new Uint8Array(48).fill(0x66), 48);

const OWN_GUEST: AzureFaults = {
  snp: { report: { fields: { measurement: OWN, idKeyDigest: OWN } } },
  tdx: { quote: { td: { mrTd: OWN } } },
};

function withPolicy(policy: SnpFaults['policy']): AzureFaults {
  return { snp: { ...OWN_GUEST.snp, ...(policy === undefined ? {} : { policy }) } };
}

test('a policy that lists the paravisor refuses it', async () => {
  const snp = verifyAzureSnp(await azureSnpCase(snpPki, OWN_GUEST));
  assert.deepEqual(failedIds(snp), [
    'policy.measurement',
    'policy.idKey',
    'azure.policy.hardware',
    'azure.policy.paravisor',
  ]);
  const tdx = verifyAzureTdx(await azureTdxCase(tdxPki, OWN_GUEST));
  assert.deepEqual(failedIds(tdx), [
    'policy.measurements',
    'azure.policy.hardware',
    'azure.policy.paravisor',
  ]);
  assert.equal(snp.accepted || tdx.accepted, false);
});

test('a policy that lists no paravisor refuses everybody', async () => {
  const policy = { measurements: NOT_ASKED, idKeys: NOT_ASKED };
  const snp = verifyAzureSnp(await azureSnpCase(snpPki, withPolicy(policy)));
  assert.deepEqual(failedIds(snp), ['azure.policy.paravisor']);
  const tdx = verifyAzureTdx(
    await azureTdxCase(tdxPki, { ...OWN_GUEST, tdx: { policy: { measurements: NOT_ASKED } } }),
  );
  assert.deepEqual(failedIds(tdx), ['azure.policy.paravisor']);
  assert.equal(snp.accepted || tdx.accepted, false);
});

test('a guest beside the paravisor cannot ask for the report itself', async () => {
  for (const vmpl of [1, 2, 3]) {
    const faults = { report: { fields: { vmpl } }, policy: { vmpls: NOT_ASKED } };
    const result = verifyAzureSnp(await azureSnpCase(snpPki, { snp: faults }));
    assert.deepEqual(failedIds(result), ['azure.vmpl']);
    assert.equal(result.authentic, false);
  }
});
