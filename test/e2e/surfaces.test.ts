/** Responses and Messages through the whole product, by the vendors' own clients, sealed by the app and by the gateway. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Anthropic, { NotFoundError } from '@anthropic-ai/sdk';
import type OpenAI from 'openai';
import { BadRequestError } from 'openai';
import { sealedFetch } from '../../client/index.ts';
import type { VerifiedReceipt } from '../../protocol/sx/read-response.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';

let stack: Stack;
before(async () => {
  stack = await startStack();
});
after(() => stack.close());

const MODES = ['sealed', 'plain'] as const;
type Mode = (typeof MODES)[number];
const LABELS = { sealed: 'end-to-end', plain: 'gateway-visible' } as const;
const TEXT = 'What is remote attestation?';
const QUESTION = {
  model: STACK_MODEL,
  input: TEXT,
  max_output_tokens: 24,
  temperature: 0,
};
const MESSAGE = {
  model: STACK_MODEL,
  max_tokens: 24,
  messages: [{ role: 'user' as const, content: TEXT }],
  // The API has it; the types of this SDK do not show it.
  temperature: 0,
};

function openAi(mode: Mode): OpenAI {
  return mode === 'sealed' ? stack.sealed() : stack.plain();
}

function anthropic(mode: Mode, onReceipt?: (receipt: VerifiedReceipt) => void): Anthropic {
  const policy = { root: stack.rootFile };
  return new Anthropic({
    apiKey: stack.apiKey,
    baseURL: new URL(stack.baseUrl).origin,
    maxRetries: 0,
    ...(mode === 'sealed' && { fetch: sealedFetch({ policy, ...(onReceipt && { onReceipt }) }) }),
  });
}

async function chatText(mode: Mode): Promise<string> {
  const answer = await openAi(mode).chat.completions.create({
    model: STACK_MODEL,
    messages: MESSAGE.messages,
    max_tokens: 24,
    temperature: 0,
  });
  return answer.choices[0]?.message.content ?? '';
}

for (const mode of MODES) {
  test(`a response says what chat says, whole and streamed (${mode})`, async () => {
    const client = openAi(mode);
    const { data, response } = await client.responses.create(QUESTION).withResponse();
    assert.equal(data.output_text, await chatText(mode));
    assert.equal(data.status, 'incomplete');
    assert.equal(data.usage?.output_tokens, 24);
    assert.equal(response.headers.get('sx-privacy'), LABELS[mode]);
    assert.equal(data.id, `resp_${(response.headers.get('x-request-id') ?? '').slice(3)}`);
    const streamed = await client.responses.stream(QUESTION).finalResponse();
    assert.equal(streamed.output_text, data.output_text);
    assert.deepEqual(streamed.usage, data.usage);
  });

  test(`a message says what chat says, whole and streamed (${mode})`, async () => {
    const client = anthropic(mode);
    const { data, response } = await client.messages.create(MESSAGE).withResponse();
    const [block] = data.content;
    assert.ok(block?.type === 'text');
    assert.equal(block.text, await chatText(mode));
    assert.equal(data.stop_reason, 'max_tokens');
    assert.equal(data.usage.output_tokens, 24);
    assert.equal(response.headers.get('sx-privacy'), LABELS[mode]);
    const streamed = await client.messages.stream(MESSAGE).finalMessage();
    assert.deepEqual(streamed.content, data.content);
    assert.equal(streamed.usage.input_tokens, data.usage.input_tokens);
  });

  test(`a stream ends at its last event, which is the last thing there (${mode})`, async () => {
    const stream = await openAi(mode).responses.create({ ...QUESTION, stream: true });
    const types: string[] = [];
    for await (const event of stream) types.push(event.type);
    assert.equal(types.at(-1), 'response.incomplete');
    assert.ok(types.filter((type) => type === 'response.output_text.delta').length > 3);
    const events = await anthropic(mode).messages.create({ ...MESSAGE, stream: true });
    const named: string[] = [];
    for await (const event of events) named.push(event.type);
    assert.equal(named.at(-1), 'message_stop');
  });

  test(`what cannot be honoured is a typed error with its path (${mode})`, async () => {
    await assert.rejects(openAi(mode).responses.create({ ...QUESTION, store: true }), (error) => {
      assert.ok(error instanceof BadRequestError);
      assert.equal(error.param, 'store');
      return true;
    });
    await assert.rejects(
      anthropic(mode).messages.create({ ...MESSAGE, thinking: { type: 'adaptive' } }),
      /thinking: The request has a parameter that is not supported/,
    );
  });

  test(`a wrong key is refused in Anthropic's words (${mode})`, async () => {
    const stranger = anthropic(mode).withOptions({ apiKey: 'sk-nobody' });
    await assert.rejects(stranger.messages.create(MESSAGE), { type: 'authentication_error' });
  });
}

const SCHEMA = {
  type: 'object' as const,
  properties: { unit: { type: 'string', enum: ['c', 'f'] } },
  required: ['unit'],
  additionalProperties: false,
};

for (const mode of MODES) {
  test(`an answer of a schema, on either surface (${mode})`, async () => {
    const response = await openAi(mode).responses.create({
      ...QUESTION,
      max_output_tokens: 64,
      text: { format: { type: 'json_schema', name: 'w', schema: SCHEMA, strict: true } },
    });
    assert.match(response.output_text, /^\s*\{\s*"unit"\s*:\s*"[cf]"\s*\}\s*$/);
    const message = await anthropic(mode).messages.create({
      ...MESSAGE,
      max_tokens: 64,
      output_config: { format: { type: 'json_schema', schema: SCHEMA } },
    });
    assert.match(JSON.stringify(message.content), /unit/);
  });

  test(`a schema that cannot be honoured is named as the surface names it (${mode})`, async () => {
    const schema = { ...SCHEMA, properties: { unit: { not: {} } } };
    await assert.rejects(
      openAi(mode).responses.create({
        ...QUESTION,
        text: { format: { type: 'json_schema', name: 'w', schema } },
      }),
      (error) => {
        assert.ok(error instanceof BadRequestError);
        assert.match(error.param ?? '', /^text\.format\.schema\b/);
        return true;
      },
    );
    await assert.rejects(
      anthropic(mode).messages.create({
        ...MESSAGE,
        tools: [{ name: 'weather', input_schema: schema }],
        tool_choice: { type: 'any' },
      }),
      /tools\.0\.input_schema\b/,
    );
  });
}

test('a model that nobody serves is not found, in the words of Anthropic', async () => {
  await assert.rejects(
    anthropic('plain').messages.create({ ...MESSAGE, model: 'nobody' }),
    (error) => error instanceof NotFoundError || /529|overloaded/.test(String(error)),
  );
});

test('a sealed message brings a receipt over what was counted', async () => {
  const receipts: VerifiedReceipt[] = [];
  const client = anthropic('sealed', (receipt) => void receipts.push(receipt));
  const message = await client.messages.create(MESSAGE);
  const [verified] = receipts;
  assert.equal(verified?.receipt.usage.completion, message.usage.output_tokens);
  assert.equal(verified?.receipt.usage.prompt, message.usage.input_tokens);
});

test('who reads a plain stream of either surface is told what it cost, and no SDK stumbles on it', async () => {
  for (const [path, body] of [
    ['responses', QUESTION],
    ['messages', MESSAGE],
  ] as const) {
    const response = await fetch(`${stack.baseUrl}/${path}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.apiKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ ...body, stream: true }),
    });
    const text = await response.text();
    const told = text.indexOf('\n: x_settlement {"');
    assert.ok(told !== -1, path);
    assert.ok(told < text.search(/event: (response\.incomplete|message_stop)/), path);
  }
});
