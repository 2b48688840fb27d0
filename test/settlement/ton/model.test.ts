/**
 * A channel against a model of it: random operations by everybody, time that passes, old messages sent again. After each
 * one the counters, the exit code, the money and the rights must be those of the model. SLOW=1 for many more.
 * Spec: ton-settlement §7 I1–I12.
 * @module
 */

import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { channelWorld, type Step } from '../../support/ton/channel-model.ts';

const SLOW = process.env['SLOW'] === '1';
const RUNS = SLOW ? 1000 : 80;
const STEPS_MAX = SLOW ? 40 : 20;
const TIME_MS = SLOW ? 150_000 : 25_000;

const nanoton = fc.bigInt({ min: 0n, max: 4_000_000_000n });
const dust = fc.bigInt({ min: 0n, max: 30_000_000n });
const amount = fc.oneof(nanoton, dust);
const way = fc.constantFrom('internal', 'external');
const skew = fc.constantFrom(0, 0, 0, 0, 1, -1);
const flaw = fc.constantFrom(
  'none',
  'none',
  'none',
  'none',
  'voucher',
  'charge',
  'ceiling',
  'salt',
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('deposit'), value: amount }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('claim'),
      way,
      more: fc.oneof(amount, fc.constant(0n)),
      slack: amount,
      isFinal: fc.constantFrom(false, false, false, true),
      epochSkew: skew,
      flaw,
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('replay'), pick: fc.nat(1000) }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('withdraw'),
      way,
      amount: fc.oneof(amount, fc.constant(0n)),
      epochSkew: skew,
      ahead: fc.integer({ min: -5, max: 4000 }),
      by: fc.constantFrom('payer', 'payer', 'payer', 'stranger'),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('cancel'), by: fc.constantFrom('payer', 'stranger') }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('finalize'), way }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('donate'), value: amount }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('bounced'), value: amount }) },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('pass'),
      seconds: fc.constantFrom(1, 600, 43_200, 86_400, 90_000),
    }),
  },
);

/** Runs first, so that a machine without time sees each way out at least: half of it three times, then a claim to its end. */
const LIVED: readonly Step[] = [
  ...[1, 2, 3].flatMap((): readonly Step[] => [
    {
      kind: 'withdraw',
      way: 'internal',
      amount: 100_000_000n,
      epochSkew: 0,
      ahead: 0,
      by: 'payer',
    },
    { kind: 'pass', seconds: 90_000 },
    { kind: 'finalize', way: 'internal' },
  ]),
  ...Array.from({ length: 6 }, (): Step => ({
    kind: 'claim',
    way: 'internal',
    more: 50_000_000n,
    slack: 0n,
    isFinal: false,
    epochSkew: 0,
    flaw: 'none',
  })),
];

test('a channel does what its model does', async () => {
  const seen = new Map<string, number>();
  const history = fc.array(step, { minLength: 5, maxLength: STEPS_MAX });
  await fc.assert(
    fc.asyncProperty(history, fc.constantFrom('payer', 'payee'), async (steps, first) => {
      const world = await channelWorld();
      for (const next of steps) {
        const outcome = await world.take(next);
        seen.set(outcome, (seen.get(outcome) ?? 0) + 1);
      }
      if (first === 'payee') await world.payeeCollects();
      await world.payerLeaves();
      await world.conserved();
    }),
    {
      numRuns: RUNS,
      examples: [
        [[...LIVED], 'payer'],
        [[...LIVED], 'payee'],
      ],
      interruptAfterTimeLimit: TIME_MS,
      seed: SLOW ? randomInt(2 ** 31) : 20_260_101,
    },
  );
  assert.ok((seen.get('claim 0') ?? 0) > 5, 'claims went through');
  assert.ok((seen.get('finalize 0') ?? 0) > 2, 'withdraws went through');
});
