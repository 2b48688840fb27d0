/**
 * A sealed request through gateway and worker to an engine that runs beside the worker, and its settlement; and nothing of it
 * remains anywhere, whatever the upstream says in its errors. @module
 */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { inspect } from 'node:util';
import { randomBytes } from '#primitives';
import { toHex } from '../../core/bytes.ts';
import type { VerifiedReceipt } from '../../protocol/sx/read-response.ts';
import { findsIn, formsOf } from '../support/canaries.ts';
import { reply, startFakeUpstream, type FakeUpstream } from '../support/fake-upstream.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';
import { until } from '../support/until.ts';

let fake: FakeUpstream;
let stack: Stack;

before(async () => {
  fake = await startFakeUpstream({ contextTokens: 512 });
  const { url, model } = fake;
  stack = await startStack({
    workerConfig: () => ({
      engine: { name: 'openai-upstream', upstream: { kind: 'vllm', url, model } },
    }),
  });
});
afterEach(() => {
  fake.script = undefined;
});
after(async () => {
  await stack.close();
  await fake.close();
});

const QUESTION = {
  model: STACK_MODEL,
  messages: [{ role: 'user' as const, content: 'Hello there' }],
};

for (const mode of ['sealed', 'plain'] as const) {
  const client = () => (mode === 'sealed' ? stack.sealed() : stack.plain());

  test(`a whole answer is the upstream's, under the name of the card (${mode})`, async () => {
    const answer = await client().chat.completions.create(QUESTION);
    assert.equal(answer.choices[0]?.message.content, 'Hello from the fake.');
    assert.equal(answer.choices[0]?.finish_reason, 'stop');
    assert.equal(answer.model, STACK_MODEL);
    assert.equal(answer.usage?.completion_tokens, 5);
    assert.equal(fake.asked.at(-1)?.body['stream'], true);
  });

  test(`a stream is the same, with calls of tools and its usage (${mode})`, async () => {
    const name = 'report_number';
    const stream = client().chat.completions.stream({
      ...QUESTION,
      stream_options: { include_usage: true },
      tools: [{ type: 'function', function: { name, parameters: { type: 'object' } } }],
      tool_choice: { type: 'function', function: { name } },
    });
    const final = await stream.finalChatCompletion();
    const [choice] = final.choices;
    assert.equal(choice?.finish_reason, 'tool_calls');
    const [call] = choice?.message.tool_calls ?? [];
    assert.ok(call?.type === 'function');
    assert.deepEqual([call.function.name, call.function.arguments], [name, '{"number":7}']);
    assert.equal(final.usage?.completion_tokens, 3);
  });
}

test('what an answer cost is settled by the receipt, and the receipt counts what was delivered', async () => {
  const receipts: VerifiedReceipt[] = [];
  const client = stack.sealed({ onReceipt: (receipt) => void receipts.push(receipt) });
  fake.script = async ({ begin, chunk, done }) => {
    begin();
    await chunk({ index: 0, delta: { content: 'Hi' }, finish_reason: null });
    await chunk(
      { index: 0, delta: {}, finish_reason: 'stop' },
      { usage: { prompt_tokens: 90, completion_tokens: 120 } },
    );
    await done();
  };
  await client.chat.completions.create(QUESTION);
  assert.equal(receipts.length, 1);
  const { usage, amount } = receipts[0]?.receipt ?? {};
  // Two bytes, and the few tokens that leave none; the prompt is what its tokenizer had counted, and a little.
  assert.equal(usage?.completion, 2 + 64);
  assert.ok((usage?.prompt ?? 0) < 60, `${usage?.prompt}`);
  assert.ok(amount !== undefined && amount > 0n);
});

test('an answer that breaks is an error of the app, and so is a request that it refuses', async () => {
  fake.script = async ({ begin, chunk, res }) => {
    begin();
    await chunk({ index: 0, delta: { content: 'Hel' }, finish_reason: null });
    res.destroy();
  };
  const stream = await stack.sealed().chat.completions.create({ ...QUESTION, stream: true });
  let text = '';
  await assert.rejects(async () => {
    for await (const part of stream) text += part.choices[0]?.delta.content ?? '';
  });
  assert.equal(text, 'Hel');
  const long = { ...QUESTION, messages: [{ role: 'user' as const, content: 'x '.repeat(400) }] };
  await assert.rejects(stack.sealed().chat.completions.create(long), {
    code: 'context_length_exceeded',
  });
});

test('what the app goes away from ends at the upstream too', async () => {
  let isGone = false;
  fake.script = async ({ begin, chunk, gone }) => {
    begin();
    await chunk({ index: 0, delta: { content: 'x' }, finish_reason: null });
    await gone;
    isGone = true;
  };
  const stream = await stack.sealed().chat.completions.create({ ...QUESTION, stream: true });
  for await (const part of stream) if ((part.choices[0]?.delta.content ?? '') !== '') break;
  await until(() => isGone);
});

test('nothing remains of prompts, answers and what an upstream says in errors', async () => {
  const canary = `canary-${toHex(randomBytes(8))}-\u00e9"`;
  const asked = { ...QUESTION, messages: [{ role: 'user' as const, content: canary }] };
  const said: string[] = [];
  const attempt = async (): Promise<void> => {
    for (const client of [stack.sealed(), stack.plain()]) {
      try {
        await client.chat.completions.create(asked);
      } catch (error) {
        said.push(inspect(error, { depth: 8 }));
      }
    }
  };
  await attempt();
  for (const status of [400, 404, 500]) {
    fake.script = ({ res }) => {
      reply(res, status, { error: { message: canary, type: canary, code: canary } });
      return Promise.resolve();
    };
    await attempt();
  }
  for (const broken of [
    { error: { message: canary } },
    { model: canary, choices: [] },
    { choices: canary },
  ]) {
    fake.script = async ({ begin, event, done }) => {
      begin();
      await event(broken);
      await done();
    };
    await attempt();
    // Three in a row are too many: the worker asks it anew before it serves again.
    fake.script = undefined;
    await until(() => answers(stack));
  }
  const traces = [...stack.traces(), { name: 'errors', bytes: Buffer.from(said.join('\n')) }];
  assert.ok(said.length > 6);
  assert.deepEqual(findsIn(traces, [{ name: 'prompt', forms: formsOf(canary) }]), []);
});

async function answers(of: Stack): Promise<boolean> {
  try {
    await of.sealed().chat.completions.create(QUESTION);
    return true;
  } catch {
    return false; // not yet
  }
}
