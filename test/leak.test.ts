/**
 * Nothing remains: canaries in prompts and in answers go through every path, good and bad, and then every log, metric,
 * error and file is searched for them in every form in which they could have been written.
 * @module
 */

import { until } from './support/until.ts';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import type OpenAI from 'openai';
import { toBase64, toHex, utf8 } from '../core/bytes.ts';
import { randomBytes } from '#primitives';
import { ehbpKeyOf, ehbpOpenAi } from './support/ehbp.ts';
import { findsIn, formsOf, holds } from './support/canaries.ts';
import { startStack, STACK_MODEL, type Stack } from './support/stack.ts';

const CANARY = `canary-${toHex(randomBytes(8))}-\u00e9"`;
/** Whoever knows it can find out what was asked under it. */
const CACHE_SALT = `salt-${toHex(randomBytes(16))}`;

test('the search finds a canary in every form it looks for', () => {
  for (const { name, bytes } of formsOf(CANARY)) {
    const hay = Buffer.concat([Buffer.from('before '), bytes, Buffer.from(' after')]);
    assert.ok(holds(hay, bytes), name);
  }
  const line = Buffer.from(toBase64(utf8(`x${CANARY}y`)));
  assert.ok(formsOf(CANARY).some(({ bytes }) => holds(line, bytes)));
});

function promptOf(canary: string): OpenAI.ChatCompletionMessageParam[] {
  return [{ role: 'user', content: canary }];
}

/** What the demo model answers at length, so that the answer can be searched for. */
const SPEAKING = {
  model: STACK_MODEL,
  messages: promptOf('What is remote attestation?'),
  max_tokens: 40,
  temperature: 0,
};

/** Every way an app can ask, and every way it can go wrong. What it says itself in errors is kept. */
async function askEverything(stack: Stack, said: string[]): Promise<string[]> {
  const answers: string[] = [];
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      said.push(inspect(error, { depth: 8 }));
    }
  };
  for (const client of [stack.sealed(), stack.plain()]) {
    const base = { model: STACK_MODEL, messages: promptOf(CANARY), max_tokens: 24 };
    const bad = [
      { ...base, logprobs: true, top_logprobs: 2, n: 2 },
      { ...base, logit_bias: { [CANARY]: 1 } },
      { ...base, model: `${CANARY}-model` },
      { ...base, user: CANARY, metadata: { key: CANARY }, stop: [CANARY] },
      { ...base, temperature: 77 },
      { ...base, messages: promptOf(CANARY.repeat(200)) },
      { ...base, [CANARY]: CANARY },
    ];
    await attempt(async () => void (await client.chat.completions.create(base)));
    await attempt(async () => {
      const answer = await client.chat.completions.create(SPEAKING);
      answers.push(answer.choices[0]?.message.content ?? '');
    });
    await attempt(async () => {
      const stream = await client.chat.completions.create({ ...SPEAKING, stream: true });
      let text = '';
      for await (const part of stream) text += part.choices[0]?.delta.content ?? '';
      answers.push(text);
    });
    await attempt(async () => {
      const stream = await client.chat.completions.create({
        ...base,
        max_tokens: 128,
        stream: true,
      });
      for await (const part of stream) if ((part.choices[0]?.delta.content ?? '') !== '') break;
    });
    for (const body of bad) {
      await attempt(async () => void (await client.chat.completions.create(body)));
    }
    // Kept in the engine for the second, and nowhere else.
    const kept = { ...SPEAKING, prompt_cache_key: CANARY };
    const headers = { 'sx-cache-salt': CACHE_SALT };
    await attempt(async () => void (await client.chat.completions.create(kept, { headers })));
    await attempt(async () => void (await client.chat.completions.create(kept, { headers })));
    const stranger = client.withOptions({ apiKey: 'nobody' });
    await attempt(async () => void (await stranger.chat.completions.create(base)));
    answers.push(...(await askOtherEndpoints(client, attempt)));
    answers.push(...(await askSurfaces(client, attempt)));
  }
  answers.push(...(await askEhbp(stack, attempt)));
  await askRaw(stack, said);
  return answers;
}

type Attempt = (work: () => Promise<void>) => Promise<void>;

/** Text completions and embeddings; a vector is searched for by its bytes. */
async function askOtherEndpoints(client: OpenAI, attempt: Attempt): Promise<readonly string[]> {
  const { completions, embeddings } = client;
  const model = STACK_MODEL;
  const answers: string[] = [];
  await attempt(async () => {
    const prompt = 'Remote attestation is a way for a machine to';
    const asked = { model, prompt, max_tokens: 48, temperature: 0, logprobs: 5 };
    answers.push((await completions.create(asked)).choices[0]?.text ?? '');
  });
  await attempt(async () => {
    const { data } = await embeddings.create({ model, input: [CANARY], encoding_format: 'float' });
    answers.push(JSON.stringify(data[0]?.embedding.slice(0, 4)));
  });
  for (const prompt of [CANARY, CANARY.repeat(200)]) {
    await attempt(async () => void (await completions.create({ model, prompt })));
    await attempt(async () => void (await completions.create({ model, prompt, echo: true })));
    await attempt(async () => void (await embeddings.create({ model, input: prompt })));
    await attempt(async () => void (await embeddings.create({ model: prompt, input: prompt })));
  }
  return answers;
}

/** Responses and Messages, whole and streamed, well and badly asked. */
async function askSurfaces(client: OpenAI, attempt: Attempt): Promise<readonly string[]> {
  const { responses } = client;
  const { model, max_tokens: tokens, temperature, messages } = SPEAKING;
  const answers: string[] = [];
  const spoken = { model, input: 'What is remote attestation?', temperature };
  await attempt(async () => {
    const answer = await responses.create({ ...spoken, max_output_tokens: tokens });
    answers.push(answer.output_text);
    await responses.stream({ ...spoken, max_output_tokens: tokens }).finalResponse();
  });
  // The same fetch and the same key, in Anthropic's words.
  const message = (body: object): Promise<unknown> => client.post('/messages', { body });
  await attempt(async () => {
    const told = await message({ model, max_tokens: tokens, temperature, messages });
    answers.push(/"text":"([^"]{10,})"/.exec(JSON.stringify(told))?.[1] ?? '');
  });
  const bad = [
    { model, input: CANARY, max_tokens: 4, messages: promptOf(CANARY), metadata: { k: CANARY } },
    { model: CANARY, input: CANARY, max_tokens: 4, messages: promptOf(CANARY) },
    { model, input: [{ type: CANARY }], max_tokens: 4, messages: [{ role: CANARY }] },
    { model, input: [{ role: 'user', [CANARY]: 1 }], max_tokens: 4, messages: [{ [CANARY]: 1 }] },
    { model, input: CANARY, instructions: CANARY, tools: [{ type: 'function', name: CANARY }] },
    { model, max_tokens: 4, system: CANARY, messages: promptOf(CANARY.repeat(200)) },
  ];
  for (const body of bad) {
    for (const path of ['/responses', '/messages']) {
      await attempt(async () => void (await client.post(path, { body })));
      const streamed = { ...body, stream: true };
      await attempt(async () => void (await client.post(path, { body: streamed })));
    }
  }
  return answers;
}

/** By the published client of EHBP: whole, streamed, badly asked, from a stranger, to a key that is gone. */
async function askEhbp(stack: Stack, attempt: Attempt): Promise<readonly string[]> {
  const key = ehbpKeyOf(stack);
  const client = await ehbpOpenAi(stack, key);
  const base = { model: STACK_MODEL, messages: promptOf(CANARY), max_tokens: 24 };
  const answers: string[] = [];
  await attempt(async () => {
    const answer = await client.chat.completions.create(SPEAKING);
    answers.push(answer.choices[0]?.message.content ?? '');
    const stream = await client.chat.completions.create({ ...base, stream: true });
    for await (const part of stream) if ((part.choices[0]?.delta.content ?? '') !== '') break;
  });
  const gone = await ehbpOpenAi(stack, { ...key, kid: randomBytes(16) });
  const bounded = await ehbpOpenAi(stack, key, { 'x-vg-max-output': CANARY.slice(0, 12) });
  const stranger = client.withOptions({ apiKey: 'nobody' });
  for (const app of [client, gone, bounded, stranger]) {
    await attempt(async () => void (await app.chat.completions.create(base)));
  }
  for (const bad of [{ logit_bias: { [CANARY]: 1 } }, { model: CANARY }, { [CANARY]: CANARY }]) {
    await attempt(async () => void (await client.chat.completions.create({ ...base, ...bad })));
  }
  return answers;
}

/** A prompt whose answer is cut because its worker is revoked, and one that finds nobody afterwards. */
async function askRevoked(stack: Stack, said: string[]): Promise<void> {
  const [worker] = stack.gateway.registry.all();
  assert.ok(worker !== undefined);
  const client = stack.sealed();
  const stream = await client.chat.completions.create({ ...SPEAKING, stream: true });
  let isRevoked = false;
  const cut = (async () => {
    for await (const _ of stream) {
      if (!isRevoked) await stack.revoke('key', worker.workerId);
      isRevoked = true;
    }
  })();
  await cut.catch((error: unknown) => said.push(inspect(error, { depth: 6 })));
  await until(() => stack.gateway.registry.all().length === 0);
  for (const app of [client, stack.plain()]) {
    await assert.rejects(app.chat.completions.create(SPEAKING), (error) => {
      said.push(inspect(error, { depth: 6 }));
      return true;
    });
  }
}

/** Requests that no SDK would send. */
async function askRaw(stack: Stack, said: string[]): Promise<void> {
  const headers = { authorization: `Bearer ${stack.apiKey}`, 'content-type': 'application/json' };
  const origin = new URL(stack.baseUrl).origin;
  for (const [path, init] of [
    ['/v1/chat/completions', { method: 'POST', headers, body: `{"model": "${CANARY}` }],
    [
      '/v1/chat/completions',
      { method: 'POST', headers: { ...headers, 'content-type': 'text/plain' }, body: CANARY },
    ],
    [
      '/sx/v1/exchange',
      {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/vnd.sx1.req' },
        body: CANARY,
      },
    ],
    [
      `/e/${'0'.repeat(32)}/v1/chat/completions`,
      { method: 'POST', headers: { ...headers, 'ehbp-encapsulated-key': CANARY }, body: CANARY },
    ],
    [`/e/${encodeURIComponent(CANARY)}/v1/models`, { headers }],
    ['/v1/workers', { method: 'POST', headers, body: JSON.stringify({ evidence: CANARY }) }],
    [`/v1/evidence?model=${encodeURIComponent(CANARY)}`, { headers }],
    [`/v1/publication/${encodeURIComponent(CANARY)}`, { headers }],
    [`/v1/revocations?${encodeURIComponent(CANARY)}`, { headers }],
    [`/${encodeURIComponent(CANARY)}`, { method: 'PUT', headers, body: CANARY }],
  ] as const) {
    const response = await fetch(`${origin}${path}`, init);
    said.push(`${inspect(response.headers)} ${await response.text()}`);
  }
}

for (const tee of ['tdx', 'snp'] as const) {
  test(`no prompt and no answer is found in any log, metric, error or file (${tee})`, async () => {
    const stack = await startStack({
      tee,
      gateway: { ehbp: 'serve' },
      workerConfig: () => ({ ehbp: 'offer' }),
    });
    const said: string[] = [];
    let traces: ReturnType<Stack['traces']>;
    let answers: readonly string[];
    try {
      answers = await askEverything(stack, said);
      await askRevoked(stack, said);
      const metrics = await (await fetch(`${stack.adminUrl}/metrics`)).text();
      const policy = await (await fetch(`${stack.adminUrl}/policy`)).text();
      // Ended first: what a process writes last is searched too.
      await stack.stop();
      traces = [
        { name: 'metrics', bytes: utf8(metrics) },
        { name: 'policy', bytes: utf8(policy) },
        ...said.map((text, index) => ({ name: `error ${index}: ${text}`, bytes: utf8(text) })),
        ...stack.traces(),
      ];
    } finally {
      await stack.close();
    }
    assert.equal(answers.length, 13);
    assert.ok(answers.every((answer) => answer.length >= 40));
    assert.ok(traces.some(({ name }) => name.endsWith('worker-0.log')));
    assert.ok(traces.some(({ name }) => /audit-\d+\.log$/.test(name)));
    assert.ok(traces.some(({ name }) => name.endsWith('policy/accepted.json')));
    assert.ok(traces.some(({ name, bytes }) => name === 'gateway log' && bytes.length > 500));
    const secrets = [
      { name: 'prompt', forms: formsOf(CANARY) },
      { name: 'salt', forms: formsOf(CACHE_SALT) },
      ...[...new Set(answers)].map((answer) => ({ name: 'answer', forms: formsOf(answer) })),
    ];
    assert.deepEqual(findsIn(traces, secrets), []);
  });
}
