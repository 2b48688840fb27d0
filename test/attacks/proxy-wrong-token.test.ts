/** Another user of the machine, or another program, asks without the token of this run: every path is closed. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AuthenticationError, OpenAI } from 'openai';
import { memoryGateway, MODEL } from '../support/memory-gateway.ts';
import { CHAT, memoryProxy } from '../support/proxy-lab.ts';

test('nothing is answered without the token, and the gateway hears nothing', async (context) => {
  const gateway = await memoryGateway();
  const lab = await memoryProxy(context, gateway, { apiKey: 'vg_the-key-of-the-gateway' });
  const { token } = lab;
  const wrong = [
    '',
    'Bearer',
    'Bearer ',
    `Basic ${token}`,
    token,
    `Bearer ${token}x`,
    `Bearer ${token.slice(0, -1)}`,
    `Bearer ${token.toUpperCase()}`,
    `Bearer ${token} ${token}`,
    // Whoever knows the key of the gateway has not been given this proxy.
    'Bearer vg_the-key-of-the-gateway',
    `Bearer ${'x'.repeat(5000)}`,
  ];
  for (const authorization of wrong) {
    for (const path of ['/healthz', '/v1/models', '/v1/verification', '/', CHAT]) {
      const { status, text } = await lab.ask(path, { headers: { authorization } });
      assert.equal(status, 401, `${path} ${authorization.slice(0, 20)}`);
      assert.ok(!text.includes(token));
    }
  }
  assert.ok(!gateway.asked.includes('/sx/v1/exchange'));
});

test('the token in the query, in a cookie or in another header is none', async (context) => {
  const lab = await memoryProxy(context, await memoryGateway());
  const { token } = lab;
  const bare = { authorization: '' };
  for (const headers of [{ cookie: `token=${token}` }, { 'x-api-key': token }]) {
    assert.equal((await lab.ask('/v1/models', { headers: { ...bare, ...headers } })).status, 401);
  }
  const { status } = await lab.ask(`/v1/models?token=${token}`, { headers: bare });
  assert.equal(status, 401);
});

test('two authorization headers are none', async (context) => {
  const lab = await memoryProxy(context, await memoryGateway());
  const answer = await lab.raw(
    `GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer ${lab.token}\r\nauthorization: Bearer x\r\n\r\n`,
  );
  assert.match(answer, /^HTTP\/1\.1 401 /);
});

test('a wrong token is an AuthenticationError that says what to do, and is not tried again', async (context) => {
  const lab = await memoryProxy(context, await memoryGateway());
  const stranger = new OpenAI({ baseURL: lab.baseUrl, apiKey: 'sk-other', maxRetries: 2 });
  await assert.rejects(
    stranger.chat.completions.create({ model: MODEL, messages: [] }),
    (error) => error instanceof AuthenticationError && /token of this proxy/.test(error.message),
  );
  const refused = lab.events.filter(({ kind }) => kind === 'refused');
  assert.equal(refused.length, 1);
});

test('the token of the proxy never reaches the gateway, and its key never the program', async (context) => {
  const gateway = await memoryGateway();
  const lab = await memoryProxy(context, gateway, { apiKey: 'vg_the-key-of-the-gateway' });
  const { response } = await lab.sdk.chat.completions
    .create({ model: MODEL, messages: [{ role: 'user', content: 'x' }] })
    .withResponse();
  const sent = gateway.sent.map((bytes) => Buffer.from(bytes).toString('latin1')).join('\n');
  assert.ok(!sent.includes(lab.token));
  assert.ok(sent.includes('Bearer vg_the-key-of-the-gateway'));
  assert.ok(!JSON.stringify([...response.headers]).includes('vg_the-key'));
});
