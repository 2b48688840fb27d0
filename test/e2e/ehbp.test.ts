/** An unmodified EHBP client, OpenAI's SDK on top, a running gateway, a real worker. Spec: docs/ehbp.md. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ehbpKeyOf, ehbpOpenAi } from '../support/ehbp.ts';
import { STACK_MODEL, startStack, type Stack } from '../support/stack.ts';

const ASKED = {
  model: STACK_MODEL,
  messages: [{ role: 'user' as const, content: 'What is remote attestation?' }],
  max_tokens: 24,
  temperature: 0,
};

let stack: Stack;

before(async () => {
  stack = await startStack({
    gateway: { ehbp: 'serve' },
    workerConfig: () => ({ ehbp: 'offer' }),
  });
});
after(() => stack.close());

test('a whole answer', async () => {
  const client = await ehbpOpenAi(stack, ehbpKeyOf(stack));
  const answer = await client.chat.completions.create(ASKED);
  console.log(answer);
  assert.equal(answer.choices[0]?.finish_reason, 'length');
});
test('a stream', async () => {
  const client = await ehbpOpenAi(stack, ehbpKeyOf(stack));
  const stream = await client.chat.completions.create({ ...ASKED, stream: true });
  let text = '';
  for await (const part of stream) {
    text += part.choices[0]?.delta.content ?? '';
  }
  console.log(text);
  const e = await client.embeddings.create({ model: STACK_MODEL, input: ['a', 'b'] });
  console.log(e.data.length, e.usage);
  await assert.rejects(client.chat.completions.create({ ...ASKED, temperature: 99 }), (e) => {
    console.log(e);
    return true;
  });
  await assert.rejects(
    client.withOptions({ apiKey: 'nobody' }).chat.completions.create(ASKED),
    (e) => {
      console.log(e);
      return true;
    },
  );
  console.log((await client.models.list()).data);
});
