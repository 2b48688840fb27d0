/** What OpenAI's own client throws for each thing that goes wrong. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  type OpenAI,
  AuthenticationError,
  BadRequestError,
  NotFoundError,
  PermissionDeniedError,
} from 'openai';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';

let stack: Stack;
before(async () => {
  stack = await startStack();
});
after(() => stack.close());

const MODES = ['sealed', 'plain'] as const;
const MESSAGES = [{ role: 'user' as const, content: 'Hello' }];
const QUESTION = { model: STACK_MODEL, messages: MESSAGES, max_tokens: 8 };

function client(mode: (typeof MODES)[number]): OpenAI {
  return mode === 'sealed' ? stack.sealed() : stack.plain();
}

for (const mode of MODES) {
  test(`a key that is not known is an AuthenticationError (${mode})`, async () => {
    const stranger = client(mode).withOptions({ apiKey: `vg_${'A'.repeat(43)}` });
    await assert.rejects(stranger.chat.completions.create(QUESTION), (error) => {
      assert.ok(error instanceof AuthenticationError);
      assert.equal(error.code, 'invalid_api_key');
      assert.match(error.message, /API key/);
      return true;
    });
  });

  test(`a model that nobody serves is a NotFoundError (${mode})`, async () => {
    await assert.rejects(
      client(mode).chat.completions.create({ ...QUESTION, model: 'unheard-of' }),
      (error) => error instanceof NotFoundError && error.code === 'model_not_found',
    );
  });

  test(`a parameter that is not served is a BadRequestError that names it (${mode})`, async () => {
    for (const stream of [false, true]) {
      await assert.rejects(
        client(mode).chat.completions.create({ ...QUESTION, stream, web_search_options: {} }),
        (error) =>
          error instanceof BadRequestError &&
          error.code === 'unsupported_parameter' &&
          error.param === 'web_search_options',
      );
    }
  });

  test(`a prompt that does not fit is a BadRequestError (${mode})`, async () => {
    const content = 'attestation '.repeat(400);
    await assert.rejects(
      client(mode).chat.completions.create({ ...QUESTION, messages: [{ role: 'user', content }] }),
      (error) => error instanceof BadRequestError && error.code === 'context_length_exceeded',
    );
  });

  test(`a bad value is a BadRequestError (${mode})`, async () => {
    await assert.rejects(
      client(mode).chat.completions.create({ ...QUESTION, temperature: 9 }),
      (error) => error instanceof BadRequestError && error.param === 'temperature',
    );
  });

  test(`an unknown path is a NotFoundError (${mode})`, async () => {
    await assert.rejects(
      client(mode).moderations.create({ model: STACK_MODEL, input: 'x' }),
      (error) => error instanceof NotFoundError && error.code === 'unknown_url',
    );
  });
}

test("the worker's own refusals are authenticated, the gateway's are not", async () => {
  await assert.rejects(
    stack.sealed().chat.completions.create({ ...QUESTION, web_search_options: {} }),
    (error) => error instanceof BadRequestError && error.headers.get('sx-authenticated') === 'true',
  );
  const stranger = stack.sealed().withOptions({ apiKey: 'wrong' });
  await assert.rejects(
    stranger.chat.completions.create(QUESTION),
    (error) =>
      error instanceof AuthenticationError && error.headers.get('sx-authenticated') === 'false',
  );
});

test('a gateway that may not read refuses plain requests and serves sealed ones', async () => {
  const strict = await startStack({ gateway: { plaintext: 'refuse' } });
  try {
    await assert.rejects(
      strict.plain().chat.completions.create(QUESTION),
      (error) => error instanceof PermissionDeniedError && error.code === 'plaintext_disabled',
    );
    const answer = await strict.sealed().chat.completions.create(QUESTION);
    assert.equal(answer.usage?.completion_tokens, 8);
  } finally {
    await strict.close();
  }
});
