/**
 * Somebody asks what another tenant may have asked and looks at what it costs: were a prefix shared, the count and the bill would
 * tell. Only who knows the victim's salt is served from what the victim left. Spec: P§7.2; openai-gateway-and-engine §5.3. @module
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { fixed, toBase64Url, toHex, utf8 } from '../../core/bytes.ts';
import { randomBytes } from '#primitives';
import { DEMO_MODEL } from '../../enclave-worker/demo-model/demo-model.ts';
import type { Engine } from '../../enclave-worker/engine.ts';
import { startLlamaCpp } from '../../enclave-worker/engines/llama-cpp/engine.ts';
import { amountOf } from '../../protocol/price.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import {
  exchangeFixture,
  jsonOf,
  MODEL_ID,
  type Answer,
  type Fixture,
} from '../enclave-worker/exchange-fixture.ts';

let engine: Engine;
let fixture: Fixture;

before(async () => {
  engine = await startLlamaCpp({
    modelPath: DEMO_MODEL.path,
    modelSha256Hex: toHex(DEMO_MODEL.sha256),
    contextTokens: DEMO_MODEL.contextLength,
    sequences: 2,
    threads: 1,
    gpu: false,
    environment: {},
  });
  // Dearer than it would be wise: a bill must be right whatever the prices are.
  fixture = exchangeFixture({ engine, prices: { ...TEST_PRICES, cached: 7_000_003n } });
});

after(() => engine.close());

const SECRET =
  'The treasurer of the garden signs the order for the old bridge, the red boat and the silver key.';

interface Asking {
  readonly salt?: string;
  readonly key?: string;
  readonly path?: string;
}

function ask({ salt, key, path = '/v1/chat/completions' }: Asking): Promise<Answer> {
  const content =
    path === '/v1/responses'
      ? { instructions: SECRET, input: 'Hello!', max_output_tokens: 2, store: false }
      : {
          messages: [
            { role: 'system', content: SECRET },
            { role: 'user', content: 'Hello!' },
          ],
          max_completion_tokens: 2,
        };
  const body = { model: MODEL_ID, temperature: 0, ...content, prompt_cache_key: key };
  const salted = salt === undefined ? [] : [['sx-cache-salt', salt] as const];
  return fixture.ask(body, {
    request: {
      path,
      headers: [['content-type', 'application/json'], ...salted],
      body: utf8(JSON.stringify(body)),
    },
    bounds: { maxAmount: 10n ** 15n, maxPrompt: 150, maxOutput: 100, asset: 0 },
  });
}

const COUNTED = z.union([
  z
    .object({
      usage: z.object({
        prompt_tokens: z.int(),
        prompt_tokens_details: z.object({ cached_tokens: z.int() }),
      }),
    })
    .transform(({ usage }) => ({
      prompt: usage.prompt_tokens,
      cached: usage.prompt_tokens_details.cached_tokens,
    })),
  z
    .object({
      usage: z.object({
        input_tokens: z.int(),
        input_tokens_details: z.object({ cached_tokens: z.int() }),
      }),
    })
    .transform(({ usage }) => ({
      prompt: usage.input_tokens,
      cached: usage.input_tokens_details.cached_tokens,
    })),
]);

/** What the answer says, which the receipt and the bill have to say too. */
async function cachedOf(asking: Asking): Promise<number> {
  const answer = await ask(asking);
  const { prompt, cached } = COUNTED.parse(jsonOf(answer.text));
  const receipt = answer.receipt?.receipt;
  assert.ok(receipt !== undefined);
  assert.deepEqual([receipt.usage.prompt, receipt.usage.cached], [prompt - cached, cached]);
  assert.equal(receipt.amount, amountOf(fixture.deps.card.prices, receipt.usage));
  return cached;
}

function newSalt(): string {
  return toBase64Url(fixed(randomBytes(16), 16));
}

test('the same prompt under another salt, or none, is counted in full', async () => {
  const victim = newSalt();
  assert.equal(await cachedOf({ salt: victim }), 0);
  assert.equal(await cachedOf({ salt: newSalt() }), 0);
  assert.equal(await cachedOf({}), 0);
  const [first = ''] = victim;
  const near = `${first === 'A' ? 'B' : 'A'}${victim.slice(1)}`;
  assert.equal(await cachedOf({ salt: near }), 0);
});

test('the victim itself is served from what it left, and billed for it as cached', async () => {
  const victim = newSalt();
  assert.equal(await cachedOf({ salt: victim }), 0);
  assert.ok((await cachedOf({ salt: victim })) > 16);
});

test('a cache key of somebody else is worth nothing without the salt', async () => {
  const victim = newSalt();
  assert.equal(await cachedOf({ salt: victim, key: 'ours' }), 0);
  assert.equal(await cachedOf({ key: 'ours' }), 0);
  assert.equal(await cachedOf({ salt: newSalt(), key: 'ours' }), 0);
});

test('one client’s keys are apart from each other', async () => {
  const salt = newSalt();
  assert.equal(await cachedOf({ salt, key: 'one' }), 0);
  assert.equal(await cachedOf({ salt, key: 'two' }), 0);
  assert.ok((await cachedOf({ salt, key: 'one' })) > 16);
  assert.equal(await cachedOf({ salt }), 0);
});

test('a salt that could be guessed shares nothing, not even with itself', async () => {
  for (let attempt = 0; attempt < 2; attempt++) {
    assert.equal(await cachedOf({ salt: 'my-app' }), 0);
  }
});

test('the surfaces in front of chat keep to the same walls', async () => {
  const salt = newSalt();
  const path = '/v1/responses';
  assert.equal(await cachedOf({ salt, path, key: 'one' }), 0);
  assert.equal(await cachedOf({ salt: newSalt(), path, key: 'one' }), 0);
  assert.equal(await cachedOf({ salt, path, key: 'two' }), 0);
  assert.ok((await cachedOf({ salt, path, key: 'two' })) > 16);
});
