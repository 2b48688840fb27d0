/** Responses and Messages through the local proxy in front of the whole product. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import Anthropic, { AuthenticationError } from '@anthropic-ai/sdk';
import { openProxy, type ProxyLab } from '../support/proxy-lab.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';

let stack: Stack;
let lab: ProxyLab;
before(async () => {
  stack = await startStack();
  const { rootFile: root, baseUrl, apiKey } = stack;
  const gatewayUrl = baseUrl.replace(/\/v1$/, '');
  lab = await openProxy(undefined, {
    policy: { root },
    gatewayUrl,
    apiKey,
    payer: { kind: 'account' },
  });
});
after(async () => {
  await lab.close(0);
  await stack.close();
});

const TEXT = 'What is remote attestation?';
const MESSAGE = {
  model: STACK_MODEL,
  max_tokens: 16,
  messages: [{ role: 'user' as const, content: TEXT }],
};

function anthropic(apiKey: string): Anthropic {
  return new Anthropic({ apiKey, baseURL: new URL(lab.baseUrl).origin, maxRetries: 0 });
}

test("Anthropic's client shows the token of the run as its key, and is answered whole and streamed", async () => {
  const client = anthropic(lab.token);
  const { data, response } = await client.messages.create(MESSAGE).withResponse();
  assert.equal(response.headers.get('sx-privacy'), 'end-to-end');
  assert.equal(data.stop_reason, 'max_tokens');
  const streamed = await client.messages.stream(MESSAGE).finalMessage();
  assert.equal(streamed.usage.output_tokens, 16);
  assert.equal(lab.activity.running.length, 0);
});

test("OpenAI's client has its responses, whole and streamed", async () => {
  const asked = { model: STACK_MODEL, input: TEXT, max_output_tokens: 16 };
  const whole = await lab.sdk.responses.create(asked);
  assert.equal(whole.status, 'incomplete');
  const streamed = await lab.sdk.responses.stream(asked).finalResponse();
  assert.equal(streamed.usage?.output_tokens, 16);
});

test('refusals of the proxy, of the client and of the worker are in the words of Anthropic', async () => {
  await assert.rejects(anthropic('sk-other').messages.create(MESSAGE), (error) => {
    assert.ok(error instanceof AuthenticationError);
    assert.equal(error.type, 'authentication_error');
    return true;
  });
  const client = anthropic(lab.token);
  const nobody = { ...MESSAGE, model: 'nobody' };
  await assert.rejects(client.messages.create(nobody), /\{"type":"error","error":\{"type":"/);
  await assert.rejects(
    client.messages.create({ ...MESSAGE, thinking: { type: 'adaptive' } }),
    /thinking: The request has a parameter that is not supported/,
  );
});

test('a wrong key alone, and two keys, are none', async () => {
  const { port } = new URL(lab.baseUrl);
  for (const keys of [['x'], [lab.token, lab.token], [`Bearer ${lab.token}`]]) {
    const lines = keys.map((key) => `x-api-key: ${key}\r\n`).join('');
    const head = `GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\n${lines}\r\n`;
    assert.match(await lab.raw(head), /^HTTP\/1\.1 401 /);
  }
});
