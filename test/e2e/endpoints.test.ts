/** Everything that can be asked beside a plain chat, with OpenAI's own client, sealed by the app and by the gateway. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BadRequestError, NotFoundError } from 'openai';
import type OpenAI from 'openai';
import { fromBase64 } from '../../core/bytes.ts';
import type { VerifiedReceipt } from '../../protocol/sx/read-response.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';

let stack: Stack;
let chatOnly: Stack;
before(async () => {
  [stack, chatOnly] = await Promise.all([startStack(), startStack({ capabilities: ['chat'] })]);
});
after(async () => {
  await stack.close();
  await chatOnly.close();
});

const MODES = ['sealed', 'plain'] as const;
const QUESTION = {
  model: STACK_MODEL,
  messages: [{ role: 'user' as const, content: 'What is remote attestation?' }],
  max_tokens: 24,
  temperature: 0,
};
const BEGINNING = 'Remote attestation is a way for a machine to';

function client(mode: (typeof MODES)[number], from: Stack = stack): OpenAI {
  return mode === 'sealed' ? from.sealed() : from.plain();
}

interface ToldToken {
  readonly bytes: readonly number[] | null;
  readonly logprob: number;
  readonly top_logprobs: readonly { readonly logprob: number; readonly token: string }[];
  readonly token: string;
}

function assertTold(tokens: readonly ToldToken[], text: string): void {
  const bytes = tokens.flatMap((token) => token.bytes ?? []);
  assert.equal(Buffer.from(bytes).toString('utf8'), text);
  for (const { top_logprobs: top, token, logprob } of tokens) {
    assert.equal(top.length, 4);
    assert.ok(top.reduce((sum, other) => sum + Math.exp(other.logprob), 0) <= 1 + 1e-12);
    assert.ok(top.some((other) => other.token === token && other.logprob === logprob));
  }
}

for (const mode of MODES) {
  test(`probabilities come with a whole answer and with a stream (${mode})`, async () => {
    const asked = { ...QUESTION, logprobs: true, top_logprobs: 4 };
    const whole = await client(mode).chat.completions.create(asked);
    const [choice] = whole.choices;
    assert.equal(choice?.logprobs?.content?.length, 24);
    assertTold(choice?.logprobs?.content ?? [], choice?.message.content ?? '');
    const told: ToldToken[] = [];
    let text = '';
    for await (const part of await client(mode).chat.completions.create({
      ...asked,
      stream: true,
    })) {
      text += part.choices[0]?.delta.content ?? '';
      told.push(...(part.choices[0]?.logprobs?.content ?? []));
    }
    assert.equal(text, choice?.message.content);
    assert.deepEqual(told, choice?.logprobs?.content);
  });

  test(`three choices come whole and as a stream, and all are counted (${mode})`, async () => {
    const asked = { ...QUESTION, n: 3, temperature: 1, seed: 1, max_tokens: 8 };
    const whole = await client(mode).chat.completions.create(asked);
    assert.deepEqual(
      whole.choices.map(({ index, finish_reason: reason }) => [index, reason]),
      [0, 1, 2].map((index) => [index, 'length']),
    );
    assert.equal(whole.usage?.completion_tokens, 24);
    const stream = client(mode).chat.completions.stream(asked);
    const final = await stream.finalChatCompletion();
    assert.deepEqual(
      final.choices.map(({ message }) => message.content),
      whole.choices.map(({ message }) => message.content),
    );
  });

  test(`bias, penalties and stops are honoured (${mode})`, async () => {
    const stopped = await client(mode).chat.completions.create({
      ...QUESTION,
      stop: ['machine to'],
      frequency_penalty: 0.1,
      presence_penalty: -0.1,
      logit_bias: { '5': -100 },
    });
    assert.equal(stopped.choices[0]?.message.content, 'Remote attestation is a way for a ');
    assert.equal(stopped.choices[0]?.finish_reason, 'stop');
    await assert.rejects(
      client(mode).chat.completions.create({ ...QUESTION, logit_bias: { '999999': 1 } }),
      (error) =>
        error instanceof BadRequestError &&
        error.code === 'invalid_value' &&
        error.param === 'logit_bias',
    );
  });

  test(`an answer has the form that a schema asks (${mode})`, async () => {
    const schema = {
      type: 'object',
      properties: { answer: { enum: ['yes', 'no'] }, sure: { type: 'boolean' } },
      required: ['answer', 'sure'],
      additionalProperties: false,
    };
    const format = { type: 'json_schema', json_schema: { name: 'x', schema } } as const;
    const asked = { ...QUESTION, max_tokens: 64, seed: 4, response_format: format };
    const whole = await client(mode).chat.completions.create(asked);
    const text = whole.choices[0]?.message.content ?? '';
    assert.match(text, /^\{"answer": ?"(yes|no)", ?"sure": ?(true|false)\}$/);
    assert.equal(whole.choices[0]?.finish_reason, 'stop');
    const final = await client(mode).chat.completions.stream(asked).finalChatCompletion();
    assert.equal(final.choices[0]?.message.content, text);
    const odd = { ...format, json_schema: { name: 'x', schema: { ...schema, not: {} } } };
    await assert.rejects(
      client(mode).chat.completions.create({ ...QUESTION, response_format: odd }),
      (error) =>
        error instanceof BadRequestError &&
        error.code === 'unsupported_parameter' &&
        error.param === 'response_format.json_schema.schema.not',
    );
  });

  test(`a text completion goes on, whole and as a stream (${mode})`, async () => {
    const asked = { model: STACK_MODEL, prompt: BEGINNING, max_tokens: 6, temperature: 0 };
    const whole = await client(mode).completions.create({ ...asked, logprobs: 2 });
    assert.match(whole.id, /^cmpl-[0-9a-f]{32}$/);
    assert.equal(whole.object, 'text_completion');
    const [choice] = whole.choices;
    assert.match(choice?.text ?? '', /^ prove/);
    assert.equal(choice?.logprobs?.tokens?.join(''), choice?.text);
    assert.equal(choice?.logprobs?.token_logprobs?.length, 6);
    assert.equal(whole.usage?.completion_tokens, 6);
    let text = '';
    let reason: string | null = null;
    let counted: number | undefined;
    const stream = await client(mode).completions.create({
      ...asked,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const part of stream) {
      text += part.choices[0]?.text ?? '';
      reason = part.choices[0]?.finish_reason ?? reason;
      counted = part.usage?.completion_tokens ?? counted;
    }
    assert.equal(text, choice?.text);
    assert.equal(reason, 'length');
    assert.equal(counted, 6);
  });

  test(`two prompts of a text completion have two choices each (${mode})`, async () => {
    const { choices, usage } = await client(mode).completions.create({
      model: STACK_MODEL,
      prompt: [BEGINNING, 'A policy says which measurements may'],
      n: 2,
      max_tokens: 4,
      temperature: 0,
    });
    assert.deepEqual(
      choices.map(({ index }) => index),
      [0, 1, 2, 3],
    );
    assert.equal(choices[0]?.text, choices[1]?.text);
    assert.notEqual(choices[1]?.text, choices[2]?.text);
    assert.equal(usage?.completion_tokens, 16);
  });

  test(`embeddings are the same as base64 and as numbers, in the order of the inputs (${mode})`, async () => {
    const input = ['remote attestation', 'a fox', 'remote attestation'];
    const asked = { model: STACK_MODEL, input };
    // The SDK asks for base64 unless told otherwise, and decodes it.
    const decoded = await client(mode).embeddings.create(asked);
    const floats = await client(mode).embeddings.create({ ...asked, encoding_format: 'float' });
    assert.deepEqual(
      floats.data.map(({ index, embedding }) => [index, embedding]),
      decoded.data.map(({ index, embedding }) => [index, [...embedding]]),
    );
    assert.deepEqual(floats.data[0]?.embedding, floats.data[2]?.embedding);
    assert.notDeepEqual(floats.data[0]?.embedding, floats.data[1]?.embedding);
    assert.ok(floats.usage.prompt_tokens > 0);
    assert.equal(floats.usage.total_tokens, floats.usage.prompt_tokens);
    const raw: unknown = await client(mode).post('/embeddings', {
      body: { ...asked, encoding_format: 'base64' },
    });
    const [first] = floats.data;
    assert.ok(typeof raw === 'object' && raw !== null && 'data' in raw && Array.isArray(raw.data));
    const bytes = fromBase64(String(raw.data[0]?.embedding));
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    assert.deepEqual(
      first?.embedding,
      Array.from({ length: bytes.length / 4 }, (_, at) => view.getFloat32(at * 4, true)),
    );
  });

  test(`what cannot be honoured is refused by name (${mode})`, async () => {
    const refused = (param: string) => (error: unknown) =>
      error instanceof BadRequestError &&
      error.code === 'unsupported_parameter' &&
      error.param === param;
    const { completions, embeddings } = client(mode);
    const text = { model: STACK_MODEL, prompt: 'x' };
    await assert.rejects(completions.create({ ...text, echo: true }), refused('echo'));
    await assert.rejects(completions.create({ ...text, prompt: [1, 2] }), refused('prompt'));
    const input = { model: STACK_MODEL, input: 'x' };
    await assert.rejects(embeddings.create({ ...input, dimensions: 8 }), refused('dimensions'));
  });

  test(`a model is not asked for what no card of it promises (${mode})`, async () => {
    const { completions, embeddings, chat } = client(mode, chatOnly);
    const unserved = (error: unknown): boolean =>
      error instanceof NotFoundError && error.code === 'endpoint_not_served';
    await assert.rejects(completions.create({ model: STACK_MODEL, prompt: 'x' }), unserved);
    await assert.rejects(embeddings.create({ model: STACK_MODEL, input: 'x' }), unserved);
    const answer = await chat.completions.create(QUESTION);
    assert.equal(answer.usage?.completion_tokens, 24);
  });
}

test('every endpoint is receipted for what it counted', async () => {
  const receipts: VerifiedReceipt[] = [];
  const sealed = stack.sealed({ onReceipt: (receipt) => void receipts.push(receipt) });
  const text = await sealed.completions.create({
    model: STACK_MODEL,
    prompt: 'One',
    max_tokens: 3,
  });
  const vectors = await sealed.embeddings.create({ model: STACK_MODEL, input: ['a b', 'c'] });
  const three = await sealed.chat.completions.create({ ...QUESTION, n: 3, max_tokens: 5 });
  assert.deepEqual(
    receipts.map(({ receipt: { usage, amount, outcome } }) => [
      usage.prompt,
      usage.completion,
      amount,
      outcome,
    ]),
    [text.usage, vectors.usage, three.usage].map((usage) => {
      const prompt = usage?.prompt_tokens ?? 0;
      const completion = (usage?.total_tokens ?? 0) - prompt;
      return [prompt, completion, 1000n + BigInt(2 * prompt + 8 * completion), 'ok'];
    }),
  );
});
