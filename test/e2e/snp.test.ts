/** A sealed conversation with a simulated SEV-SNP worker: the same clients, the same answers, another verifier. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';

let stack: Stack;

before(async () => {
  stack = await startStack({ tee: 'snp' });
});

after(async () => await stack.close());

const QUESTION = [{ role: 'user' as const, content: 'What is remote attestation?' }];

test('the gateway admits the worker by the SEV-SNP rule, as simulated', () => {
  const [worker] = stack.gateway.registry.all();
  assert.ok(worker !== undefined);
  assert.equal(worker.key.tee, 'snp');
  assert.equal(worker.verdict.rule, 'simulated-snp');
  assert.equal(worker.verdict.shape, 'simulated');
  assert.equal(worker.key.simulated, true);
  assert.equal(worker.verdict.platform?.tee, 'snp');
});

test('OpenAI’s client through sealedFetch gets an answer, whole and streamed', async () => {
  const openai = stack.sealed();
  const whole = await openai.chat.completions.create({ model: STACK_MODEL, messages: QUESTION });
  assert.ok((whole.choices[0]?.message.content ?? '').length > 0);
  const stream = await openai.chat.completions.create({
    model: STACK_MODEL,
    messages: QUESTION,
    stream: true,
  });
  let text = '';
  for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
  assert.ok(text.length > 0);
});

test('the convenience mode seals to it as well', async () => {
  const whole = await stack
    .plain()
    .chat.completions.create({ model: STACK_MODEL, messages: QUESTION });
  assert.ok((whole.choices[0]?.message.content ?? '').length > 0);
});
