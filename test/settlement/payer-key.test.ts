/** Keys that a channel may not have, against the noble libraries. Spec: ton-settlement §3.4. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ed25519 } from '@noble/curves/ed25519.js';
import { generateEd25519, randomBytes } from '#primitives';
import { fixed, type Bytes } from '../../core/bytes.ts';
import { appraisePayerKey } from '../../settlement/payer-key.ts';
import { SMALL_ORDER_KEYS, littleEndian } from '../support/payer-keys.ts';

const P = 2n ** 255n - 19n;

function nobleSays(key: Bytes<32>): boolean {
  try {
    return !ed25519.Point.fromBytes(key, false).isSmallOrder();
  } catch {
    return false; // refused, whatever the reason
  }
}

test('keys that somebody generated are sound', () => {
  for (let i = 0; i < 10; i++) {
    assert.equal(appraisePayerKey(generateEd25519().publicKey), 'sound');
  }
});

test('all eight points of small order are refused', () => {
  assert.equal(SMALL_ORDER_KEYS.length, 8);
  for (const key of SMALL_ORDER_KEYS) assert.equal(appraisePayerKey(key), 'small_order');
});

test('a coordinate beyond the field, and a sign where x is zero, are refused', () => {
  for (let y = P; y < 2n ** 255n; y++) {
    assert.equal(appraisePayerKey(littleEndian(y)), 'non_canonical');
    assert.equal(appraisePayerKey(littleEndian(y | (1n << 255n))), 'non_canonical');
  }
  for (const y of [1n, P - 1n]) {
    assert.equal(appraisePayerKey(littleEndian(y | (1n << 255n))), 'non_canonical');
  }
});

test('arbitrary bytes are judged as noble judges them', () => {
  const seen = new Set<string>();
  for (let i = 0; i < 60; i++) {
    const key = randomBytes(32);
    const verdict = appraisePayerKey(key);
    seen.add(verdict);
    assert.equal(verdict === 'sound', nobleSays(key));
  }
  for (let y = 0n; y < 40n; y++) {
    const key = littleEndian(y);
    assert.equal(appraisePayerKey(key) === 'sound', nobleSays(key), String(y));
  }
  assert.ok(seen.has('sound') && seen.has('not_a_point'));
  assert.equal(appraisePayerKey(fixed(new Uint8Array(32).fill(255), 32)), 'non_canonical');
});
