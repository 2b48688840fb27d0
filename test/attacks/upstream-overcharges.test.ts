/**
 * A buggy or hostile engine beside a worker counts more than it delivered, to have the app pay for it: in every place where
 * it counts, and also by telling that tokens were cached, or thought and hidden. The receipt says no more than can be.
 * Spec: docs/engines.md "What is billed"; openai-gateway-and-engine §2.6.
 * @module
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { PriceList } from '../../attestation/verdict.ts';
import type { Usage } from '../../protocol/receipt.ts';
import { startFakeUpstream, tokensIn, type FakeUpstream } from '../support/fake-upstream.ts';
import { exchangeFixture, MODEL_ID, type Fixture } from '../enclave-worker/exchange-fixture.ts';
import { startOver, type UpstreamEngine } from '../enclave-worker/openai-upstream/fixture.ts';

const PRICES: PriceList = {
  asset: 'TON',
  base: 0n,
  prompt: 1_000_000n,
  cached: 1_000_000n,
  completion: 1_000_000n,
  reasoning: 1_000_000n,
};
const LIMITS = { maxPromptTokens: 150, maxOutputTokens: 100, maxConcurrent: 2 };
const MESSAGES = [{ role: 'user', content: 'Hello there' }];
const HUGE = 1_000_000_000;
/** Bytes of the answer, and the tokens that may leave none. */
const OUTPUT_MAX = 2 + 64;
/** As the tokenizer of the upstream counted before, and the slack it has. */
const PROMPT_MAX = tokensIn({ messages: MESSAGES }) + 32;

let fake: FakeUpstream;
let over: UpstreamEngine;
let fixture: Fixture;

before(async () => {
  fake = await startFakeUpstream();
  over = await startOver(fake);
  fixture = exchangeFixture({ engine: over.engine, prices: PRICES, limits: LIMITS });
});
after(async () => {
  await over.engine.close();
  await fake.close();
});

const LIES: readonly (readonly [what: string, usage: object])[] = [
  ['of output', { prompt_tokens: 5, completion_tokens: HUGE }],
  ['of the prompt', { prompt_tokens: HUGE, completion_tokens: 1 }],
  ['of both', { prompt_tokens: HUGE, completion_tokens: HUGE, total_tokens: HUGE }],
  [
    'that were thought and hidden',
    {
      prompt_tokens: 5,
      completion_tokens: 99,
      completion_tokens_details: { reasoning_tokens: 98 },
    },
  ],
  [
    'that were cached',
    { prompt_tokens: 5, completion_tokens: 1, prompt_tokens_details: { cached_tokens: HUGE } },
  ],
  ['beyond what numbers hold', { prompt_tokens: 1e300, completion_tokens: 1e300 }],
  ['below nothing', { prompt_tokens: -HUGE, completion_tokens: -HUGE }],
];

for (const [what, usage] of LIES) {
  for (const mode of ['at the end', 'on the way'] as const) {
    test(`tokens ${what}, told ${mode}, cost no more than what was delivered`, async () => {
      fake.script = async ({ begin, chunk, done }) => {
        begin();
        await chunk({ index: 0, delta: { content: 'Hi' } }, mode === 'on the way' ? { usage } : {});
        await chunk({ index: 0, delta: {}, finish_reason: 'stop' }, { usage });
        await done();
      };
      const { status, receipt } = await fixture.ask(
        { model: MODEL_ID, messages: MESSAGES },
        { bounds: { maxAmount: 10n ** 15n, maxPrompt: 150, maxOutput: 100, asset: 0 } },
      );
      assert.equal(status, 200);
      const spent: Usage | undefined = receipt?.receipt.usage;
      assert.ok(spent !== undefined);
      assert.ok(spent.prompt + spent.cached <= PROMPT_MAX, `${spent.prompt}`);
      assert.ok(spent.completion + spent.reasoning <= OUTPUT_MAX, `${spent.completion}`);
      assert.equal(spent.cached, 0);
    });
  }
}

test('an answer that goes on beyond what was signed for is cut, and costs what was signed for at most', async () => {
  fake.script = async ({ begin, chunk }) => {
    begin();
    while (await chunk({ index: 0, delta: { content: 'x'.repeat(100) } }));
  };
  const { receipt, text } = await fixture.ask(
    { model: MODEL_ID, messages: MESSAGES, stream: true },
    { bounds: { maxAmount: 10n ** 15n, maxPrompt: 150, maxOutput: 20, asset: 0 } },
  );
  assert.match(text, /"error"/);
  assert.ok(!text.includes('[DONE]'));
  const spent = receipt?.receipt.usage;
  assert.ok(spent !== undefined && spent.completion <= 20);
});
