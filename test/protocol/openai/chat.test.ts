/** Chat requests are honoured exactly or refused by name. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeChatRequest, type ChatRequest } from '../../../protocol/openai/chat.ts';

const BASE = { model: 'm', messages: [{ role: 'user', content: 'Hello' }] };

function decoded(body: unknown): ChatRequest {
  const decision = decodeChatRequest(body);
  assert.ok(decision.outcome === 'decoded', JSON.stringify(decision));
  return decision.request;
}

function refused(body: unknown): readonly [string | null, string | null] {
  const decision = decodeChatRequest(body);
  assert.ok(decision.outcome === 'refused');
  assert.equal(decision.failure.status, 400);
  const { code, param } = decision.failure.body.error;
  return [code, param];
}

test('the defaults are those of OpenAI', () => {
  assert.deepEqual(decoded(BASE), {
    model: 'm',
    messages: [{ role: 'user', content: 'Hello' }],
    maxOutputTokens: undefined,
    choices: 1,
    sampling: {
      temperature: 1,
      topP: 1,
      frequencyPenalty: 0,
      presencePenalty: 0,
      logitBias: [],
      seed: undefined,
    },
    stop: [],
    topLogprobs: undefined,
    mode: 'unary',
    includeUsage: false,
    cacheKey: undefined,
    tools: [],
    toolChoice: { kind: 'none' },
    parallelToolCalls: true,
    format: { kind: 'text' },
  });
});

test('what is honoured arrives', () => {
  const request = decoded({
    ...BASE,
    max_completion_tokens: 7,
    temperature: 0,
    top_p: 0.5,
    seed: 3,
    frequency_penalty: -2,
    presence_penalty: 0.5,
    logit_bias: { '7': 100, '0': -1.5 },
    n: 4,
    logprobs: true,
    top_logprobs: 3,
    stop: ['a', 'b'],
    stream: true,
    stream_options: { include_usage: true, include_obfuscation: false },
  });
  assert.equal(request.maxOutputTokens, 7);
  assert.deepEqual(request.sampling, {
    temperature: 0,
    topP: 0.5,
    frequencyPenalty: -2,
    presencePenalty: 0.5,
    logitBias: [
      [0, -1.5],
      [7, 100],
    ],
    seed: 3,
  });
  assert.equal(request.choices, 4);
  assert.equal(request.topLogprobs, 3);
  assert.equal(decoded({ ...BASE, logprobs: true }).topLogprobs, 0);
  assert.deepEqual(request.stop, ['a', 'b']);
  assert.equal(request.mode, 'stream');
  assert.equal(request.includeUsage, true);
  assert.equal(decoded({ ...BASE, max_tokens: 9 }).maxOutputTokens, 9);
  assert.deepEqual(decoded({ ...BASE, stop: 'x' }).stop, ['x']);
});

test('developer is system, and parts are joined', () => {
  const messages = [
    { role: 'developer', content: 'Be brief.' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'one ' },
        { type: 'text', text: 'two' },
      ],
    },
    { role: 'assistant', content: 'ok', refusal: null, tool_calls: [] },
    { role: 'system', content: 's' },
  ];
  assert.deepEqual(decoded({ model: 'm', messages }).messages, [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'one two' },
    { role: 'assistant', content: 'ok', toolCalls: [] },
    { role: 'system', content: 's' },
  ]);
});

test('null means absent', () => {
  const nothing = Object.fromEntries(
    ['max_tokens', 'temperature', 'top_p', 'seed', 'stop', 'stream', 'stream_options', 'n', 'tools']
      .concat(['response_format', 'audio', 'functions', 'user', 'store', 'logit_bias'])
      .map((name) => [name, null]),
  );
  assert.deepEqual(decoded({ ...BASE, ...nothing }), decoded(BASE));
});

test('parameters without effect are accepted', () => {
  const idle = {
    user: 'u',
    safety_identifier: 's',
    metadata: { a: 'b' },
    service_tier: 'auto',
    verbosity: 'low',
    prediction: { type: 'content', content: 'x' },
    store: false,
    prompt_cache_retention: '24h',
    prompt_cache_options: {},
  };
  assert.deepEqual(decoded({ ...BASE, ...idle }), decoded(BASE));
});

test('a cache key is handed on, for whoever keeps prompts', () => {
  const keyed = decoded({ ...BASE, prompt_cache_key: 'k' });
  assert.deepEqual(keyed, { ...decoded(BASE), cacheKey: 'k' });
});

const NEUTRAL: Readonly<Record<string, unknown>> = {
  n: 1,
  frequency_penalty: 0,
  presence_penalty: 0,
  logit_bias: {},
  logprobs: false,
  top_logprobs: 0,
  response_format: { type: 'text' },
  tools: [],
  tool_choice: 'none',
  parallel_tool_calls: true,
  modalities: ['text'],
};

test('values that ask for nothing are accepted', () => {
  for (const [name, value] of Object.entries(NEUTRAL)) decoded({ ...BASE, [name]: value });
});

const UNSUPPORTED: Readonly<Record<string, unknown>> = {
  modalities: ['text', 'audio'],
  audio: { voice: 'x' },
  web_search_options: {},
  moderation: {},
  functions: [],
  function_call: 'auto',
  store: true,
};

for (const [name, value] of Object.entries(UNSUPPORTED)) {
  test(`${name} that asks for something is refused by name`, () => {
    assert.deepEqual(refused({ ...BASE, [name]: value }), ['unsupported_parameter', name]);
  });
}

test('unknown parameters are refused by name', () => {
  assert.deepEqual(refused({ ...BASE, temprature: 1 }), ['unknown_parameter', 'temprature']);
  assert.deepEqual(refused({ ...BASE, top_n: 5 }), ['unknown_parameter', 'top_n']);
  const messages = [{ role: 'user', content: 'x', colour: 1 }];
  assert.deepEqual(refused({ ...BASE, messages }), ['unknown_parameter', 'messages.0.colour']);
  assert.deepEqual(refused({ ...BASE, stream: true, stream_options: { every: 1 } }), [
    'unknown_parameter',
    'stream_options.every',
  ]);
});

test('a name that could be content does not come back', () => {
  assert.deepEqual(refused({ ...BASE, 'my secret prompt': 1 }), ['unknown_parameter', null]);
  assert.deepEqual(refused({ ...BASE, ['x'.repeat(200)]: 1 }), ['unknown_parameter', null]);
});

test('members of messages that nobody here can honour are refused by name', () => {
  const message = (more: object) => ({
    ...BASE,
    messages: [{ role: 'user', content: 'x', ...more }],
  });
  assert.deepEqual(refused(message({ name: 'bob' })), ['unsupported_parameter', 'messages.0.name']);
  assert.deepEqual(refused(message({ role: 'function' })), [
    'unsupported_parameter',
    'messages.0.role',
  ]);
  const image = [{ type: 'image_url', image_url: { url: 'https://example.com' } }];
  assert.deepEqual(refused(message({ content: image })), [
    'unsupported_parameter',
    'messages.0.content.0.type',
  ]);
});

const INVALID: readonly (readonly [object, string])[] = [
  [{ model: '' }, 'model'],
  [{ model: 5 }, 'model'],
  [{ messages: [] }, 'messages'],
  [{ messages: 'hi' }, 'messages'],
  [{ messages: [{ role: 'user', content: 5 }] }, 'messages.0.content'],
  [{ temperature: 2.1 }, 'temperature'],
  [{ temperature: 'hot' }, 'temperature'],
  [{ top_p: -0.1 }, 'top_p'],
  [{ max_tokens: 0 }, 'max_tokens'],
  [{ max_completion_tokens: 1.5 }, 'max_completion_tokens'],
  [{ max_tokens: 5, max_completion_tokens: 6 }, 'max_tokens'],
  [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop'],
  [{ seed: 0.5 }, 'seed'],
  [{ n: 0 }, 'n'],
  [{ n: 129 }, 'n'],
  [{ frequency_penalty: 2.1 }, 'frequency_penalty'],
  [{ presence_penalty: -2.1 }, 'presence_penalty'],
  [{ logit_bias: { 5: 101 } }, 'logit_bias.5'],
  [{ logit_bias: { '05': 1 } }, 'logit_bias.05'],
  [{ logit_bias: { word: 1 } }, 'logit_bias.word'],
  [
    { logit_bias: Object.fromEntries(Array.from({ length: 1025 }, (_, at) => [at, 1])) },
    'logit_bias',
  ],
  [{ logprobs: 1 }, 'logprobs'],
  [{ top_logprobs: 3 }, 'top_logprobs'],
  [{ logprobs: true, top_logprobs: 21 }, 'top_logprobs'],
  [{ stream: 'yes' }, 'stream'],
  [{ stream_options: { include_usage: true } }, 'stream_options'],
  [{ service_tier: 'priority' }, 'service_tier'],
];

for (const [change, param] of INVALID) {
  test(`${JSON.stringify(change).slice(0, 60)} is invalid at ${param}`, () => {
    assert.deepEqual(refused({ ...BASE, ...change }), ['invalid_value', param]);
  });
}

test('a body that is no object is invalid', () => {
  for (const body of [null, 5, 'text', [], undefined]) {
    assert.deepEqual(refused(body), ['invalid_value', null]);
  }
});

test('what OpenAI has not, and some engines have, arrives as it was asked', () => {
  const { sampling, reasoningEffort, templateArguments } = decoded({
    ...BASE,
    top_k: 40,
    min_p: 0.05,
    repetition_penalty: 1.1,
    reasoning_effort: 'high',
    chat_template_kwargs: { enable_thinking: false, budget: 3, style: 'short' },
  });
  const { topK, minP, repetitionPenalty } = sampling;
  assert.deepEqual([topK, minP, repetitionPenalty], [40, 0.05, 1.1]);
  assert.equal(reasoningEffort, 'high');
  assert.deepEqual(templateArguments, { enable_thinking: false, budget: 3, style: 'short' });
  assert.equal(decoded({ ...BASE, top_k: -1 }).sampling.topK, 0);
  assert.ok(!('topK' in decoded(BASE).sampling));
});

/** An engine that renders templates takes these for its own. */
const HOSTILE_ARGUMENTS: readonly object[] = [
  { chat_template: '{{ secrets }}' },
  { messages: 'x' },
  { add_generation_prompt: false },
  { enable_thinking: { deep: true } },
  { enable_thinking: ['x'] },
  { __class__: 'x' },
  { 'a.b': 'x' },
  { style: 'x'.repeat(257) },
  Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`a${at}`, true])),
];

for (const given of HOSTILE_ARGUMENTS) {
  test(`no template is given ${JSON.stringify(given).slice(0, 48)}`, () => {
    const [code, param] = refused({ ...BASE, chat_template_kwargs: given });
    assert.equal(code, 'invalid_value');
    assert.match(param ?? '', /^chat_template_kwargs/);
  });
}

for (const [name, value] of [
  ['top_k', -2],
  ['top_k', 1.5],
  ['min_p', 1.1],
  ['repetition_penalty', 0],
  ['repetition_penalty', 3],
  ['reasoning_effort', 'immense'],
] as const) {
  test(`${name} ${value} is not a value of it`, () => {
    assert.deepEqual(refused({ ...BASE, [name]: value }), ['invalid_value', name]);
  });
}
