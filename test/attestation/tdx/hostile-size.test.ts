/** Evidence can be large; what is kept and what is answered because of it stays small. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, utf8 } from '../../../core/bytes.ts';
import { parseTdxQuote } from '../../../attestation/tdx/quote.ts';
import { CertificateReader } from '../../../attestation/tdx/read.ts';
import { recallParts } from '../../../attestation/tdx/recall.ts';
import { parseSignedBody } from '../../../attestation/tdx/signed-json.ts';
import { TDX_CHECK_IDS, tdxCheckSheet } from '../../../attestation/tdx/check-list.ts';
import { buildCase } from '../../support/tdx/case.ts';
import { createTestPki } from '../../support/tdx/pki.ts';

const pki = await createTestPki();
const PADDING_BYTES = 64 * 1024;
const TEXT_MAX_CHARS = 200;

test('what is kept of a quoting enclave does not hold the padding of its quote', async () => {
  const sound = await buildCase(pki);
  const quote = parseTdxQuote(concat(sound.quote, new Uint8Array(PADDING_BYTES)));
  const { qe } = recallParts(quote, sound.collateral, {
    cache: undefined,
    nowMs: sound.nowMs,
    certificates: new CertificateReader(() => undefined),
  });
  const { attestationKey, report } = qe.value;
  for (const kept of [attestationKey.raw, report.bytes, report.signature]) {
    assert.equal(kept.buffer.byteLength, kept.length);
  }
});

test('what is kept of a signed document does not hold the unsigned members beside it', () => {
  const filler = 'x'.repeat(PADDING_BYTES);
  const body = utf8(`{"filler":"${filler}","doc":{"a":1},"signature":"${'0'.repeat(128)}"}`);
  const { signed } = parseSignedBody(body, 'doc');
  assert.deepEqual(signed?.bytes, utf8('{"a":1}'));
  assert.equal(signed.bytes.buffer.byteLength, signed.bytes.length);
});

test('a failed check quotes a bounded part of what came', () => {
  const sheet = tdxCheckSheet();
  const [first, ...rest] = TDX_CHECK_IDS;
  sheet.fail(first, 'something short', '5.'.repeat(PADDING_BYTES));
  for (const id of rest) sheet.pass(id);
  const [check] = sheet.close();
  assert.ok(check?.outcome === 'fail');
  assert.equal(check.got.length, TEXT_MAX_CHARS);
});
