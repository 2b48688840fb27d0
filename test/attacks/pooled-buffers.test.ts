/**
 * Attack: memory that evidence came in is used again, as pools of the runtime do. `slice` of a Buffer is a view and no
 * copy: what a cache keeps would change under it, and reading would write into the evidence.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyAzureSnp } from '../../attestation/azure/verify-azure.ts';
import { readVtpm } from '../../attestation/azure/vtpm-read.ts';
import { SignatureMemo } from '../../attestation/pki/signature.ts';
import { SnpCache } from '../../attestation/snp/cache.ts';
import { verifySnp, verifySnpApart } from '../../attestation/snp/verify.ts';
import { TdxCache } from '../../attestation/tdx/cache.ts';
import { parseTdxQuote } from '../../attestation/tdx/quote.ts';
import { CertificateReader } from '../../attestation/tdx/read.ts';
import { recallParts } from '../../attestation/tdx/recall.ts';
import { fixed } from '../../core/bytes.ts';
import * as native from '../../core/node/primitives.ts';
import * as portable from '../../core/primitives.ts';
import { azureSnpCase } from '../support/azure/case.ts';
import { buildSnpCase } from '../support/snp/case.ts';
import { createSnpTestPki } from '../support/snp/pki.ts';
import { buildCase } from '../support/tdx/case.ts';
import { createTestPki } from '../support/tdx/pki.ts';

const pki = await createSnpTestPki();

test('verifying SNP evidence in Buffers leaves it as it is, however often', async () => {
  const sound = await buildSnpCase(pki, {});
  const pooled = Buffer.from(sound.evidence.bytes);
  const input = { ...sound, evidence: { ...sound.evidence, bytes: pooled } };
  const memo = new SignatureMemo();
  await verifySnpApart(input, memo);
  assert.deepEqual(new Uint8Array(pooled), new Uint8Array(sound.evidence.bytes));
  for (const given of [{}, { memo }, {}]) assert.ok(verifySnp({ ...input, ...given }).accepted);
  assert.deepEqual(new Uint8Array(pooled), new Uint8Array(sound.evidence.bytes));
});

test('what is kept of SNP endorsements in Buffers does not change with them', async () => {
  const sound = await buildSnpCase(pki, {});
  const { vek, intermediate, root, crl } = sound.evidence.endorsements;
  assert.ok(vek !== undefined && intermediate !== undefined && root !== undefined);
  assert.ok(crl !== undefined);
  const pooled = {
    vek: Buffer.from(vek),
    intermediate: Buffer.from(intermediate),
    root: Buffer.from(root),
    crl: Buffer.from(crl),
  };
  const cache = new SnpCache();
  const evidence = { ...sound.evidence, endorsements: pooled };
  assert.ok(verifySnp({ ...sound, evidence, cache }).accepted);
  for (const buffer of Object.values(pooled)) buffer.fill(0);
  assert.deepEqual(verifySnp({ ...sound, cache }), verifySnp(sound));
  assert.ok(verifySnp({ ...sound, cache }).accepted);
});

test('what is kept of a quoting enclave is no view of a Buffer', async () => {
  const sound = await buildCase(await createTestPki());
  const pooled = Buffer.from(sound.quote);
  const { qe } = recallParts(parseTdxQuote(pooled), sound.collateral, {
    cache: new TdxCache(),
    nowMs: sound.nowMs,
    certificates: new CertificateReader(() => undefined),
  });
  for (const kept of [qe.value.attestationKey.raw, qe.value.report.bytes]) {
    assert.notEqual(kept.buffer, pooled.buffer);
  }
});

test('what is answered about a vTPM in Buffers does not change with them', async () => {
  const sound = await azureSnpCase(pki);
  const pooled = {
    blob: Buffer.from(sound.blob),
    quote: Buffer.from(sound.tpm.quote),
    signature: Buffer.from(sound.tpm.signature),
    pcrs: new Map([...sound.pcrs].map(([index, value]) => [index, Buffer.from(value)] as const)),
  };
  const { blob, quote, signature, pcrs } = pooled;
  const result = verifyAzureSnp({ ...sound, blob, tpm: { quote, signature }, pcrs });
  assert.ok(result.accepted);
  for (const buffer of [blob, quote, signature, ...pcrs.values()]) buffer.fill(0);
  assert.deepEqual(result, verifyAzureSnp(sound));
});

test('registers in Buffers are read into memory of our own', () => {
  const value = Buffer.alloc(32, 1);
  const nothing = new Uint8Array(0);
  const { pcrs } = readVtpm({
    blob: nothing,
    quote: nothing,
    signature: nothing,
    pcrs: new Map([[4, value]]),
  });
  value.fill(0);
  assert.deepEqual(pcrs, [[4, new Uint8Array(32).fill(1)]]);
});

for (const [name, side] of Object.entries({ node: native, noble: portable })) {
  test(`${name}: keys made from a Buffer do not change with it`, () => {
    const modulus = Buffer.alloc(256, 0xff);
    const key = side.rsaPublicKey(modulus, 65_537);
    modulus.fill(0);
    assert.deepEqual(key?.modulus, new Uint8Array(256).fill(0xff));
    const secret = fixed(Buffer.alloc(32, 1), 32);
    const nonce = fixed(new Uint8Array(12), 12);
    const before = side.aes256GcmKey(secret);
    const sealed = side.sealAes256Gcm(before, nonce, new Uint8Array(0), new Uint8Array(4));
    secret.fill(0);
    assert.ok(side.openAes256Gcm(before, nonce, new Uint8Array(0), sealed) !== undefined);
  });
}
