/**
 * D9. Attack: bounds that nobody means: a billion choices, more tokens than there are, less money than anything costs. The
 * client refuses what it would have to sign for, and a worker everything else before it has spent anything. @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sealedFetch } from '../../client/index.ts';
import { ceilingOf } from '../../protocol/price.ts';
import { exchangeFixture, MODEL_ID, scriptedEngine } from '../enclave-worker/exchange-fixture.ts';
import { sendTo } from '../support/attacked-worker.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import { memoryGateway, MODEL } from '../support/memory-gateway.ts';

const MESSAGES = [{ role: 'user', content: 'x' }];

const ABSURD: readonly (readonly [what: string, more: object])[] = [
  ['a billion choices', { n: 1_000_000_000 }],
  ['no choice at all', { n: 0 }],
  ['less than no choice', { n: -1 }],
  ['half a choice', { n: 0.5 }],
  ['as many choices as a double holds', { n: Number.MAX_VALUE }],
  ['a text of choices', { n: '1' }],
  ['less than no token', { max_tokens: -1 }],
  ['half a token', { max_completion_tokens: 0.5 }],
  ['a text of tokens', { max_tokens: '9' }],
];

for (const [what, more] of ABSURD) {
  test(`D9: ${what}: the client seals nothing`, async () => {
    const gateway = await memoryGateway();
    const { fetch, policy, clock } = gateway;
    const answer = await sealedFetch({ fetch, policy, clock })(
      'https://gateway.test/v1/chat/completions',
      { method: 'POST', body: JSON.stringify({ model: MODEL, messages: MESSAGES, ...more }) },
    );
    assert.equal(answer.status, 400);
    assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
  });

  test(`D9: ${what}, from a client that seals it: the worker's engine hears of nothing`, async () => {
    const { fixture, engine } = worker();
    const sealed = fixture.seal({ model: MODEL_ID, messages: MESSAGES, ...more });
    const { outer, inner } = await sendTo(fixture, sealed);
    assert.deepEqual([outer, inner], [200, 400]);
    assert.equal(engine.jobs.length, 0);
  });
}

function worker(prices?: typeof TEST_PRICES) {
  const engine = scriptedEngine(async function* hello() {
    yield { kind: 'started' };
    yield { kind: 'text', text: 'Hello' };
    yield { kind: 'end', reason: 'stop' };
  });
  return { engine, fixture: exchangeFixture({ engine, ...(prices && { prices }) }) };
}

test('D9: more tokens than are allowed are cut to what was signed for', async () => {
  const { fixture, engine } = worker();
  const body = { model: MODEL_ID, messages: MESSAGES, max_tokens: 1_000_000_000 };
  await sendTo(fixture, fixture.seal(body));
  assert.ok((engine.jobs[0]?.maxOutputTokens ?? Number.MAX_VALUE) <= 100);
});

test('D9: a ceiling one unit below the least price is refused in clear, with nothing consumed', async () => {
  const { fixture, engine } = worker(TEST_PRICES);
  const least = ceilingOf(TEST_PRICES, 150, 100);
  const body = { model: MODEL_ID, messages: MESSAGES };
  const bounds = { maxPrompt: 150, maxOutput: 100, asset: 0 } as const;
  const short = fixture.seal(body, { bounds: { ...bounds, maxAmount: least - 1n } });
  assert.deepEqual(await sendTo(fixture, short), { outer: 402, inner: 0, bytes: 0 });
  assert.equal(fixture.deps.replay.size, 0);
  assert.equal(engine.jobs.length, 0);
  const enough = fixture.seal(body, { bounds: { ...bounds, maxAmount: least } });
  assert.equal((await sendTo(fixture, enough)).inner, 200);
});

test('D9: the largest bounds that can be written cost more than any ceiling, and are refused', async () => {
  const { fixture, engine } = worker(TEST_PRICES);
  const most = 0xffff_ffff;
  const sealed = fixture.seal(
    { model: MODEL_ID, messages: MESSAGES },
    { bounds: { maxPrompt: most, maxOutput: most, asset: 0, maxAmount: 1n } },
  );
  assert.equal((await sendTo(fixture, sealed)).outer, 402);
  assert.equal(engine.jobs.length, 0);
});
