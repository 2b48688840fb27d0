/** The quote reader: sizes, types and lengths, for every input. @module */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { randomBytes } from '#primitives';
import { QUOTE_MAX_BYTES } from '../../../attestation/tdx/limits.ts';
import { parseTdxQuote } from '../../../attestation/tdx/quote.ts';
import { concat, toHex } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { buildCase, tdReport } from '../../support/tdx/case.ts';
import { createTestPki } from '../../support/tdx/pki.ts';

const pki = await createTestPki();
const FORMS = [
  { version: 4, body: 2, bodyAt: 48, bodyBytes: 584 },
  { version: 5, body: 2, bodyAt: 54, bodyBytes: 584 },
  { version: 5, body: 3, bodyAt: 54, bodyBytes: 648 },
  { version: 5, body: 4, bodyAt: 54, bodyBytes: 885 },
] as const;

function refuses(bytes: Uint8Array, what: string): void {
  assert.throws(
    () => parseTdxQuote(bytes),
    (error) => hasCode(error, 'tdx.quote'),
    what,
  );
}

function changed(bytes: Uint8Array, at: number, ...values: readonly number[]): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy.set(values, at);
  return copy;
}

for (const { version, body, bodyAt, bodyBytes } of FORMS) {
  describe(`version ${version}, body type ${body}`, async () => {
    const { quote } = await buildCase(pki, { quote: { version, body } });
    const authAt = bodyAt + bodyBytes + 4;

    test('every field is where it belongs', () => {
      const parsed = parseTdxQuote(quote);
      const want = tdReport(body);
      assert.deepEqual(parsed.td, want);
      assert.equal(toHex(parsed.signed), toHex(quote.subarray(0, bodyAt + bodyBytes)));
      assert.equal(toHex(parsed.signature), toHex(quote.subarray(authAt, authAt + 64)));
      assert.equal(toHex(parsed.attestationKey), toHex(quote.subarray(authAt + 64, authAt + 128)));
      assert.equal(toHex(parsed.qeReportBytes), toHex(quote.subarray(authAt + 134, authAt + 518)));
      assert.equal(toHex(parsed.qeSpan), toHex(quote.subarray(authAt + 64, authAt + 584 + 32)));
      assert.equal(parsed.certificationType, 5);
      assert.equal(parsed.trailing.length, 0);
    });

    test('every shorter text is refused, and bytes after it are counted', () => {
      for (let size = 0; size < quote.length; size++) refuses(quote.subarray(0, size), `${size}`);
      assert.equal(parseTdxQuote(concat(quote, new Uint8Array(70))).trailing.length, 70);
    });

    test('the three lengths must agree exactly', () => {
      for (const at of [authAt - 4, authAt + 130, authAt + 584 + 32 + 2]) {
        const low = quote[at] ?? 0;
        refuses(changed(quote, at, (low + 1) & 0xff), `one more at ${at}`);
        refuses(changed(quote, at, (low - 1) & 0xff), `one less at ${at}`);
        refuses(changed(quote, at, 0xff, 0xff, 0xff, 0xff), `all ones at ${at}`);
        // Room behind the quote must not make a longer length right.
        refuses(concat(changed(quote, at, (low + 1) & 0xff), new Uint8Array(9)), `room at ${at}`);
      }
    });

    test('types and versions that are not ours are refused', () => {
      for (const other of [0, 3, 6, 0xff]) refuses(changed(quote, 0, other), `version ${other}`);
      for (const other of [0, 1, 3]) refuses(changed(quote, 2, other), `key type ${other}`);
      for (const other of [0, 0x82]) refuses(changed(quote, 4, other), `TEE type ${other}`);
      for (const other of [1, 5, 7]) refuses(changed(quote, authAt + 128, other), `outer ${other}`);
      for (const other of [0, 6, 8]) refuses(changed(quote, authAt + 616, other), `inner ${other}`);
    });
  });
}

test('a body type and its size belong together', async () => {
  const { quote } = await buildCase(pki, { quote: { version: 5, body: 2 } });
  for (const type of [0, 1, 3, 4, 5, 9]) refuses(changed(quote, 48, type), `type ${type}`);
  for (const size of [583, 585, 648, 885, 0]) {
    refuses(changed(quote, 50, size & 0xff, size >>> 8), `size ${size}`);
  }
});

test('random bytes and sizes beyond the limit end in the same error', async () => {
  for (let size = 0; size < 2000; size += 13) refuses(randomBytes(size), `${size} random bytes`);
  const { quote } = await buildCase(pki);
  refuses(concat(quote, new Uint8Array(QUOTE_MAX_BYTES)), 'too large');
});
