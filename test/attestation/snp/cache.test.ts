/** What verification remembers: parts of authentic evidence, once each, and nothing that a stranger made up. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SnpCache } from '../../../attestation/snp/cache.ts';
import { verifySnp } from '../../../attestation/snp/verify.ts';
import { corpusFile, hasCorpus } from '../../support/snp/amd-corpus.ts';
import { buildSnpCase, NOT_ASKED, soundPolicy, type SnpFaults } from '../../support/snp/case.ts';
import { createSnpTestPki } from '../../support/snp/pki.ts';

const pki = await createSnpTestPki();

function sizes({ leaves, authorities, crls }: SnpCache): readonly number[] {
  return [leaves.size, authorities.size, crls.size];
}

test('of authentic evidence the leaf, both CAs and the list are kept, once', async () => {
  const cache = new SnpCache();
  const sound = await buildSnpCase(pki, {});
  for (let round = 0; round < 3; round++) {
    assert.ok(verifySnp({ ...sound, cache }).accepted);
    assert.deepEqual(sizes(cache), [1, 2, 1]);
  }
  // The test hierarchy issues its root anew for each kind of leaf.
  assert.ok(verifySnp({ ...(await buildSnpCase(pki, { signer: 'vlek' })), cache }).accepted);
  assert.deepEqual(sizes(cache), [2, 4, 2]);
});

test('authentic evidence that the policy refuses is kept too: it is no verdict', async () => {
  const cache = new SnpCache();
  const refused = await buildSnpCase(pki, { policy: { vmpls: { anyOf: [] } } });
  const { authentic, accepted } = verifySnp({ ...refused, cache });
  assert.deepEqual([authentic, accepted], [true, false]);
  assert.deepEqual(sizes(cache), [1, 2, 1]);
});

const MADE_UP: readonly (readonly [what: string, faults: SnpFaults])[] = [
  ['a forged report', { report: { key: pki.strangerVek.privateKey } }],
  ['a leaf that nobody signed', { chain: { vek: { signedBy: pki.rsa.stranger.privateKey } } }],
  ['a root that nobody trusts', { anchors: [] }],
  ['a forged list', { crl: { signedBy: pki.rsa.stranger.privateKey } }],
  ['expired certificates', { nowMs: Date.UTC(2050, 0, 1) }],
];

for (const [what, faults] of MADE_UP) {
  test(`of evidence with ${what} nothing is kept`, async () => {
    const cache = new SnpCache();
    assert.equal(verifySnp({ ...(await buildSnpCase(pki, faults)), cache }).authentic, false);
    assert.deepEqual(sizes(cache), [0, 0, 0]);
  });
}

test(
  "AMD's own certificates take no room",
  { skip: hasCorpus ? false : 'the corpus is not here' },
  () => {
    const cache = new SnpCache();
    const result = verifySnp({
      evidence: {
        form: 'report',
        bytes: corpusFile('reports/real-genoa-v3-azure-coco.bin'),
        endorsements: { vek: corpusFile('certs/amd-real-genoa-v3-azure-coco-vek.der') },
      },
      nowMs: Date.UTC(2025, 5, 1),
      policy: { ...soundPolicy({ product: 'Genoa', signer: 'vcek' }), crl: NOT_ASKED },
      cache,
    });
    assert.equal(result.authentic, true);
    assert.equal(result.simulated, false);
    assert.deepEqual(sizes(cache), [1, 0, 0]);
  },
);
