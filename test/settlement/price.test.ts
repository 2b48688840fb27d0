/** Prices: integers, one rounding, an exact split. Spec: P§9.3. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { amountDue, amountOf, ceilingOf, isFree, splitAmount } from '../../settlement/price.ts';
import { FREE_PRICES, TEST_PRICES } from '../support/attested-key.ts';

const NONE = { prompt: 0, cached: 0, completion: 0, reasoning: 0 };
const CHEAP = { ...FREE_PRICES, prompt: 1n, cached: 1n, completion: 1n, reasoning: 1n };

test('the sum is rounded once, up', () => {
  assert.equal(amountOf(CHEAP, { prompt: 1, cached: 1, completion: 1, reasoning: 1 }), 1n);
  assert.equal(amountOf(CHEAP, { ...NONE, prompt: 1_000_000 }), 1n);
  assert.equal(amountOf(CHEAP, { ...NONE, prompt: 1_000_001 }), 2n);
  assert.equal(amountOf(TEST_PRICES, NONE), TEST_PRICES.base);
});

test('each kind has its price', () => {
  const prices = {
    ...FREE_PRICES,
    base: 5n,
    prompt: 1_000_000n,
    cached: 2_000_000n,
    completion: 3_000_000n,
    reasoning: 4_000_000n,
  };
  const usage = { prompt: 10, cached: 100, completion: 1000, reasoning: 10_000 };
  assert.equal(amountOf(prices, usage), 5n + 10n + 200n + 3000n + 40_000n);
});

test('counts that are not whole are a bug, not a price', () => {
  for (const prompt of [-1, 1.5, Number.NaN, 2 ** 53]) {
    assert.throws(() => amountOf(TEST_PRICES, { ...NONE, prompt }), { code: 'internal.invariant' });
  }
});

test('what failed or was cancelled before the first token costs nothing', () => {
  assert.equal(amountDue(TEST_PRICES, NONE, 'error'), 0n);
  assert.equal(amountDue(TEST_PRICES, NONE, 'cancelled'), 0n);
  assert.equal(amountDue(TEST_PRICES, NONE, 'ok'), TEST_PRICES.base);
  const used = { ...NONE, prompt: 3 };
  assert.equal(amountDue(TEST_PRICES, used, 'cancelled'), amountOf(TEST_PRICES, used));
});

test('the ceiling covers every mix of kinds within the bounds', () => {
  const prices = { ...TEST_PRICES, cached: 9_000_000n, reasoning: 11_000_000n };
  const ceiling = ceilingOf(prices, 10, 10);
  for (let cached = 0; cached <= 10; cached++) {
    for (let reasoning = 0; reasoning <= 10; reasoning++) {
      const usage = { prompt: 10 - cached, cached, completion: 10 - reasoning, reasoning };
      assert.ok(amountOf(prices, usage) <= ceiling);
    }
  }
  assert.equal(amountOf(prices, { ...NONE, cached: 10, reasoning: 10 }), ceiling);
});

test('free means every price is zero', () => {
  assert.ok(isFree(FREE_PRICES));
  for (const kind of ['base', 'prompt', 'cached', 'completion', 'reasoning'] as const) {
    assert.ok(!isFree({ ...FREE_PRICES, [kind]: 1n }), kind);
  }
});

test('worker and gateway always share the whole amount', () => {
  for (const amount of [0n, 1n, 9999n, 10_000n, 123_456_789n]) {
    for (const feeBps of [0, 1, 500, 10_000]) {
      const { worker, gateway } = splitAmount(amount, feeBps);
      assert.equal(worker + gateway, amount);
      assert.ok(worker >= 0n && gateway >= 0n);
    }
  }
  assert.deepEqual(splitAmount(999n, 500), { worker: 949n, gateway: 50n });
  assert.throws(() => splitAmount(1n, 10_001), { code: 'internal.invariant' });
});
