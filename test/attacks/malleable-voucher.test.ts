/**
 * A payer sends a signature that a lax verifier takes and the chain does not, and gets service for nothing. What is
 * accepted here must be a subset of what TVM accepts. Spec: ton-settlement §3.4, D12.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateEd25519, randomBytes } from '#primitives';
import { concat, fixed, type Bytes } from '../../core/bytes.ts';
import { amount } from '../../settlement/money.ts';
import { appraisePayerKey } from '../../settlement/payer-key.ts';
import { signVoucher, verifyVoucher } from '../../settlement/voucher.ts';
import { littleEndian, SMALL_ORDER_KEYS } from '../support/payer-keys.ts';

const P = 2n ** 255n - 19n;
const L = 2n ** 252n + 27742317777372353535851937790883648493n;
const TERMS = { channel: randomBytes(32), epoch: 0, ceiling: amount(1n) };

function malleated(signature: Bytes<64>): Bytes<64> {
  let s = 0n;
  for (let at = 63; at >= 32; at--) s = (s << 8n) | BigInt(signature[at] ?? 0);
  return fixed(concat(signature.subarray(0, 32), littleEndian(s + L)), 64);
}

test('S + L is not a second signature', () => {
  const payer = generateEd25519();
  for (let i = 0; i < 50; i++) {
    const voucher = signVoucher(payer.secretKey, { ...TERMS, ceiling: amount(BigInt(i)) });
    assert.ok(verifyVoucher(voucher, payer.publicKey));
    const changed = { ...voucher, signature: malleated(voucher.signature) };
    assert.equal(verifyVoucher(changed, payer.publicKey), undefined);
  }
});

test('keys under which anybody can sign never open a channel', () => {
  for (const key of [...SMALL_ORDER_KEYS, littleEndian(P + 1n), littleEndian(P)]) {
    assert.notEqual(appraisePayerKey(key), 'sound');
    // Where R and A are neutral and S is zero, TVM and OpenSSL agree that it is signed: hence the check of the key.
    verifyVoucher({ ...TERMS, signature: fixed(concat(key, new Uint8Array(32)), 64) }, key);
  }
});
