/** OpenAI's own client, and plain HTTP, through the local proxy in front of the whole product. @module */

import assert from 'node:assert/strict';
import { request as httpRequest } from 'node:http';
import { after, before, test } from 'node:test';
import { APIUserAbortError, BadRequestError, NotFoundError } from 'openai';
import { z } from 'zod';
import { CHAT, openProxy, type ProxyLab } from '../support/proxy-lab.ts';
import { startStack, STACK_MODEL, type Stack } from '../support/stack.ts';
import { until } from '../support/until.ts';

let stack: Stack;
let lab: ProxyLab;
before(async () => {
  stack = await startStack({ workers: 2, maxConcurrent: 32 });
  const { rootFile: root, baseUrl: gatewayUrl, apiKey } = stack;
  lab = await openProxy(undefined, {
    policy: { root },
    gatewayUrl: gatewayUrl.replace(/\/v1$/, ''),
    apiKey,
    payer: { kind: 'account' },
  });
});
after(async () => {
  await lab.close(0);
  await stack.close();
});

const QUESTION = {
  model: STACK_MODEL,
  messages: [{ role: 'user' as const, content: 'What is remote attestation?' }],
  max_tokens: 48,
  temperature: 0,
  seed: 1,
};
const STOP_WITHIN_MS = 1000;

async function textOf(
  stream: AsyncIterable<{ choices: { delta: { content?: string | null } }[] }>,
) {
  let text = '';
  for await (const part of stream) text += part.choices[0]?.delta.content ?? '';
  return text;
}

test('workers are verified before the first request, and it says so', async () => {
  await until(() => lab.events.some(({ kind }) => kind === 'ready'));
  const rows = lab.activity.workers;
  assert.equal(rows.length, 2);
  for (const row of rows) {
    assert.equal(row.outcome, 'verified');
    assert.ok(row.simulated);
    assert.match(row.line, /^ADMIT {2}\(simulated\) {2}veilgate-demo/);
    assert.match(row.checks, /^\d{2,} pass, \d+ waived$/);
  }
  assert.deepEqual(
    rows.map(({ workerId }) => workerId).sort(),
    stack.gateway.registry
      .all()
      .map(({ workerId }) => workerId)
      .sort(),
  );
});

test('a whole answer has text, usage, an id and its labels', async () => {
  const { data, response } = await lab.sdk.chat.completions.create(QUESTION).withResponse();
  assert.ok((data.choices[0]?.message.content ?? '').length > 10);
  assert.equal(data.usage?.completion_tokens, 48);
  assert.equal(response.headers.get('sx-privacy'), 'end-to-end');
  assert.equal(response.headers.get('sx-authenticated'), 'true');
  assert.equal(response.headers.get('sx-simulated'), 'true');
  assert.match(response.headers.get('x-request-id') ?? '', /^sx_[0-9a-f]{32}$/);
});

test('a stream says the same, in pieces, and both are billed and shown', async () => {
  const from = lab.activity.ended.length;
  const whole = await lab.sdk.chat.completions.create(QUESTION);
  const stream = await lab.sdk.chat.completions.create({ ...QUESTION, stream: true });
  assert.equal(await textOf(stream), whole.choices[0]?.message.content);
  await until(() => lab.activity.ended.length === from + 2);
  const ended = lab.activity.ended.slice(from);
  for (const { outcome, model, tokens, cost, simulated } of ended) {
    assert.equal(outcome, 'answered');
    assert.equal(model, STACK_MODEL);
    assert.deepEqual(tokens, { read: whole.usage?.prompt_tokens, written: 48 });
    assert.equal(cost?.by, 'gateway');
    assert.ok((cost?.amount ?? 0n) > 0n);
    assert.ok(simulated);
  }
  assert.equal(ended[0]?.firstMs, undefined);
  assert.ok((ended[1]?.firstMs ?? Infinity) <= (ended[1]?.totalMs ?? 0));
});

test("OpenAI's stream helper is content", async () => {
  const runner = lab.sdk.chat.completions.stream(QUESTION);
  const final = await runner.finalChatCompletion();
  assert.ok((final.choices[0]?.message.content ?? '').length > 10);
});

test('thirty-two at once are all answered, alike', async () => {
  const answers = await Promise.all(
    Array.from({ length: 32 }, async (_, index) => {
      if (index % 2 === 0) {
        const answer = await lab.sdk.chat.completions.create(QUESTION);
        return answer.choices[0]?.message.content ?? '';
      }
      return textOf(await lab.sdk.chat.completions.create({ ...QUESTION, stream: true }));
    }),
  );
  assert.equal(new Set(answers).size, 1);
});

test('a program that leaves with [DONE] has its whole answer, and the bill is shown all the same', async () => {
  const body = JSON.stringify({ ...QUESTION, stream: true });
  const from = lab.activity.ended.length;
  await new Promise<void>((resolve, reject) => {
    const outgoing = httpRequest(
      `${lab.baseUrl}/chat/completions`,
      {
        method: 'POST',
        agent: false,
        headers: { authorization: `Bearer ${lab.token}`, 'content-type': 'application/json' },
      },
      (response) => {
        response.on('data', (bytes: Uint8Array) => {
          if (!Buffer.from(bytes).toString('utf8').includes('[DONE]')) return;
          outgoing.destroy();
          resolve();
        });
      },
    );
    outgoing.on('error', reject);
    outgoing.end(body);
  });
  await until(() => lab.activity.ended.length === from + 1);
  const { outcome, cost } = lab.activity.ended.at(-1) ?? {};
  assert.deepEqual([outcome, cost?.by], ['answered', 'gateway']);
});

for (const how of ['break', 'abort'] as const) {
  test(`${how} in the middle of a stream ends it at the worker within a second`, async () => {
    const stop = new AbortController();
    const stream = await lab.sdk.chat.completions.create(
      { ...QUESTION, max_tokens: 128, stream: true },
      { signal: stop.signal },
    );
    let pieces = 0;
    for await (const part of stream) {
      if ((part.choices[0]?.delta.content ?? '') === '') continue;
      pieces++;
      if (how === 'break') break;
      stop.abort();
    }
    const fromMs = performance.now();
    await until(() => stack.gateway.registry.all().every(({ load }) => load.inFlight === 0));
    assert.ok(performance.now() - fromMs < STOP_WITHIN_MS);
    assert.ok(pieces < 60, `${pieces}`);
    await until(() => lab.activity.ended.at(-1)?.outcome === 'left');
  });
}

test('an abort before the answer is an APIUserAbortError', async () => {
  const stop = new AbortController();
  const asked = lab.sdk.chat.completions.create(QUESTION, { signal: stop.signal });
  setImmediate(() => stop.abort());
  await assert.rejects(asked, APIUserAbortError);
  await until(() => stack.gateway.registry.all().every(({ load }) => load.inFlight === 0));
});

test('errors are typed: a bad parameter, a long prompt, an unknown model, an unknown path', async () => {
  const { completions } = lab.sdk.chat;
  await assert.rejects(
    completions.create({ ...QUESTION, temperature: 9 }),
    (error) => error instanceof BadRequestError && error.param === 'temperature',
  );
  const content = 'attestation '.repeat(400);
  await assert.rejects(
    completions.create({ ...QUESTION, messages: [{ role: 'user', content }] }),
    (error) => error instanceof BadRequestError && error.code === 'context_length_exceeded',
  );
  assert.equal(lab.activity.ended.at(-1)?.code, 'context_length_exceeded');
  await assert.rejects(
    completions.create({ ...QUESTION, model: 'unheard-of' }),
    (error) => error instanceof NotFoundError && error.code === 'model_not_found',
  );
  assert.equal(lab.activity.ended.at(-1)?.code, 'client.model');
  await assert.rejects(
    lab.sdk.files.list(),
    (error) => error instanceof NotFoundError && error.code === 'unknown_url',
  );
});

test('models are those that were verified', async () => {
  const list = await lab.sdk.models.list();
  assert.deepEqual(
    list.data.map(({ id }) => id),
    [STACK_MODEL],
  );
  assert.equal((await lab.sdk.models.retrieve(STACK_MODEL)).id, STACK_MODEL);
  assert.equal((await lab.ask('/healthz')).text, '{"ok":true}');
});

const VERIFICATION = z.object({
  format: z.literal('veilgate.verification/1'),
  workers: z.array(
    z.looseObject({
      worker: z.string().regex(/^[0-9a-f]{64}$/),
      outcome: z.literal('verified'),
      simulated: z.literal(true),
      expired: z.literal(false),
      checks: z.array(z.looseObject({ id: z.string(), outcome: z.enum(['pass', 'waived']) })),
    }),
  ),
});

test('/v1/verification lists every check of every worker, and text for people', async () => {
  const { text } = await lab.ask('/v1/verification');
  const { workers } = VERIFICATION.parse(JSON.parse(text));
  assert.equal(workers.length, 2);
  assert.ok(workers.every(({ checks }) => checks.length > 50));
  const page = await lab.ask('/v1/verification', { headers: { accept: 'text/plain' } });
  assert.match(page.text, /ADMIT {2}\(simulated\)/);
  assert.match(page.text, /waived policy\.simulated/);
});

test('asked to end, it finishes what runs and takes nothing new', async () => {
  const { rootFile: root, baseUrl, apiKey } = stack;
  const gatewayUrl = baseUrl.replace(/\/v1$/, '');
  const own = await openProxy(undefined, { policy: { root }, gatewayUrl, apiKey });
  const stream = await own.sdk.chat.completions.create({ ...QUESTION, stream: true });
  let closing: Promise<void> | undefined;
  let text = '';
  for await (const part of stream) {
    closing ??= own.close();
    text += part.choices[0]?.delta.content ?? '';
  }
  await closing;
  assert.ok(text.length > 100);
  await assert.rejects(own.ask(CHAT, { method: 'POST', body: '{}' }), { code: 'ECONNREFUSED' });
});

test('once every worker is revoked, asking says that there is none, and no other answer comes', async () => {
  for (const { workerId } of stack.gateway.registry.all()) await stack.revoke('key', workerId);
  await until(() => stack.gateway.registry.all().length === 0);
  await assert.rejects(lab.sdk.chat.completions.create(QUESTION), {
    status: 503,
    code: 'no_attested_worker',
  });
  assert.equal(lab.activity.ended.at(-1)?.code, 'client.no_worker');
});
