/**
 * Somebody steals a narrowed bearer token, or is given one, and tries to spend more than its caveats allow. Everything
 * that the token holds must not be enough to begin its chain anew. Spec: ton-settlement §4.4.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { fixed, toHex } from '../../core/bytes.ts';
import {
  formatBearer,
  isNarrowedFrom,
  narrow,
  parseBearerUnverified,
} from '../../settlement/bearer.ts';
import { amount } from '../../settlement/money.ts';
import { signVoucher, verifyVoucher } from '../../settlement/voucher.ts';

const PAYER = generateEd25519();
const VOUCHER = signVoucher(PAYER.secretKey, {
  channel: randomBytes(32),
  epoch: 0,
  ceiling: amount(1000n),
});
const TOKEN = formatBearer(
  narrow({ kind: 'whole', voucher: VOUCHER }, { kind: 'expiry', notAfterMs: 1 }),
);

test('a narrowed token does not carry the signature, whole or in its decoded parts', () => {
  const decoded = TOKEN.split('.')
    .map((part) => toHex(new Uint8Array(Buffer.from(part, 'base64url'))))
    .join('');
  assert.ok(!decoded.includes(toHex(VOUCHER.signature).slice(0, 16)));
});

test('its tag is no signature, and no key for another chain', () => {
  const stolen = parseBearerUnverified(TOKEN);
  assert.ok(stolen.kind === 'narrowed');
  const signature = fixed(new Uint8Array([...stolen.tag, ...stolen.tag]), 64);
  assert.equal(verifyVoucher({ ...stolen.terms, signature }, PAYER.publicKey), undefined);
  const forged = narrow(
    { kind: 'whole', voucher: { ...stolen.terms, signature } },
    { kind: 'expiry', notAfterMs: 2 },
  );
  assert.ok(forged.kind === 'narrowed' && !isNarrowedFrom(forged, VOUCHER.signature));
  assert.ok(!isNarrowedFrom({ ...stolen, caveats: [] }, VOUCHER.signature));
});
