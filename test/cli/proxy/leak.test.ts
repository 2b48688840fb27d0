/**
 * Nothing remains of what goes through the local proxy: canaries in prompts, names and paths, and answers, are searched for in
 * everything that it printed, drew and wrote, in every form in which they could have been written. @module
 */

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { inspect } from 'node:util';
import OpenAI from 'openai';
import { randomBytes } from '#primitives';
import { toHex, utf8 } from '../../../core/bytes.ts';
import { startLiveView } from '../../../cli/proxy/live-view.ts';
import { eventJson, eventLine } from '../../../cli/proxy/lines.ts';
import { tokenIn } from '../../../cli/proxy/token.ts';
import { findsIn, formsOf, holds, type Trace } from '../../support/canaries.ts';
import { openProxy } from '../../support/proxy-lab.ts';
import { startProxyProcess } from '../../support/proxy-process.ts';
import { startStack, STACK_MODEL, type Stack } from '../../support/stack.ts';
import { until } from '../../support/until.ts';

const CANARY = `canary-${toHex(randomBytes(8))}-\u00e9"`;
const SPEAKING = {
  model: STACK_MODEL,
  messages: [{ role: 'user' as const, content: 'What is remote attestation?' }],
  max_tokens: 40,
  temperature: 0,
};

function secretsOf(answers: readonly string[]) {
  return [
    { name: 'prompt', forms: formsOf(CANARY) },
    ...[...new Set(answers)].map((answer) => ({ name: 'answer', forms: formsOf(answer) })),
  ];
}

/** Every way to ask, and every way it can go wrong. */
async function askEverything(baseUrl: string, token: string, said: string[]): Promise<string[]> {
  const openai = new OpenAI({ baseURL: baseUrl, apiKey: token, maxRetries: 0 });
  const answers: string[] = [];
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    await work().catch((error: unknown) => said.push(inspect(error, { depth: 8 })));
  };
  const messages = [{ role: 'user' as const, content: CANARY }];
  const base = { model: STACK_MODEL, messages, max_tokens: 24 };
  await attempt(() => openai.chat.completions.create(base));
  const whole = await openai.chat.completions.create(SPEAKING);
  answers.push(whole.choices[0]?.message.content ?? '');
  let text = '';
  for await (const part of await openai.chat.completions.create({ ...SPEAKING, stream: true })) {
    text += part.choices[0]?.delta.content ?? '';
  }
  answers.push(text);
  const left = await openai.chat.completions.create({ ...base, max_tokens: 128, stream: true });
  for await (const part of left) if ((part.choices[0]?.delta.content ?? '') !== '') break;
  for (const more of [
    { logprobs: 7 },
    { model: `${CANARY}-model` },
    { user: CANARY, metadata: { key: CANARY }, stop: [CANARY] },
    { temperature: 77 },
    { messages: [{ role: 'user', content: CANARY.repeat(200) }] },
    { [CANARY]: CANARY },
  ]) {
    await attempt(() => openai.post('/chat/completions', { body: { ...base, ...more } }));
  }
  const stranger = openai.withOptions({ apiKey: encodeURIComponent(CANARY) });
  await attempt(() => stranger.chat.completions.create(base));
  await attempt(() => openai.embeddings.create({ model: CANARY, input: CANARY }));
  await attempt(() => openai.models.retrieve(CANARY));
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  for (const [path, init] of [
    ['/chat/completions', { method: 'POST', body: `{"model": "${CANARY}` }],
    ['/chat/completions', { method: 'POST', body: CANARY }],
    [`/${encodeURIComponent(CANARY)}`, { method: 'POST', body: JSON.stringify(CANARY) }],
    [`/models?${encodeURIComponent(CANARY)}`, {}],
    ['/verification', {}],
    [
      '/chat/completions',
      { method: 'POST', headers: { origin: `https://${toHex(utf8(CANARY))}` } },
    ],
    [
      '/chat/completions',
      { method: 'POST', headers: { 'content-type': 'text/plain' }, body: CANARY },
    ],
  ] as const) {
    const more = 'headers' in init ? init.headers : {};
    const response = await fetch(`${baseUrl}${path}`, {
      ...init,
      headers: { ...headers, ...more },
    });
    said.push(`${inspect(response.headers)} ${await response.text()}`);
  }
  return answers;
}

function keyIn(stack: Stack): { readonly home: string; readonly keyFile: string } {
  const home = join(stack.dataDir, 'home');
  mkdirSync(home, { mode: 0o700 });
  const keyFile = join(home, 'api-key');
  writeFileSync(keyFile, stack.apiKey, { mode: 0o600 });
  return { home, keyFile };
}

test('no prompt and no answer is in what the process prints and writes, for people and for programs', async () => {
  const stack = await startStack();
  const { home, keyFile } = keyIn(stack);
  const said: string[] = [];
  const traces: Trace[] = [];
  const answers: string[] = [];
  try {
    for (const [index, mode] of ['--json', '--lines'].entries()) {
      const tokenFile = join(home, `token-${index}`);
      const who = ['--gateway', stack.baseUrl, '--policy-root', stack.rootFile, '--dir', home];
      const how = ['--api-key-file', keyFile, mode, '--token-file', tokenFile];
      const proxy = startProxyProcess(...who, ...how);
      try {
        const [baseUrl = ''] = await proxy.said(/http:\/\/127\.0\.0\.1:\d+\/v1(?=[" ])/);
        answers.push(...(await askEverything(baseUrl, tokenIn(tokenFile), said)));
        assert.equal(await proxy.end(), 0);
      } finally {
        proxy.child.kill('SIGKILL');
      }
      const out = utf8(proxy.stdout() + proxy.stderr());
      assert.ok(out.length > 1000);
      traces.push({ name: `output ${mode}`, bytes: out });
      const key = { name: 'api key', forms: formsOf(stack.apiKey) };
      const own = { name: 'token', forms: formsOf(tokenIn(tokenFile)) };
      assert.deepEqual(findsIn(traces, [key, own]), []);
    }
    await stack.stop();
    traces.push(
      ...said.map((text, index) => ({ name: `error ${index}: ${text}`, bytes: utf8(text) })),
      ...stack.traces(),
    );
  } finally {
    await stack.close();
  }
  assert.equal(answers.length, 4);
  assert.ok(answers.every((answer) => answer.length >= 40));
  assert.ok(traces.some(({ name }) => /home\/policy\/[0-9a-f]{16}\.json$/.test(name)));
  assert.ok(said.length > 20);
  assert.deepEqual(findsIn(traces, secretsOf(answers)), []);
});

test('no prompt and no answer is in any frame of the live view, or in any event', async () => {
  const stack = await startStack();
  let drawn = '';
  const said: string[] = [];
  let answers: readonly string[];
  try {
    const { rootFile: root, baseUrl, apiKey } = stack;
    const gatewayUrl = baseUrl.replace(/\/v1$/, '');
    const lab = await openProxy(undefined, { policy: { root }, gatewayUrl, apiKey });
    const terminal = {
      columns: 200,
      rows: 60,
      write: (text: string) => (drawn += text),
      on: () => undefined,
      off: () => undefined,
    };
    const facts = { baseUrl: lab.baseUrl, gatewayUrl, token: 'in a file', payer: 'account' };
    const view = startLiveView(terminal, lab.activity, facts, stack.gateway.clock);
    answers = await askEverything(lab.baseUrl, lab.token, said);
    await until(() => drawn.includes('refused at the door'));
    await until(() => / 0 running/.test(drawn.slice(drawn.lastIndexOf('\u001B[?2026h'))));
    view.end();
    await lab.close();
    for (const event of lab.events) {
      drawn += `${eventLine(event) ?? ''}\n${JSON.stringify(eventJson(event, 0))}\n${inspect(event)}\n`;
    }
  } finally {
    await stack.close();
  }
  const bytes = utf8(drawn);
  assert.ok(holds(bytes, utf8('veilgate-demo')));
  assert.deepEqual(findsIn([{ name: 'the view', bytes }], secretsOf(answers)), []);
});
