/** What fits and what can be billed, of prompts that are several, uncounted, or counted by a tokenizer that lies. @module */

import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { hasCode } from '../../../core/errors.ts';
import type { UpstreamConfig } from '../../../enclave-worker/engines/openai-upstream/config.ts';
import type { OpenAiUpstreamOptions } from '../../../enclave-worker/engines/openai-upstream/engine.ts';
import { generateJob, NEVER } from '../../support/engine-jobs.ts';
import { reply, startFakeUpstream, type FakeUpstream } from '../../support/fake-upstream.ts';
import { chat, outcomeOf, startOver, type UpstreamEngine } from './fixture.ts';

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function started(
  options: Partial<OpenAiUpstreamOptions> = {},
  config: Partial<UpstreamConfig> = {},
): Promise<UpstreamEngine & { readonly fake: FakeUpstream }> {
  const fake = await startFakeUpstream();
  closers.push(() => fake.close());
  const over = await startOver(fake, options, config);
  closers.push(() => over.engine.close());
  fake.asked.length = 0;
  return { ...over, fake };
}

const BY_BYTES = { kind: 'openai', prefixCache: 'shared' } as const;

function texts(...prompts: readonly string[]) {
  return generateJob('', { prompts: prompts.map((text) => ({ kind: 'text' as const, text })) });
}

test('several prompts share no room: each may be as long as if it were alone', async () => {
  const over = await started({ contextTokens: 200 });
  const job = texts('a '.repeat(70), 'b '.repeat(70), 'c '.repeat(70));
  const { error } = await outcomeOf(over, { ...job, maxPromptTokens: 4096 });
  assert.equal(error, undefined);
  assert.equal(over.fake.asked[0]?.body['max_tokens'], 60);
});

test('one of several prompts that does not fit is too long, though all together would', async () => {
  const over = await started({ contextTokens: 200 });
  const job = texts('a '.repeat(220), 'b', 'c');
  const { error } = await outcomeOf(over, { ...job, maxPromptTokens: 4096 });
  assert.equal(error, 'engine.prompt_too_long');
  assert.equal(over.fake.asked.length, 0);
});

test('several prompts of bytes fit one by one', async () => {
  const over = await started({}, BY_BYTES);
  const long = 'x'.repeat(7000);
  assert.equal((await outcomeOf(over, texts(long, long))).error, undefined);
  const tooLong = await outcomeOf(over, texts(long, 'x'.repeat(7700)));
  assert.equal(tooLong.error, 'engine.prompt_too_long');
});

test('a text to embed that nobody counts is sent only when it certainly fits', async () => {
  const over = await started({ contextTokens: 2048 }, BY_BYTES);
  const embedded = (input: string) =>
    over.engine.embed({ inputs: ['short', input], maxPromptTokens: 100_000 }, NEVER).vectors;
  assert.equal((await embedded('x'.repeat(2000))).length, 2);
  await assert.rejects(embedded('x'.repeat(2048)), (error) =>
    hasCode(error, 'engine.prompt_too_long'),
  );
  assert.equal(over.fake.asked.length, 1);
});

test('texts to embed meet nobody else in a cache', async () => {
  const over = await started();
  for (let at = 0; at < 2; at++) {
    await over.engine.embed({ inputs: ['x'], maxPromptTokens: 100 }, NEVER).vectors;
  }
  const salts = over.fake.asked.map(({ body }) => String(body['cache_salt']));
  assert.equal(new Set(salts).size, 2);
  for (const salt of salts) assert.match(salt, /^[0-9a-f]{64}$/);
});

test('a tokenizer that counts more than there are bytes is not believed when it comes to pay', async () => {
  const over = await started();
  over.fake.routes.set('/tokenize', (res) => reply(res, 200, { count: 5000 }));
  over.fake.script = async ({ begin, chunk, done }) => {
    begin();
    await chunk({ index: 0, delta: { content: 'Hi' } });
    const usage = { prompt_tokens: 5000, completion_tokens: 1 };
    await chunk({ index: 0, delta: {}, finish_reason: 'stop' }, { usage });
    await done();
  };
  const { usage, error } = await outcomeOf(over, chat({ maxPromptTokens: 8000 }));
  assert.equal(error, undefined);
  const bytes = JSON.stringify({ messages: [{ role: 'user', content: 'Hello there' }] }).length;
  assert.equal(usage.prompt, bytes + 512);
  assert.deepEqual(over.problems, ['usage-absurd']);
});

test('several choices cost what all of them cost, also when they break off on the way', async () => {
  const over = await started();
  const { usage, error } = await outcomeOf(over, chat({ choices: 3 }));
  assert.equal(error, undefined);
  assert.equal(usage.completion, 15);
  const usageOf = (prompt_tokens: number, completion_tokens: number): object => ({
    usage: { prompt_tokens, completion_tokens },
  });
  over.fake.script = async ({ begin, chunk, res }) => {
    begin();
    await chunk({ index: 0, delta: { content: 'one two three' } }, usageOf(9, 3));
    await chunk({ index: 1, delta: { content: 'four' } }, usageOf(9, 1));
    res.end();
  };
  const broken = await outcomeOf(over, chat({ choices: 2 }));
  assert.equal(broken.usage.completion, 4);
  assert.deepEqual(over.problems, ['unfinished']);
});
