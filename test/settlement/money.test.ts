/** Money in and out of text, without floats. Spec: ton-settlement §4.1. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import {
  AMOUNT_MAX,
  ASSETS,
  amount,
  assetOfCode,
  codeOfAsset,
  formatAmount,
  parseAmount,
} from '../../settlement/money.ts';

const REFUSED = { code: 'settlement.amount' };

test('every amount of every asset comes back from its text', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: AMOUNT_MAX }),
      fc.constantFrom(...ASSETS),
      (value, { name }) => {
        assert.equal(parseAmount(formatAmount(amount(value), name), name), value);
      },
    ),
  );
});

test('text means what it says', () => {
  assert.equal(parseAmount('1', 'TON'), 1_000_000_000n);
  assert.equal(parseAmount('0.000000001', 'TON'), 1n);
  assert.equal(parseAmount('9007199254.740993', 'USDT'), 9_007_199_254_740_993n);
  assert.equal(formatAmount(amount(1_500_000n), 'USDT'), '1.5');
  assert.equal(formatAmount(amount(1n), 'TON'), '0.000000001');
});

test('loose forms, too many digits and what no ledger holds are refused', () => {
  for (const text of ['', '.5', '1.', '01', '+1', '-1', '1e3', '1,5', ' 1', '0x1', '1_0']) {
    assert.throws(() => parseAmount(text, 'TON'), REFUSED, text);
  }
  assert.throws(() => parseAmount('0.0000001', 'USDT'), REFUSED);
  assert.throws(() => parseAmount('9223372036.854775808', 'TON'), REFUSED);
  assert.equal(parseAmount('9223372036.854775807', 'TON'), AMOUNT_MAX);
  assert.throws(() => amount(-1n), REFUSED);
  assert.throws(() => amount(AMOUNT_MAX + 1n), REFUSED);
});

test('an asset has one code', () => {
  for (const { name, code } of ASSETS) {
    assert.equal(codeOfAsset(name), code);
    assert.equal(assetOfCode(code), name);
  }
  assert.equal(assetOfCode(2), undefined);
});
