/** OpenAI's own client against the whole product, sealed by the app and sealed by the gateway. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type OpenAI from 'openai';
import type { VerifiedReceipt } from '../../protocol/sx/read-response.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';

let stack: Stack;
before(async () => {
  stack = await startStack({ workers: 2 });
});
after(() => stack.close());

const MODES = ['sealed', 'plain'] as const;
const LABELS = { sealed: 'end-to-end', plain: 'gateway-visible' } as const;
const QUESTION = {
  model: STACK_MODEL,
  messages: [{ role: 'user' as const, content: 'What is remote attestation?' }],
  max_tokens: 48,
  temperature: 0,
  seed: 1,
};

function client(mode: (typeof MODES)[number]): OpenAI {
  return mode === 'sealed' ? stack.sealed() : stack.plain();
}

for (const mode of MODES) {
  test(`a whole answer has text, usage, an id and its labels (${mode})`, async () => {
    const { data, response } = await client(mode).chat.completions.create(QUESTION).withResponse();
    assert.ok((data.choices[0]?.message.content ?? '').length > 10);
    assert.equal(data.usage?.completion_tokens, 48);
    assert.equal(data.choices[0]?.finish_reason, 'length');
    assert.equal(response.headers.get('sx-privacy'), LABELS[mode]);
    assert.equal(response.headers.get('sx-simulated'), 'true');
    assert.match(response.headers.get('sx-worker') ?? '', /^[0-9a-f]{64}$/);
    const requestId = response.headers.get('x-request-id') ?? '';
    assert.match(requestId, /^sx_[0-9a-f]{32}$/);
    assert.equal(data.id, `chatcmpl-${requestId.slice(3)}`);
  });

  test(`a stream says the same, in several pieces, with usage only when asked (${mode})`, async () => {
    const whole = await client(mode).chat.completions.create(QUESTION);
    for (const usage of [true, false]) {
      const stream = await client(mode).chat.completions.create({
        ...QUESTION,
        stream: true,
        ...(usage ? { stream_options: { include_usage: true } } : {}),
      });
      let text = '';
      let pieces = 0;
      let counted: number | undefined;
      for await (const part of stream) {
        text += part.choices[0]?.delta.content ?? '';
        pieces++;
        counted = part.usage?.completion_tokens ?? counted;
      }
      assert.equal(text, whole.choices[0]?.message.content);
      assert.ok(pieces > 3, `${pieces}`);
      assert.equal(counted, usage ? whole.usage?.completion_tokens : undefined);
    }
  });

  test(`the stream helper of the SDK is content (${mode})`, async () => {
    const final = await client(mode).chat.completions.stream(QUESTION).finalChatCompletion();
    assert.ok((final.choices[0]?.message.content ?? '').length > 10);
  });

  test(`models are listed and retrieved (${mode})`, async () => {
    const ids: string[] = [];
    for await (const model of client(mode).models.list()) ids.push(model.id);
    assert.deepEqual(ids, [STACK_MODEL]);
    assert.equal((await client(mode).models.retrieve(STACK_MODEL)).id, STACK_MODEL);
  });

  test(`eight at once through two workers of two slots each all end well (${mode})`, async () => {
    const patient = client(mode).withOptions({ maxRetries: 10 });
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => patient.chat.completions.create(QUESTION)),
    );
    const [first] = answers;
    for (const answer of answers) assert.equal(answer.usage?.completion_tokens, 48);
    assert.ok(first !== undefined);
  });
}

test('every sealed answer brings a receipt, streams too, and the bill is what was counted', async () => {
  const receipts: VerifiedReceipt[] = [];
  const sealed = stack.sealed({ onReceipt: (receipt) => void receipts.push(receipt) });
  const whole = await sealed.chat.completions.create(QUESTION);
  const stream = await sealed.chat.completions.create({ ...QUESTION, stream: true });
  for await (const _part of stream) continue;
  assert.equal(receipts.length, 2);
  const [first] = receipts;
  assert.equal(first?.receipt.usage.completion, whole.usage?.completion_tokens);
  assert.equal(first?.receipt.usage.prompt, whole.usage?.prompt_tokens);
  const { prompt = 0, completion = 0 } = first?.receipt.usage ?? {};
  assert.equal(first?.receipt.amount, 1000n + BigInt(2 * prompt + 8 * completion));
  assert.equal(first?.receipt.simulated, true);
});
