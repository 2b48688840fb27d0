/** Vouchers and charges: layout, strictness, and that one changed bit is another promise. Spec: ton-settlement §4.3. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { generateEd25519, randomBytes } from '#primitives';
import { ascii, concat, fixed, toHex, u128be, u16be } from '../../core/bytes.ts';
import {
  encodeCharge,
  isChargeSignedBy,
  parseCharge,
  signCharge,
} from '../../settlement/charge.ts';
import { AMOUNT_MAX, amount } from '../../settlement/money.ts';
import {
  assertVerified,
  encodeVoucher,
  encodeVoucherTerms,
  formatVoucher,
  parseVoucherTerms,
  parseVoucherTextUnverified,
  parseVoucherUnverified,
  signVoucher,
  verifyVoucher,
} from '../../settlement/voucher.ts';

const REFUSED = { code: 'settlement.artefact' };
const PAYER = generateEd25519();
const CHANNEL = fixed(new Uint8Array(32).fill(0xab), 32);
const TERMS = { channel: CHANNEL, epoch: 258, ceiling: amount(1_000_000_007n) };

const termsArbitrary = fc
  .record({
    channel: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => fixed(bytes, 32)),
    epoch: fc.integer({ min: 0, max: 0xffff }),
    ceiling: fc.bigInt({ min: 0n, max: AMOUNT_MAX }).map(amount),
  })
  .map((terms) => ({ ...terms }));

test('what is signed is 55 bytes, as the contract reads them', () => {
  const want = `56475631${'ab'.repeat(32)}010200${'0'.repeat(24)}3b9aca07`;
  assert.equal(toHex(encodeVoucherTerms(TERMS)), want);
  const charge = { channel: CHANNEL, epoch: 258, isFinal: true, charged: amount(7n) };
  assert.equal(toHex(encodeCharge(charge)), `56474331${'ab'.repeat(32)}010201${'0'.repeat(31)}7`);
});

test('every voucher comes back from its bytes, its text and its terms', () => {
  fc.assert(
    fc.property(termsArbitrary, (terms) => {
      const voucher = signVoucher(PAYER.secretKey, terms);
      assert.deepEqual(parseVoucherUnverified(encodeVoucher(voucher)), voucher);
      assert.deepEqual(parseVoucherTextUnverified(formatVoucher(voucher)), voucher);
      assert.deepEqual(parseVoucherTerms(encodeVoucherTerms(terms)), terms);
      assert.equal(formatVoucher(voucher).length, 154);
    }),
    { numRuns: 50 },
  );
});

test('one changed bit anywhere is refused or is not signed', () => {
  const bytes = encodeVoucher(signVoucher(PAYER.secretKey, TERMS));
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = bytes.slice();
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    let read;
    try {
      read = parseVoucherUnverified(changed);
    } catch {
      continue; // form byte, or an amount that nobody can hold
    }
    assert.equal(verifyVoucher(read, PAYER.publicKey), undefined, `bit ${bit}`);
  }
});

test('a wrong size, form, tag, flag or range is refused', () => {
  const bytes = encodeVoucher(signVoucher(PAYER.secretKey, TERMS));
  for (const wrong of [
    bytes.subarray(1),
    concat(bytes, Uint8Array.of(0)),
    concat(Uint8Array.of(2), bytes.subarray(1)),
    new Uint8Array(0),
  ]) {
    assert.throws(() => parseVoucherUnverified(wrong), REFUSED);
  }
  const tooMuch = concat(bytes.subarray(0, 35), u128be(AMOUNT_MAX + 1n), bytes.subarray(51));
  assert.throws(() => parseVoucherUnverified(tooMuch), REFUSED);
  const terms = encodeVoucherTerms(TERMS);
  assert.throws(() => parseVoucherTerms(concat(ascii('VGC1'), terms.subarray(4))), REFUSED);
  assert.throws(() => parseVoucherTerms(concat(terms, Uint8Array.of(0))), REFUSED);
  const flagged = concat(ascii('VGV1'), CHANNEL, u16be(1), Uint8Array.of(1), u128be(1n));
  assert.throws(() => parseVoucherTerms(flagged), REFUSED);
  const text = formatVoucher(signVoucher(PAYER.secretKey, TERMS));
  for (const wrong of [
    text.slice(1),
    `${text}A`,
    `${text.slice(0, -1)}=`,
    `${text.slice(0, -1)}B`,
  ]) {
    assert.throws(() => parseVoucherTextUnverified(wrong), REFUSED);
  }
});

test('a voucher of another key is none', () => {
  const voucher = signVoucher(generateEd25519().secretKey, TERMS);
  assert.equal(verifyVoucher(voucher, PAYER.publicKey), undefined);
});

test('only verification makes what the ledger takes, and later changes do not reach it', () => {
  const voucher = signVoucher(PAYER.secretKey, { ...TERMS, channel: fixed(CHANNEL.slice(), 32) });
  const verified = verifyVoucher(voucher, PAYER.publicKey);
  assert.ok(verified);
  assertVerified(verified);
  assert.throws(() => assertVerified({ ...verified }), { code: 'internal.invariant' });
  voucher.channel.fill(0);
  assert.deepEqual(verified.channel, CHANNEL);
});

test('a charge comes back, and is signed by the payee key alone', () => {
  const payee = generateEd25519();
  for (const isFinal of [true, false]) {
    const charge = { channel: randomBytes(32), epoch: 3, isFinal, charged: amount(5n) };
    const bytes = encodeCharge(charge);
    assert.deepEqual(parseCharge(bytes), charge);
    const signature = signCharge(payee.secretKey, charge);
    assert.ok(isChargeSignedBy(charge, signature, payee.publicKey));
    assert.ok(!isChargeSignedBy({ ...charge, isFinal: !isFinal }, signature, payee.publicKey));
    assert.ok(!isChargeSignedBy({ ...charge, epoch: 4 }, signature, payee.publicKey));
    assert.ok(!isChargeSignedBy({ ...charge, charged: amount(6n) }, signature, payee.publicKey));
    assert.ok(!isChargeSignedBy(charge, signature, PAYER.publicKey));
    const flagged = bytes.slice();
    flagged[38] = 2;
    assert.throws(() => parseCharge(flagged), REFUSED);
  }
});
