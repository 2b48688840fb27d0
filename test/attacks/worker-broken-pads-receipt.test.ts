/**
 * A worker whose enclave is broken signs what it likes: as many tokens as the request allowed. The client loses what it
 * allowed over the fair price, once, because its own count of the text stops it before the next one. What a worker says it
 * thought about cannot be counted by anybody else, nor what a template may have added; both stay within the same bound.
 * Spec: ton-settlement §4.3, §4.12 (worker enclave broken → client: ≤ R − fair price per request; visible to its recount).
 * @module
 */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import type { Usage } from '../../protocol/receipt.ts';
import { SPECIAL_TOKENS_PER_CHOICE } from '../../client/limits.ts';
import { MODEL, PROMPT } from '../support/memory-gateway.ts';
import { COST, paidGateway, payingApp } from '../support/paying.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { amountOf } from '../../settlement/price.ts';

const HONEST: Usage = { prompt: 5, cached: 0, completion: 2, reasoning: 0 };
const MAX_OUTPUT = 256;
const ANSWER_BYTES = 'whole answer'.length;

interface Loss {
  readonly reservation: bigint;
  readonly lost: bigint;
  readonly faults: readonly (readonly string[])[];
  readonly isHalted: boolean;
}

async function lossBy(context: TestContext, usage: Usage): Promise<Loss> {
  const gateway = await paidGateway(context, { usage });
  const app = payingApp(gateway);
  await app.sdk.chat.completions.create({
    model: MODEL,
    messages: [{ role: 'user', content: PROMPT }],
    max_tokens: MAX_OUTPUT,
  });
  const [reservation = 0n] = gateway.books.vouchers;
  const { charged } = await gateway.books.account();
  const next = await app.ask().then(
    () => 'served',
    (error: unknown) => (error instanceof Error && 'code' in error ? error.code : 'failed'),
  );
  await app.close();
  return {
    reservation,
    lost: charged - COST,
    faults: app.faults.map(({ faults }) => faults),
    isHalted: next === 'pay_halted',
  };
}

test('an honest receipt costs the fair price', async (context) => {
  const { lost, isHalted } = await lossBy(context, HONEST);
  assert.equal(lost, 0n);
  assert.equal(isHalted, false);
});

test('tokens that the text cannot hold are found, and paid for once', async (context) => {
  const usage = { ...HONEST, completion: MAX_OUTPUT };
  const { reservation, lost, faults, isHalted } = await lossBy(context, usage);
  context.diagnostic(`R ${reservation}, fair ${COST}, lost ${lost}`);
  assert.equal(lost, amountOf(TEST_PRICES, usage) - COST);
  assert.ok(lost > 0n && lost <= reservation - COST);
  assert.deepEqual(faults, [['usage']]);
  assert.ok(isHalted);
});

const UNSEEN: readonly (readonly [what: string, usage: Usage])[] = [
  ['hidden reasoning', { ...HONEST, reasoning: MAX_OUTPUT - HONEST.completion }],
  ['special tokens', { ...HONEST, completion: ANSWER_BYTES + SPECIAL_TOKENS_PER_CHOICE }],
  ['the prompt’s template', { ...HONEST, prompt: PROMPT.length }],
];
for (const [what, usage] of UNSEEN) {
  test(`${what} can hide tokens from the count, and no more than was allowed is paid for them`, async (context) => {
    const { reservation, lost, faults, isHalted } = await lossBy(context, usage);
    context.diagnostic(`R ${reservation}, fair ${COST}, lost ${lost}, not seen`);
    assert.equal(lost, amountOf(TEST_PRICES, usage) - COST);
    assert.ok(lost > 0n && lost <= reservation - COST);
    assert.deepEqual([faults, isHalted], [[], false]);
  });
}

test('beyond the bounds of the request nothing is paid at all', async (context) => {
  const usage = { ...HONEST, completion: MAX_OUTPUT + 1 };
  const gateway = await paidGateway(context, { usage });
  const app = payingApp(gateway);
  await assert.rejects(
    app.sdk.chat.completions.create({
      model: MODEL,
      messages: [{ role: 'user', content: 'x' }],
      max_tokens: MAX_OUTPUT,
    }),
  );
  assert.deepEqual(app.settled, []);
  await app.close();
});
