/** What an upstream must show before the worker says that it serves, and what it is not offered for otherwise. @module */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { VeilError } from '../../../core/errors.ts';
import type { UpstreamConfig } from '../../../enclave-worker/engines/openai-upstream/config.ts';
import type { OpenAiUpstreamOptions } from '../../../enclave-worker/engines/openai-upstream/engine.ts';
import { answerWell } from '../../support/fake-upstream-answers.ts';
import {
  reply,
  startFakeUpstream,
  type FakeExchange,
  type FakeScript,
  type FakeUpstream,
  type FakeUpstreamOptions,
} from '../../support/fake-upstream.ts';
import { chat, outcomeOf, startOver } from './fixture.ts';

let closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
  closers = [];
});

async function fakeUpstream(options: FakeUpstreamOptions = {}): Promise<FakeUpstream> {
  const fake = await startFakeUpstream(options);
  closers.push(() => fake.close());
  return fake;
}

interface Start {
  readonly options?: Partial<OpenAiUpstreamOptions>;
  readonly config?: Partial<UpstreamConfig>;
}

async function start(fake: FakeUpstream, { options, config }: Start = {}) {
  const over = await startOver(fake, { slots: 2, ...options }, config);
  closers.push(() => over.engine.close());
  return over;
}

/** The probe that ended the start. */
async function refusal(fake: FakeUpstream, more: Start = {}): Promise<unknown> {
  try {
    await start(fake, more);
  } catch (error) {
    assert.ok(error instanceof VeilError && error.code === 'engine.probe', String(error));
    return error.facts['probe'];
  }
  return undefined;
}

test('an upstream that behaves starts, and is offered for all that its kind claims', async () => {
  const fake = await fakeUpstream();
  const { engine } = await start(fake);
  assert.deepEqual([...(engine.offers?.lacks ?? [])], []);
  assert.equal(engine.offers?.conversations, 'taken');
  assert.ok(engine.healthy());
  assert.equal((await outcomeOf({ engine })).text, 'Hello from the fake.');
});

test('it is reached through a socket too', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'veilgate-upstream-'));
  closers.push(() => rm(dir, { recursive: true, force: true }));
  const socketPath = join(dir, 'upstream.sock');
  const fake = await fakeUpstream({ socketPath });
  const { engine } = await start(fake, { config: { url: 'http://localhost', socketPath } });
  assert.equal((await outcomeOf({ engine })).text, 'Hello from the fake.');
});

const FOREIGN = [
  'http://192.0.2.7:8000',
  'http://[2001:db8::1]:8000',
  'http://vllm.internal:8000',
  'http://0.0.0.0:8000',
  'http://127.0.0.1:8000/v1',
  'http://user:secret@127.0.0.1:8000',
];

for (const url of FOREIGN) {
  test(`${url} is no address of this machine`, async () => {
    const fake = await fakeUpstream();
    assert.equal(await refusal(fake, { config: { url } }), 'address');
    assert.equal(fake.asked.length, 0);
  });
}

test('nobody there is waited for, and not for ever', async () => {
  const fake = await startFakeUpstream();
  await fake.close();
  assert.equal(await refusal(fake, { config: { readyWithinMs: 1500 } }), 'ready');
});

test('an upstream that is still loading is waited for', async () => {
  const fake = await fakeUpstream();
  let asked = 0;
  fake.routes.set('/health', (res) => {
    asked++;
    reply(res, asked > 1 ? 200 : 503, {});
  });
  await start(fake);
  assert.ok(asked > 1);
});

for (const [what, status] of [
  ['wants a key', 401],
  ['is something else', 404],
  ['leads elsewhere', 302],
] as const) {
  test(`what stands there and ${what} is not waited for`, async () => {
    const fake = await fakeUpstream();
    fake.routes.set('/health', (res) => {
      res.writeHead(status, { location: 'http://127.0.0.1:9/' });
      res.end('{}');
    });
    assert.equal(await refusal(fake), 'ready');
  });
}

test('it has to have the model, under its name', async () => {
  assert.equal(await refusal(await fakeUpstream(), { config: { model: 'other/model' } }), 'model');
});

test('a model of Ollama that runs on the machines of its maker is none', async () => {
  const fake = await fakeUpstream({ model: 'gpt-oss:120b-cloud' });
  const more = { config: { kind: 'ollama', prefixCache: 'shared' } } as const;
  assert.equal(await refusal(fake, more), 'model');
  assert.equal(fake.asked.length, 0);
});

test('a card that promises more context than there is', async () => {
  const fake = await fakeUpstream({ contextTokens: 4096 });
  assert.equal(await refusal(fake, { options: { contextTokens: 4097 } }), 'context');
});

const only =
  (
    isMeant: (exchange: FakeExchange) => boolean,
    then: FakeScript,
    fake: FakeUpstream,
  ): FakeScript =>
  (exchange) =>
    isMeant(exchange) ? then(exchange) : answerWell(exchange, fake);

const greeting = ({ asked }: FakeExchange): boolean =>
  JSON.stringify(asked.body).includes('Say hello');

const hello = { index: 0, delta: { content: 'Hello' }, finish_reason: null };
const stop = { index: 0, delta: {}, finish_reason: 'stop' };

const UNSOUND: readonly (readonly [what: string, probe: string, script: FakeScript])[] = [
  [
    'whose answers do not end',
    'chat',
    async ({ begin, chunk, res }) => {
      begin();
      await chunk(hello);
      res.end();
    },
  ],
  [
    'that does not count',
    'usage',
    async ({ begin, chunk, done }) => {
      begin();
      await chunk(hello);
      await chunk(stop);
      await done();
    },
  ],
  [
    'that counts nothing',
    'usage',
    async ({ begin, chunk, done }) => {
      begin();
      await chunk(hello);
      await chunk(stop, { usage: { prompt_tokens: 0, completion_tokens: 0 } });
      await done();
    },
  ],
  [
    'that counts too much',
    'usage',
    async ({ begin, chunk, done }) => {
      begin();
      await chunk(hello);
      await chunk(stop, { usage: { prompt_tokens: 5, completion_tokens: 5000 } });
      await done();
    },
  ],
  [
    'that answers no streams',
    'chat',
    ({ res }) => {
      reply(res, 200, { choices: [] });
      return Promise.resolve();
    },
  ],
  [
    'that dies at the first question',
    'chat',
    ({ res }) => {
      res.destroy();
      return Promise.resolve();
    },
  ],
];

for (const [what, probe, script] of UNSOUND) {
  test(`an upstream ${what} does not start`, async () => {
    const fake = await fakeUpstream();
    fake.script = only(greeting, script, fake);
    assert.equal(await refusal(fake), probe);
  });
}

test('an upstream that writes on for nobody does not start', async () => {
  const fake = await fakeUpstream();
  fake.ignoresAborts = true;
  assert.equal(await refusal(fake), 'abort');
});

test('one that does not say how many answers it writes does not start either', async () => {
  const fake = await fakeUpstream();
  fake.routes.set('/metrics', (res) => reply(res, 404, {}));
  assert.equal(await refusal(fake), 'abort');
});

test('an upstream in which one tenant meets the prefix of another does not start', async () => {
  const fake = await fakeUpstream();
  fake.cachedTokens = 16;
  assert.equal(await refusal(fake), 'isolation');
});

test('a kind that cannot keep tenants apart starts only where that is written', async () => {
  const fake = await fakeUpstream();
  assert.equal(await refusal(fake, { config: { kind: 'openai' } }), 'isolation');
  const { engine } = await start(fake, { config: { kind: 'openai', prefixCache: 'shared' } });
  assert.deepEqual([...(engine.offers?.lacks ?? [])].sort(), [
    'chat_template_kwargs',
    'min_p',
    'reasoning_effort',
    'repetition_penalty',
    'top_k',
  ]);
});

test('embeddings that the card promises have to come', async () => {
  const fake = await fakeUpstream();
  fake.routes.set('/v1/embeddings', (res) => reply(res, 404, { error: { message: 'x' } }));
  assert.equal(await refusal(fake), 'embeddings');
  await start(fake, { options: { serves: ['chat'] } });
});

for (const member of [
  'n',
  'logprobs',
  'tools',
  'response_format',
  'logit_bias',
  'reasoning_effort',
]) {
  test(`an upstream that takes no ${member} is not offered for it, and starts`, async () => {
    const fake = await fakeUpstream();
    fake.script = (exchange) => {
      const value = exchange.asked.body[member];
      if (value === undefined || value === 1) return answerWell(exchange, fake);
      reply(exchange.res, 400, { error: { message: 'x' } });
      return Promise.resolve();
    };
    const { engine } = await start(fake);
    const lacks = new Set<string>(engine.offers?.lacks);
    assert.ok(lacks.has(member));
    assert.ok(!lacks.has('stop'));
  });
}

test('an upstream that takes a member and does not keep to it is not offered for it', async () => {
  const fake = await fakeUpstream();
  fake.script = (exchange) => {
    const { n, logprobs, response_format, tool_choice, ...body } = exchange.asked.body;
    assert.ok([n, logprobs, response_format, tool_choice].length === 4);
    return answerWell({ ...exchange, asked: { ...exchange.asked, body } }, fake);
  };
  const { engine } = await start(fake);
  const lacks = [...(engine.offers?.lacks ?? [])].sort();
  assert.deepEqual(lacks, [
    'logprobs',
    'n',
    'parallel_tool_calls',
    'response_format',
    'tool_choice',
  ]);
});

test('what is asked with a start carries no credential and names no tenant', async () => {
  const fake = await fakeUpstream();
  const { engine } = await start(fake);
  await outcomeOf({ engine }, chat({ cacheNamespace: 'tenant-one' }));
  assert.ok(fake.asked.length > 4);
  for (const { headers, body } of fake.asked) {
    assert.deepEqual(Object.keys(headers).sort(), [
      'accept',
      'connection',
      'content-length',
      'content-type',
      'host',
    ]);
    assert.ok(!JSON.stringify(body).includes('tenant-one'));
  }
});
