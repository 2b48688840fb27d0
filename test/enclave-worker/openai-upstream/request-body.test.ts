/** What an upstream is sent: all that was asked, in its words, and nothing of who asked. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UPSTREAM_CONFIG } from '../../../enclave-worker/engines/openai-upstream/config.ts';
import { UPSTREAM_KINDS } from '../../../enclave-worker/engines/openai-upstream/kinds.ts';
import { requestOf } from '../../../enclave-worker/engines/openai-upstream/request-body.ts';
import { openUpstream } from '../../../enclave-worker/engines/openai-upstream/upstream.ts';
import { utf8 } from '../../../core/bytes.ts';
import { hasCode } from '../../../core/errors.ts';
import { parseJson } from '../../../core/json.ts';
import { generateJob, type JobMore } from '../../support/engine-jobs.ts';
import { chat } from './fixture.ts';

type Body = Readonly<Record<string, unknown>>;

function sent(kind: string, job = chat(), more: object = {}): Body {
  const config = UPSTREAM_CONFIG.parse({ kind, model: 'm', ...more });
  const { body } = requestOf(openUpstream(config, 1), job, 7);
  return decoded(body);
}

/** As it goes over the wire. */
function decoded(body: Body): Body {
  const json = parseJson(utf8(JSON.stringify(body)), 1_000_000);
  assert.ok(typeof json === 'object' && json !== null);
  return { ...json };
}

for (const { name } of UPSTREAM_KINDS) {
  test(`${name} is always asked for a stream with its counts, for so much and no more`, () => {
    const body = sent(name);
    assert.equal(body['stream'], true);
    assert.deepEqual(Object.entries(body['stream_options'] ?? {})[0], ['include_usage', true]);
    assert.deepEqual([body['model'], body['max_tokens'], body['n']], ['m', 7, 1]);
    assert.deepEqual([body['temperature'], body['top_p']], [0, 1]);
  });
}

test('what nobody asked for is said to be off, in the words of the server', () => {
  const off = (kind: string): readonly unknown[] => {
    const body = sent(kind);
    return [body['top_k'], body['min_p'], body['repetition_penalty'] ?? body['repeat_penalty']];
  };
  assert.deepEqual(off('vllm'), [-1, 0, 1]);
  assert.deepEqual(off('sglang'), [-1, 0, 1]);
  assert.deepEqual(off('llama-cpp-server'), [0, 0, 1]);
  assert.deepEqual(off('ollama'), [undefined, undefined, undefined]);
});

test('what was asked for is sent', () => {
  const more: JobMore = {
    seed: -3,
    topP: 0,
    topK: 40,
    minP: 0.1,
    repetitionPenalty: 1.2,
    frequencyPenalty: 0.5,
    presencePenalty: -0.5,
    logitBias: [[5, -100]],
    stop: ['\n'],
    topLogprobs: 2,
    choices: 3,
    reasoningEffort: 'low',
    templateArguments: { enable_thinking: true },
  };
  const body = sent('vllm', chat(more));
  const { cache_salt: salt, messages, ...rest } = body;
  assert.match(String(salt), /^[0-9a-f]{64}$/);
  assert.deepEqual(messages, [{ role: 'user', content: 'Hello there' }]);
  assert.deepEqual(rest, {
    model: 'm',
    stream: true,
    stream_options: { include_usage: true, continuous_usage_stats: true },
    max_tokens: 7,
    n: 3,
    temperature: 0,
    top_p: 1e-6,
    frequency_penalty: 0.5,
    presence_penalty: -0.5,
    logit_bias: { 5: -100 },
    seed: 0x7fffffff - 3,
    top_k: 40,
    min_p: 0.1,
    repetition_penalty: 1.2,
    stop: ['\n'],
    logprobs: true,
    top_logprobs: 2,
    reasoning_effort: 'low',
    chat_template_kwargs: { enable_thinking: true },
  });
});

test('a tenant is a salted key: the same for its own requests, another for each other, new for each without a name', () => {
  const salt = (cacheNamespace?: string): unknown =>
    sent('vllm', { ...chat(), cacheNamespace })['cache_salt'];
  assert.equal(salt('one'), salt('one'));
  assert.notEqual(salt('one'), salt('two'));
  assert.notEqual(salt(), salt());
  assert.ok(!String(salt('one')).includes('one'));
  assert.equal(sent('llama-cpp-server')['cache_prompt'], false);
  assert.equal(sent('llama-cpp-server', chat(), { prefixCache: 'shared' })['cache_prompt'], true);
  assert.equal(sent('vllm', chat(), { prefixCache: 'shared' })['cache_salt'], undefined);
});

test('tools and forms go as they were asked; what was called before goes with its answers', () => {
  const prompts = [
    {
      kind: 'conversation' as const,
      messages: [
        { role: 'user' as const, content: 'q' },
        {
          role: 'assistant' as const,
          content: '',
          toolCalls: [{ id: 'call_1', name: 'f', arguments: '{}' }],
          reasoning: 'hm',
        },
        { role: 'tool' as const, content: 'r', toolCallId: 'call_1' },
      ],
      tooling: {
        tools: [{ name: 'f', parameters: { type: 'object' } }, { name: 'g' }],
        toolChoice: { kind: 'function' as const, name: 'f' },
        parallelToolCalls: false,
        format: { kind: 'json_schema' as const, schema: { type: 'object' } },
      },
    },
  ];
  const body = sent('vllm', generateJob('', { prompts }));
  assert.deepEqual(body['messages'], [
    { role: 'user', content: 'q' },
    {
      role: 'assistant',
      content: null,
      tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }],
      reasoning_content: 'hm',
    },
    { role: 'tool', content: 'r', tool_call_id: 'call_1' },
  ]);
  assert.deepEqual(body['tools'], [
    { type: 'function', function: { name: 'f', parameters: { type: 'object' } } },
    { type: 'function', function: { name: 'g', parameters: { type: 'object', properties: {} } } },
  ]);
  assert.deepEqual(body['tool_choice'], { type: 'function', function: { name: 'f' } });
  assert.equal(body['parallel_tool_calls'], false);
  assert.deepEqual(body['response_format'], {
    type: 'json_schema',
    json_schema: { name: 'answer', schema: { type: 'object' }, strict: true },
  });
});

test('a grammar goes under the name that the server has for it, or the configuration is refused', () => {
  const job = generateJob('q', { grammar: 'root ::= "x"' });
  assert.deepEqual(sent('vllm', job)['structured_outputs'], { grammar: 'root ::= "x"' });
  assert.equal(sent('sglang', job)['ebnf'], 'root ::= "x"');
  assert.equal(sent('llama-cpp-server', job)['grammar'], 'root ::= "x"');
  for (const kind of ['ollama', 'openai']) {
    assert.throws(
      () => sent(kind, job, { conversations: 'written' }),
      (error) => hasCode(error, 'worker.config'),
    );
  }
});
