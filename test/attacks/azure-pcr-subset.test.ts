/**
 * Attack: a quote about the registers that look good. What was left out, quoted from another bank or from registers that
 * can be reset, would have told of the other kernel.
 * @module
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { verifyAzureSnp } from '../../attestation/azure/verify-azure.ts';
import {
  azureSnpCase,
  failedIds,
  pcrsOf,
  STRANGER,
  tupleOf,
  VTPM,
  type AzureFaults,
} from '../support/azure/case.ts';
import { ALG } from '../support/azure/tpm-writer.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';

const pki = await createSnpTestPki();

async function failed(faults: AzureFaults): Promise<readonly string[]> {
  const result = verifyAzureSnp(await azureSnpCase(pki, faults));
  assert.equal(result.accepted, false);
  return failedIds(result);
}

/** The policy asks for 4, 9 and 11. */
describe('of the registers 4, 9 and 11, one is bad', () => {
  const ASKED = [4, 9, 11];

  test('leaving it out of quote and values is refused', async () => {
    for (const bad of ASKED) {
      const indexes = ASKED.filter((index) => index !== bad);
      assert.deepEqual(await failed({ indexes }), ['azure.policy.pcrs']);
    }
  });

  test('leaving it out of the quote and naming a good value is refused', async () => {
    for (const bad of ASKED) {
      const indexes = ASKED.filter((index) => index !== bad);
      const ids = await failed({ indexes, pcrs: pcrsOf(VTPM, ASKED) });
      assert.deepEqual(ids, ['azure.pcr.selection', 'azure.pcr.digest']);
    }
  });

  test('leaving it out of the values is refused', async () => {
    for (const bad of ASKED) {
      const pcrs = pcrsOf(
        VTPM,
        ASKED.filter((index) => index !== bad),
      );
      const ids = await failed({ indexes: ASKED, pcrs });
      assert.deepEqual(ids, ['azure.pcr.selection', 'azure.pcr.digest', 'azure.policy.pcrs']);
    }
  });

  test('naming a good value for it is refused', async () => {
    const pcrs = new Map([...pcrsOf(STRANGER, ASKED), ...pcrsOf(VTPM, [4])]);
    const policy = { pcrs: { anyOf: [{ image: 'good', values: tupleOf(STRANGER).values }] } };
    assert.ok((await failed({ indexes: ASKED, pcrs, policy })).includes('azure.pcr.digest'));
  });
});

test('the same values in the places of other registers are refused', async () => {
  const indexes = [5, 10, 12];
  const [four, nine, eleven] = [4, 9, 11].map((at) => VTPM.pcrs.get(at) ?? new Uint8Array(32));
  assert.ok(four !== undefined && nine !== undefined && eleven !== undefined);
  const pcrs = new Map([
    [4, four],
    [9, nine],
    [11, eleven],
  ]);
  const ids = await failed({ indexes, pcrs });
  assert.deepEqual(ids, ['azure.pcr.selection', 'azure.pcr.digest']);
});

test('values moved between two registers are refused', async () => {
  const swapped = new Map(pcrsOf(VTPM));
  const [four, nine] = [VTPM.pcrs.get(4), VTPM.pcrs.get(9)];
  assert.ok(four !== undefined && nine !== undefined);
  swapped.set(4, nine).set(9, four);
  assert.deepEqual(await failed({ pcrs: swapped }), ['azure.pcr.digest', 'azure.policy.pcrs']);
});

test('another bank is refused: nobody extends SHA-1 with what the policy lists', async () => {
  for (const hash of [ALG.sha1, ALG.sha384]) {
    const selections = [{ hash, indexes: [4, 9, 11] }];
    const ids = await failed({ indexes: [4, 9, 11], quote: { attest: { selections } } });
    assert.deepEqual(ids, ['azure.pcr.bank']);
  }
});

test('a policy that only names registers which can be reset admits nobody', async () => {
  const indexes = [16, 17, 18, 19, 20, 21, 22, 23];
  const policy = { pcrs: { anyOf: [tupleOf(VTPM, indexes)] } };
  assert.deepEqual(await failed({ indexes, policy }), ['azure.policy.pcrs']);
});
