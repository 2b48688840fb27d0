/** Which of the verified workers a request is sealed to, and under which bounds. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#primitives';
import { fixed, utf8 } from '../../core/bytes.ts';
import { hasCode } from '../../core/errors.ts';
import type { AttestedKey, PriceList } from '../../attestation/verdict.ts';
import { AMOUNT_DEFAULT_MAX } from '../../client/limits.ts';
import { exchange, type ExchangeOptions } from '../../client/exchange.ts';
import { CHAT_PATH, EMBEDDINGS_PATH, type EndpointPath } from '../../protocol/openai/endpoints.ts';
import { ceilingOf } from '../../protocol/price.ts';
import { parseClearRequest, type ClearRequest } from '../../protocol/sx/clear.ts';
import { FREE_PRICES, TEST_PRICES, testWorker } from '../support/attested-key.ts';

const TURNS = 40;
const ABSURD = Number.MAX_SAFE_INTEGER;

function keyOf(maxOutputTokens: number, prices: PriceList): AttestedKey {
  const limits = { maxPromptTokens: 4096, maxOutputTokens, maxConcurrent: 4 };
  return testWorker('X25519', { limits, prices }).key;
}

/** What the gateway would get. */
async function sealedTo(
  keys: readonly AttestedKey[],
  options: Partial<ExchangeOptions> = {},
  path: EndpointPath = CHAT_PATH,
): Promise<ClearRequest> {
  const seen: ClearRequest[] = [];
  const source = () => Promise.resolve(keys);
  const session = { keys: source, renew: source };
  await exchange(
    { session, clock: () => 1_000_000, allowedKems: ['X25519'], ...options },
    {
      path,
      headers: [['content-type', 'application/json']],
      body: utf8('{}'),
      model: 'demo/model',
      mode: 'unary',
      choices: 2,
      outputTokens: undefined,
      payer: fixed(new Uint8Array(32), 32),
    },
    {
      send: (sealed, sink) => {
        seen.push(parseClearRequest(sealed));
        sink.fail('busy');
        return Promise.resolve();
      },
      sink: { head: () => undefined, data: () => true, drain: () => Promise.resolve() },
      signal: new AbortController().signal,
    },
  ).catch((error: unknown) => {
    if (!hasCode(error, 'sx.busy')) throw error;
  });
  const [clear] = seen;
  assert.ok(clear);
  return clear;
}

test('every recipient can serve both bounds within the ceiling', async () => {
  const keys = [keyOf(1024, TEST_PRICES), keyOf(4096, { ...FREE_PRICES, completion: 1n })];
  const { prelude, kids } = await sealedTo(keys);
  assert.equal(kids.length, 2);
  for (const { prices } of keys) {
    assert.ok(ceilingOf(prices, prelude.maxPrompt, prelude.maxOutput) <= prelude.maxAmount);
  }
});

for (const [what, absurd] of [
  ['a price beyond every ceiling', keyOf(0xffff, { ...TEST_PRICES, completion: BigInt(ABSURD) })],
  ['an output limit beyond the prelude', keyOf(0xffff_ffff, FREE_PRICES)],
] as const) {
  test(`a card with ${what} does not spoil the request for the others`, async () => {
    const maxAmount = 1_000_000n;
    const honest = [keyOf(1024, TEST_PRICES), keyOf(1024, TEST_PRICES)];
    for (let turn = 0; turn < TURNS; turn++) {
      const { kids } = await sealedTo([absurd, ...honest], { maxAmount });
      assert.deepEqual(
        new Set(kids.map((kid) => kid.join())),
        new Set(honest.map(({ kid }) => kid.join())),
      );
    }
  });
}

for (const asset of ['TON', 'USDT'] as const) {
  test(`without a ceiling of the app a request costs no more than the default in ${asset}`, async () => {
    const most = AMOUNT_DEFAULT_MAX[asset];
    const dearest = keyOf(1024, { ...FREE_PRICES, asset, base: most });
    const { prelude } = await sealedTo([dearest]);
    assert.equal(prelude.maxAmount, most);
    const dearer = keyOf(1024, { ...FREE_PRICES, asset, base: most + 1n });
    await assert.rejects(sealedTo([dearer]), { code: 'client.none_usable' });
  });
}

test('prices beyond what a prelude holds are left out without a ceiling of the app', async () => {
  const greedy = keyOf(0xffff_ffff >>> 1, { ...TEST_PRICES, completion: BigInt(ABSURD) });
  const honest = keyOf(1024, TEST_PRICES);
  for (let turn = 0; turn < TURNS; turn++) {
    const { kids } = await sealedTo([greedy, honest]);
    assert.deepEqual(
      kids.map((kid) => kid.join()),
      [honest.kid.join()],
    );
  }
});

test('only workers whose card promises the endpoint are sealed to', async () => {
  const model = { id: 'demo/model', digest: sha256(utf8('weights')), contextLength: 4096 };
  const chatting = keyOf(1024, TEST_PRICES);
  const embedding = testWorker('X25519', {
    model: { ...model, capabilities: ['embeddings', 'chat'] },
  }).key;
  for (let turn = 0; turn < TURNS; turn++) {
    const { kids } = await sealedTo([chatting, embedding], {}, EMBEDDINGS_PATH);
    assert.deepEqual(
      kids.map((kid) => kid.join()),
      [embedding.kid.join()],
    );
  }
  assert.equal((await sealedTo([chatting, embedding])).kids.length, 2);
  await assert.rejects(sealedTo([chatting], {}, EMBEDDINGS_PATH), { code: 'client.endpoint' });
});
