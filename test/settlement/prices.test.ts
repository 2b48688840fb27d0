/** Lists of prices and what follows from them. Spec: ton-settlement §4.1, §7 S3. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { fixed, fromUtf8, utf8 } from '../../core/bytes.ts';
import { AMOUNT_MAX, amount } from '../../settlement/money.ts';
import { amountDue, amountOf, splitAmount } from '../../settlement/price.ts';
import {
  encodePriceBook,
  isValidAt,
  needOf,
  parsePriceBook,
  priceBookDigest,
  type PriceBook,
} from '../../settlement/prices.ts';

const REFUSED = { code: 'settlement.prices' };
const price = fc.bigInt({ min: 0n, max: 2n ** 40n });
const pricesArbitrary = fc.record({
  asset: fc.constant('TON' as const),
  base: price,
  prompt: price,
  cached: price,
  completion: price,
  reasoning: price,
});
const count = fc.integer({ min: 0, max: 0xffff_ffff });
const usageArbitrary = fc.record({
  prompt: count,
  cached: count,
  completion: count,
  reasoning: count,
});
const KINDS = ['prompt', 'cached', 'completion', 'reasoning'] as const;

test('an amount never falls when a token is added, and costs at most a unit more than exact', () => {
  fc.assert(
    fc.property(
      pricesArbitrary,
      usageArbitrary,
      fc.constantFrom(...KINDS),
      (prices, usage, kind) => {
        const cost = amountOf(prices, usage);
        assert.ok(amountOf(prices, { ...usage, [kind]: usage[kind] + 1 }) >= cost);
        const exact = KINDS.reduce((sum, name) => sum + BigInt(usage[name]) * prices[name], 0n);
        const beyond = (cost - prices.base) * 1_000_000n - exact;
        assert.ok(beyond >= 0n && beyond < 1_000_000n, 'one rounding, up');
      },
    ),
  );
});

test('worker and gateway share every amount exactly, and the fee never grows the bill', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: AMOUNT_MAX }),
      fc.integer({ min: 0, max: 10_000 }),
      (whole, feeBps) => {
        const { worker, gateway } = splitAmount(whole, feeBps);
        assert.equal(worker + gateway, whole);
        assert.ok(gateway * 10_000n >= whole * BigInt(feeBps));
        assert.ok((gateway - 1n) * 10_000n < whole * BigInt(feeBps) || gateway === 0n);
      },
    ),
  );
});

test('what is reserved covers every usage within the bounds, at the dearest recipient', () => {
  fc.assert(
    fc.property(
      fc.array(pricesArbitrary, { minLength: 1, maxLength: 8 }),
      fc.record({ prompt: fc.nat(1e6), cached: fc.nat(1e6) }),
      fc.record({ completion: fc.nat(1e6), reasoning: fc.nat(1e6) }),
      (offers, input, output) => {
        const usage = { ...input, ...output };
        const need = needOf(offers, {
          maxPrompt: input.prompt + input.cached,
          maxOutput: output.completion + output.reasoning,
        });
        for (const offer of offers) assert.ok(amountDue(offer, usage, 'ok') <= need);
      },
    ),
  );
});

test('a need that no ledger holds is refused', () => {
  const dear = 2n ** 53n;
  const prices = { asset: 'TON', base: 0n, prompt: dear, cached: 0n, completion: dear } as const;
  assert.throws(
    () =>
      needOf([{ ...prices, reasoning: 0n }], { maxPrompt: 0xffff_ffff, maxOutput: 0xffff_ffff }),
    { code: 'settlement.amount' },
  );
  assert.throws(() => needOf([], { maxPrompt: 1, maxOutput: 1 }), { code: 'internal.invariant' });
});

function book(change: Partial<PriceBook> = {}): PriceBook {
  const prices = {
    asset: 'TON',
    base: 1n,
    prompt: 2n,
    cached: 3n,
    completion: 4n,
    reasoning: 5n,
  } as const;
  const card = fixed(new Uint8Array(32).fill(1), 32);
  return {
    asset: 'TON',
    feeBps: 500,
    validUntilMs: 1000,
    entries: [
      { model: 'a', card, prices },
      { model: 'b', card, prices },
    ],
    ...change,
  };
}

test('a list comes back, has one digest whatever the order it was made in, and ends', () => {
  const bytes = encodePriceBook(book());
  assert.deepEqual(parsePriceBook(bytes), book());
  const reversed = encodePriceBook(book({ entries: book().entries.toReversed() }));
  assert.deepEqual(priceBookDigest(reversed), priceBookDigest(bytes));
  assert.ok(isValidAt(book(), 1000));
  assert.ok(!isValidAt(book(), 1001));
});

test('a list that is not canonical, complete, sorted and in range is refused', () => {
  const text = fromUtf8(encodePriceBook(book()));
  for (const wrong of [
    `${text} `,
    `\uFEFF${text}`,
    text.replace('"feeBps":500', '"feeBps":10001'),
    text.replace('"feeBps":500', '"feeBps":5e2'),
    text.replace('"feeBps":500,', ''),
    text.replace('"base":1', '"base":-1'),
    text.replace('"base":1', '"base":1.5'),
    text.replace('"model":"a"', '"model":"c"'),
    text.replace('"model":"a"', '"model":"b"'),
    text.replace('"asset":"TON"', '"asset":"BTC"'),
    text.replace('prices/1', 'prices/2'),
    text.slice(1),
  ]) {
    assert.notEqual(wrong, text);
    assert.throws(() => parsePriceBook(utf8(wrong)), REFUSED, wrong);
  }
  const [first] = book().entries;
  assert.ok(first);
  const dear = { ...first, prices: { ...first.prices, base: 2n ** 53n } };
  assert.throws(() => encodePriceBook(book({ entries: [dear] })), REFUSED);
  assert.throws(() => encodePriceBook(book({ entries: [first, first] })), REFUSED);
  assert.equal(needOf([first.prices], { maxPrompt: 1, maxOutput: 1 }), amount(2n));
});
