/** What the cache remembers changes how long an answer takes and nothing else. @module */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TdxCache } from '../../../attestation/tdx/cache.ts';
import { INTEL_ROOT } from '../../../attestation/tdx/roots.ts';
import { verifyTdx, type TdxResult } from '../../../attestation/tdx/verify.ts';
import { buildCase, type TdxCase } from '../../support/tdx/case.ts';
import { createTestPki, DAY_MS } from '../../support/tdx/pki.ts';
import { CERTIFICATE_CASES } from './cases/certificate-cases.ts';
import { DOCUMENT_CASES } from './cases/document-cases.ts';
import { POLICY_CASES } from './cases/policy-cases.ts';
import { QUOTE_CASES } from './cases/quote-cases.ts';

const pki = await createTestPki();
const sound = await buildCase(pki);

function warmCache(evidence: TdxCase = sound): TdxCache {
  const cache = new TdxCache();
  assert.equal(verifyTdx({ ...evidence, cache }).accepted, true);
  return cache;
}

function failing(result: TdxResult): readonly string[] {
  return result.checks.filter(({ outcome }) => outcome === 'fail').map(({ id }) => id);
}

/** One cache for everything: bad evidence must not be able to prepare the way for other bad evidence either. */
describe('with a warm cache the answer is the one without', () => {
  const shared = warmCache();
  for (const known of [...QUOTE_CASES, ...CERTIFICATE_CASES, ...DOCUMENT_CASES, ...POLICY_CASES]) {
    test(`${known.id}: ${known.title}`, async () => {
      const faults = typeof known.faults === 'function' ? await known.faults(pki) : known.faults;
      const evidence = await buildCase(pki, faults);
      const plain = verifyTdx(evidence);
      assert.deepEqual(verifyTdx({ ...evidence, cache: shared }), plain);
      assert.deepEqual(verifyTdx({ ...evidence, cache: shared }), plain);
    });
  }
});

test('the same evidence gives the same answer a second time', () => {
  const cache = new TdxCache();
  const first = verifyTdx({ ...sound, cache });
  assert.deepEqual(verifyTdx({ ...sound, cache }), first);
  assert.deepEqual(verifyTdx(sound), first);
});

test('time goes on for what is remembered', () => {
  const cache = warmCache();
  const late = verifyTdx({ ...sound, cache, nowMs: sound.nowMs + 60 * DAY_MS });
  const stale = ['rootCrl', 'pckCrl', 'tcbInfo', 'qeIdentity'].map((kind) => `${kind}.freshness`);
  assert.deepEqual(failing(late), stale);
  const early = verifyTdx({ ...sound, cache, nowMs: sound.nowMs - 60 * DAY_MS });
  assert.deepEqual(failing(early), stale);
});

test('a root that is no longer trusted is refused, whatever is remembered', () => {
  const result = verifyTdx({ ...sound, cache: warmCache(), roots: [INTEL_ROOT] });
  assert.deepEqual(failing(result), ['pck.root', 'tcbInfo.chain', 'qeIdentity.chain']);
  assert.equal(result.accepted, false);
});

test('a list that revokes a known machine is heard', async () => {
  const revoking = await buildCase(pki, {
    collateral: {
      pckCrl: (profile, { pck }) => ({
        ...profile,
        revoked: [{ serial: pck.profile.serial, revokedMs: sound.nowMs - DAY_MS }],
      }),
    },
  });
  const cache = warmCache();
  const result = verifyTdx({ ...sound, collateral: revoking.collateral, cache });
  assert.deepEqual(failing(result), ['pck.revoked']);
});

test('remembered documents count only with the chain they came with', () => {
  const collateral = { ...sound.collateral, tcbInfoIssuerChain: '' };
  const result = verifyTdx({ ...sound, collateral, cache: warmCache() });
  assert.deepEqual(failing(result), ['tcbInfo.chain']);
});

test('a buffer that its owner uses again cannot change what was remembered', () => {
  const quote = Uint8Array.from(sound.quote);
  const tcbInfo = Uint8Array.from(sound.collateral.tcbInfo);
  const pckCrl = Uint8Array.from(sound.collateral.pckCrl);
  const cache = new TdxCache();
  const first = verifyTdx({
    ...sound,
    quote,
    collateral: { ...sound.collateral, tcbInfo, pckCrl },
    cache,
  });
  const plain = verifyTdx(sound);
  for (const buffer of [quote, tcbInfo, pckCrl]) buffer.fill(0xee);
  assert.deepEqual(first, plain);
  assert.deepEqual(verifyTdx({ ...sound, cache }), plain);
  assert.equal(verifyTdx({ ...sound, quote, cache }).accepted, false);
});

test('only what was authentic is remembered', async () => {
  const cache = new TdxCache();
  const bad = await buildCase(pki, { quote: { bytes: (quote) => quote.fill(1, 636, 700) } });
  assert.equal(verifyTdx({ ...bad, cache }).authentic, false);
  const sizes = [cache.collateral, cache.chains, cache.qes, cache.authorities].map((c) => c.size);
  assert.deepEqual(sizes, [0, 0, 0, 0]);
});

test('a cache stays within its limits', async () => {
  const cache = new TdxCache({ collateralMax: 1, chainsMax: 1, qesMax: 1, authoritiesMax: 2 });
  for (let i = 0; i < 3; i++) {
    const evidence = await buildCase(pki, { quote: { qeAuthData: new Uint8Array(i) } });
    assert.equal(verifyTdx({ ...evidence, cache }).accepted, true);
  }
  const sizes = [cache.collateral, cache.chains, cache.qes, cache.authorities].map((c) => c.size);
  assert.deepEqual(sizes, [1, 1, 1, 2]);
});
