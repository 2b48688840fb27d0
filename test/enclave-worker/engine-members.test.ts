/** What an engine does not offer is refused by its name before the engine hears of it. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ENGINE_MEMBERS,
  type EngineMember,
  type EngineOffers,
} from '../../enclave-worker/engine-members.ts';
import {
  exchangeFixture,
  jsonOf,
  MODEL_ID,
  scriptedEngine,
  type Script,
} from './exchange-fixture.ts';

const hello: Script = async function* hello() {
  yield { kind: 'started' };
  yield { kind: 'text', text: 'Hello' };
  yield { kind: 'end', reason: 'stop' };
};

const TOOLS = { tools: [{ type: 'function', function: { name: 'f' } }] };

const ASKS: Readonly<Record<EngineMember, object>> = {
  prompt: { prompt: ['a', 'b'] },
  n: { n: 2 },
  seed: { seed: 1 },
  stop: { stop: 'x' },
  frequency_penalty: { frequency_penalty: 1 },
  presence_penalty: { presence_penalty: 1 },
  logit_bias: { logit_bias: { 5: 1 } },
  logprobs: { logprobs: true },
  tools: TOOLS,
  tool_choice: { ...TOOLS, tool_choice: 'required' },
  parallel_tool_calls: { ...TOOLS, parallel_tool_calls: false },
  response_format: { response_format: { type: 'json_object' } },
  top_k: { top_k: 5 },
  min_p: { min_p: 0.1 },
  repetition_penalty: { repetition_penalty: 1.1 },
  reasoning_effort: { reasoning_effort: 'high' },
  chat_template_kwargs: { chat_template_kwargs: { enable_thinking: true } },
};

async function refusal(body: object, offers: EngineOffers): Promise<readonly unknown[]> {
  const engine = {
    ...scriptedEngine(hello),
    capabilities: ['chat', 'completions'] as const,
    offers,
  };
  const fixture = exchangeFixture({ engine });
  const isText = 'prompt' in body;
  const asked = isText ? body : { messages: [{ role: 'user', content: 'Hi' }], ...body };
  const request = { model: MODEL_ID, ...asked };
  const path = isText ? '/v1/completions' : '/v1/chat/completions';
  const answer = await fixture.ask(request, {
    request: {
      path,
      headers: [['content-type', 'application/json']],
      body: new TextEncoder().encode(JSON.stringify(request)),
    },
  });
  const said = jsonOf(answer.text);
  assert.ok(typeof said === 'object' && said !== null);
  const error: unknown = Reflect.get(said, 'error');
  if (typeof error !== 'object' || error === null) return [answer.status];
  return [answer.status, Reflect.get(error, 'code'), Reflect.get(error, 'param')];
}

for (const member of ENGINE_MEMBERS) {
  test(`${member} is refused by name where the engine lacks it, and served where it does not`, async () => {
    const body = ASKS[member];
    for (const conversations of ['taken', 'written'] as const) {
      const lacking = { conversations, lacks: new Set([member]) };
      assert.deepEqual(await refusal(body, lacking), [400, 'unsupported_parameter', member]);
      assert.deepEqual(await refusal(body, { conversations, lacks: new Set() }), [200]);
    }
  });
}

test('values that ask for nothing are served by an engine that lacks everything', async () => {
  const nothing = {
    n: 1,
    frequency_penalty: 0,
    presence_penalty: 0,
    logit_bias: {},
    logprobs: false,
    tools: [],
    parallel_tool_calls: false,
    response_format: { type: 'text' },
    top_k: 0,
    min_p: 0,
    repetition_penalty: 1,
    reasoning_effort: 'none',
    chat_template_kwargs: {},
  };
  const offers = { conversations: 'taken', lacks: new Set(ENGINE_MEMBERS) } as const;
  assert.deepEqual(await refusal(nothing, offers), [200]);
});

test('a tool that has to be called strictly is refused where the form is the engine’s own', async () => {
  const tools = [{ type: 'function', function: { name: 'f', strict: true } }];
  const lacks = new Set<EngineMember>();
  assert.deepEqual(await refusal({ tools }, { conversations: 'taken', lacks }), [
    400,
    'unsupported_parameter',
    'tools.0.function.strict',
  ]);
  assert.deepEqual(await refusal({ tools }, { conversations: 'written', lacks }), [200]);
});

test('probabilities of plain text are refused where they are not told', async () => {
  const lacks = new Set<EngineMember>();
  const offers = { conversations: 'taken', lacks, textLogprobs: 'untold' } as const;
  const asked = { prompt: 'a', logprobs: 1 };
  assert.deepEqual(await refusal(asked, offers), [400, 'unsupported_parameter', 'logprobs']);
  assert.deepEqual(await refusal({ logprobs: true }, offers), [200]);
});
