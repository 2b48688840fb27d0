/** Calls of tools and answers of a given form, with OpenAI's own client against a worker and a real engine. @module */

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import OpenAI, { BadRequestError } from 'openai';
import { z } from 'zod';
import { sha256 } from '#primitives';
import { toHex, utf8 } from '../../core/bytes.ts';
import type { Engine } from '../../enclave-worker/engine.ts';
import { startLlamaCpp } from '../../enclave-worker/engines/llama-cpp/engine.ts';
import { encodeGguf, TINY_SHAPE, tinyModel } from '../support/gguf.ts';
import {
  exchangeFixture,
  jsonOf,
  MODEL_ID,
  scriptedEngine,
  type Script,
} from './exchange-fixture.ts';

const CONTEXT = 4096;
const LIMITS = { maxPromptTokens: 3000, maxOutputTokens: 600, maxConcurrent: 2 };

/** Random weights: what it says under a grammar is of the grammar's form, and nothing else about it can be foreseen. */
let engine: Engine;
let dir = '';

before(async () => {
  dir = await mkdtemp(join(tmpdir(), 'veilgate-tools-test-'));
  const bytes = encodeGguf(tinyModel({ ...TINY_SHAPE, contextLength: CONTEXT }));
  const modelPath = join(dir, 'tiny.gguf');
  await writeFile(modelPath, bytes);
  engine = await startLlamaCpp({
    modelPath,
    modelSha256Hex: toHex(sha256(bytes)),
    contextTokens: CONTEXT,
    sequences: 2,
    threads: 1,
    gpu: false,
    environment: {},
    copyRoot: dir,
  });
});

after(async () => {
  await engine.close();
  await rm(dir, { recursive: true, force: true });
});

/** OpenAI's client whose requests are sealed to the worker at once. */
function openAi(from: Engine = engine): OpenAI {
  const fixture = exchangeFixture({ engine: from, limits: LIMITS });
  return new OpenAI({
    baseURL: 'http://worker.invalid/v1',
    apiKey: 'none',
    maxRetries: 0,
    fetch: async (_url, init) => {
      const body = z.looseObject({}).parse(jsonOf(z.string().parse(init?.body)));
      const bounds = { maxAmount: 0n, maxPrompt: 3000, maxOutput: 600, asset: 0 } as const;
      const { status, headers, text } = await fixture.ask(body, { bounds });
      return new Response(text, { status, headers: Object.fromEntries(headers) });
    },
  });
}

const messages = [{ role: 'user' as const, content: 'How is the weather?' }];
const PARAMETERS = {
  type: 'object',
  properties: {
    city: { enum: ['Rome', 'Oslo'] },
    days: { type: 'integer', minimum: 1, maximum: 9 },
  },
  required: ['city', 'days'],
  additionalProperties: false,
};
const ARGUMENTS = z.strictObject({ city: z.enum(['Rome', 'Oslo']), days: z.int().min(1).max(9) });
const TOOLS = [
  { type: 'function' as const, function: { name: 'weather', parameters: PARAMETERS } },
  { type: 'function' as const, function: { name: 'clock' } },
];
const BASE = { model: MODEL_ID, messages, tools: TOOLS, temperature: 1 };

test('a call that is required comes, with arguments of its schema, whatever the model is like', async () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const asked = { ...BASE, seed, tool_choice: 'required' as const, parallel_tool_calls: false };
    const [choice] = (await openAi().chat.completions.create(asked)).choices;
    assert.equal(choice?.finish_reason, 'tool_calls');
    assert.equal(choice.message.content, null);
    assert.equal(choice.message.tool_calls?.length, 1);
    const [call] = choice.message.tool_calls;
    assert.ok(call?.type === 'function');
    assert.match(call.id, /^call_[0-9a-f]{24}$/);
    const given = jsonOf(call.function.arguments);
    if (call.function.name === 'weather') ARGUMENTS.parse(given);
    else assert.deepEqual(given, {});
  }
});

test('a stream of a call is what the SDK puts together again, and the same call', async () => {
  const named = { type: 'function', function: { name: 'weather' } } as const;
  const asked = { ...BASE, seed: 7, tool_choice: named };
  const whole = await openAi().chat.completions.create(asked);
  const final = await openAi().chat.completions.stream(asked).finalChatCompletion();
  const calls = [whole, final].map(({ choices }) => choices[0]?.message.tool_calls?.[0]);
  for (const call of calls) {
    assert.ok(call?.type === 'function' && call.function.name === 'weather');
    ARGUMENTS.parse(jsonOf(call.function.arguments));
  }
  const [first, second] = calls.map((call) => (call?.type === 'function' ? call.function : {}));
  assert.deepEqual(
    { ...first },
    { name: 'weather', arguments: Reflect.get(second ?? {}, 'arguments') },
  );
  assert.equal(final.choices[0]?.finish_reason, 'tool_calls');
});

test('deltas of a call: id and name once, then nothing but arguments', async () => {
  const asked = { ...BASE, seed: 3, tool_choice: 'required' as const, stream: true as const };
  const deltas = [];
  for await (const { choices } of await openAi().chat.completions.create(asked)) {
    deltas.push(...(choices[0]?.delta.tool_calls ?? []));
  }
  const starts = deltas.filter((delta) => delta.id !== undefined);
  assert.ok(starts.length >= 1);
  assert.deepEqual(
    starts.map(({ index }) => index),
    starts.map((_, at) => at),
  );
  for (const { type, function: called } of starts) {
    assert.equal(type, 'function');
    assert.ok(called?.name !== undefined && called.arguments === '');
  }
  for (const delta of deltas.filter(({ id }) => id === undefined)) {
    assert.deepEqual(Object.keys(delta).sort(), ['function', 'index']);
    assert.deepEqual(Object.keys(delta.function ?? {}), ['arguments']);
  }
});

test('every choice of several has calls of its own', async () => {
  const asked = { ...BASE, seed: 1, n: 3, tool_choice: 'required' as const, max_tokens: 200 };
  const whole = await openAi().chat.completions.create({ ...asked, parallel_tool_calls: false });
  const ids = whole.choices.map(({ message }) => message.tool_calls?.[0]?.id);
  assert.equal(new Set(ids).size, 3);
  assert.ok(whole.choices.every(({ finish_reason: reason }) => reason === 'tool_calls'));
});

/** What a model would say that wants to know something first. */
const asking: Script = async function* asking({ prompts }) {
  const [prompt] = prompts;
  assert.ok(prompt?.kind === 'chat');
  const last = prompt.messages.at(-1)?.content ?? '';
  yield { kind: 'started' };
  if (last.startsWith('<tool_response>')) {
    yield { kind: 'text', text: `It is ${last.split('\n')[1] ?? ''}.` };
  } else {
    for (const text of [
      'I loo',
      'k.\n<tool',
      '_call>\n{"name": "weather", "arg',
      'uments": {"city":',
    ]) {
      yield { kind: 'text', text };
    }
    yield { kind: 'text', text: '"Rome","days":2}}\n</tool_call>' };
  }
  yield { kind: 'end', reason: 'stop' };
};

test('the SDK runs its tools to the end, in two steps', async () => {
  const asked: unknown[] = [];
  const runner = openAi(scriptedEngine(asking)).chat.completions.runTools({
    model: MODEL_ID,
    messages,
    tools: [
      {
        type: 'function',
        function: {
          name: 'weather',
          description: 'The weather of a city.',
          parameters: PARAMETERS,
          parse: (text: string) => ARGUMENTS.parse(jsonOf(text)),
          function: (given: z.infer<typeof ARGUMENTS>) => {
            asked.push(given);
            return 'sunny';
          },
        },
      },
    ],
  });
  assert.equal(await runner.finalContent(), 'It is sunny.');
  assert.deepEqual(asked, [{ city: 'Rome', days: 2 }]);
});

test('words before a call are content, and no mark-up of a call is', async () => {
  const client = openAi(scriptedEngine(asking));
  const whole = await client.chat.completions.create(BASE);
  assert.equal(whole.choices[0]?.message.content, 'I look.');
  assert.equal(whole.choices[0]?.message.tool_calls?.length, 1);
  let streamed = '';
  for await (const part of await client.chat.completions.create({ ...BASE, stream: true })) {
    streamed += part.choices[0]?.delta.content ?? '';
  }
  assert.equal(streamed, 'I look.');
});

test('a call that the bound on the output cut is not passed on as one', async () => {
  const cut = scriptedEngine(async function* cut() {
    yield { kind: 'started' };
    yield { kind: 'text', text: '<tool_call>\n{"name": "weather", "arguments": {"city":' };
    yield { kind: 'end', reason: 'length' };
  });
  const [choice] = (await openAi(cut).chat.completions.create(BASE)).choices;
  assert.equal(choice?.finish_reason, 'length');
  assert.equal(choice.message.tool_calls, undefined);
});

test('with tool_choice none the model is not told of tools and is held to no form', async () => {
  const scripted = scriptedEngine(asking);
  await openAi(scripted).chat.completions.create({ ...BASE, tool_choice: 'none' });
  await openAi(scripted).chat.completions.create(BASE);
  const [none, auto] = scripted.jobs;
  assert.equal(none?.grammar, undefined);
  assert.ok(!JSON.stringify(none).includes('<tools>'));
  assert.ok(auto?.grammar?.includes('root'));
  assert.ok(JSON.stringify(auto).includes('<tools>'));
});

const PERSON = z.strictObject({
  kind: z.enum(['cat', 'dog']),
  age: z.int().min(0).max(20).nullable(),
  tags: z.array(z.enum(['x', 'y'])).max(2),
});
const PERSON_SCHEMA = {
  type: 'object',
  properties: {
    kind: { type: 'string', enum: ['cat', 'dog'] },
    age: { anyOf: [{ type: 'integer', minimum: 0, maximum: 20 }, { type: 'null' }] },
    tags: { type: 'array', items: { $ref: '#/$defs/tag' }, maxItems: 2 },
  },
  required: ['kind', 'age', 'tags'],
  additionalProperties: false,
  $defs: { tag: { enum: ['x', 'y'] } },
};
const FORM = {
  response_format: {
    type: 'json_schema' as const,
    json_schema: { name: 'person', strict: true, schema: PERSON_SCHEMA },
  },
};

test('an answer of a schema satisfies it, a hundred times of a hundred, at temperature 1', async () => {
  const client = openAi();
  const asked = { model: MODEL_ID, messages, temperature: 1, ...FORM };
  for (let seed = 0; seed < 20; seed++) {
    const { choices } = await client.chat.completions.create({ ...asked, seed: seed * 5, n: 5 });
    for (const { message, finish_reason: reason } of choices) {
      PERSON.parse(jsonOf(message.content ?? ''));
      assert.equal(reason, 'stop');
    }
  }
});

test('probabilities come with an answer of a schema too', async () => {
  const { choices } = await openAi().chat.completions.create({
    model: MODEL_ID,
    messages,
    seed: 1,
    logprobs: true,
    top_logprobs: 2,
    ...FORM,
  });
  const [choice] = choices;
  PERSON.parse(jsonOf(choice?.message.content ?? ''));
  const bytes = (choice?.logprobs?.content ?? []).flatMap((token) => token.bytes ?? []);
  assert.deepEqual(bytes, [...utf8(choice?.message.content ?? '')]);
});

test('with tools an answer in words has the asked form', async () => {
  const scripted = scriptedEngine(async function* json() {
    yield { kind: 'started' };
    yield { kind: 'text', text: '{"note":"<tool_call>"}' };
    yield { kind: 'end', reason: 'stop' };
  });
  const [choice] = (await openAi(scripted).chat.completions.create({ ...BASE, ...FORM })).choices;
  assert.equal(choice?.message.content, '{"note":"<tool_call>"}');
  assert.equal(choice.finish_reason, 'stop');
});

test('what a schema asks that cannot be honoured is refused by keyword and place', async () => {
  const refused = (param: string) => (error: unknown) =>
    error instanceof BadRequestError &&
    error.code === 'unsupported_parameter' &&
    error.param === param;
  const schema = { type: 'object', properties: { a: { not: {} } } };
  const format = { type: 'json_schema', json_schema: { name: 'x', schema } } as const;
  await assert.rejects(
    openAi().chat.completions.create({ model: MODEL_ID, messages, response_format: format }),
    refused('response_format.json_schema.schema.properties.a.not'),
  );
  const tool = { type: 'function', function: { name: 'x', parameters: schema } } as const;
  await assert.rejects(
    openAi().chat.completions.create({ model: MODEL_ID, messages, tools: [tool] }),
    refused('tools.0.function.parameters.properties.a.not'),
  );
  await assert.rejects(
    openAi().chat.completions.create({ ...BASE, logprobs: true }),
    refused('logprobs'),
  );
});
