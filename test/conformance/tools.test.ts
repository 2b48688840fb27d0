/**
 * C09: calls of tools. What a trained model would decide is dictated; what is forced comes from real sampling under the
 * grammar of the tool.
 * @module
 */

import assert from 'node:assert/strict';
import { tool as langChainTool } from '@langchain/core/tools';
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { generateText, stepCountIs, streamText, tool, type LanguageModel } from 'ai';
import { zodFunction } from 'openai/helpers/zod';
import { z } from 'zod';
import { dictatedCall, dictation, withDictation } from '../support/conformance/dictation.ts';
import { tinyEngine } from '../support/conformance/engines.ts';
import { labOf, waysOf } from '../support/conformance/lab.ts';
import { row } from '../support/conformance/rows.ts';
import { aiSdk, aiSdkResponses, langChain, openAi, type Way } from '../support/conformance/way.ts';

const lab = labOf({ engine: () => withDictation(tinyEngine) });

const CITY = z.strictObject({ city: z.enum(['Rome', 'Oslo']) });
const ABOUT = 'The weather in a city';
const TWO_STEPS = dictation(dictatedCall('weather', { city: 'Rome' }), 'It is 21 degrees in Rome.');
const SEVERAL = dictation(
  `${dictatedCall('weather', { city: 'Rome' })}\n${dictatedCall('weather', { city: 'Oslo' })}`,
  'Warm, and cold.',
);
const FREE = 'How is the weather?';
const MAX_TOKENS = 200;

/** The tool, and with what it was called. */
function weather(): { readonly cities: string[]; readonly run: (input: unknown) => string } {
  const cities: string[] = [];
  return {
    cities,
    run: (input) => {
      cities.push(CITY.parse(input).city);
      return '21';
    },
  };
}

async function openAiLoops(way: Way): Promise<void> {
  const { completions } = openAi(way).chat;
  for (const [prompt, cities, end] of [
    [TWO_STEPS, ['Rome'], 'It is 21 degrees in Rome.'],
    [SEVERAL, ['Rome', 'Oslo'], 'Warm, and cold.'],
  ] as const) {
    for (const stream of [false, true] as const) {
      const called = weather();
      const tools = [
        zodFunction({
          name: 'weather',
          description: ABOUT,
          parameters: CITY,
          function: (input) => called.run(input),
        }),
      ];
      const asked = { model: way.model, messages: [{ role: 'user' as const, content: prompt }] };
      const runner = stream
        ? completions.runTools({ ...asked, tools, stream })
        : completions.runTools({ ...asked, tools });
      assert.equal(await runner.finalContent(), end);
      assert.deepEqual(called.cities, cities);
    }
  }
}

async function openAiForced(way: Way): Promise<void> {
  const { completions } = openAi(way).chat;
  const asked = {
    model: way.model,
    messages: [{ role: 'user' as const, content: FREE }],
    tools: [zodFunction({ name: 'weather', parameters: CITY })],
    max_completion_tokens: MAX_TOKENS,
  };
  const choice = { type: 'function', function: { name: 'weather' } } as const;
  const forced = { ...asked, tool_choice: choice, parallel_tool_calls: false };
  for (const answer of [
    await completions.create(forced),
    await completions.stream(forced).finalChatCompletion(),
  ]) {
    const [only] = answer.choices;
    assert.equal(only?.finish_reason, 'tool_calls');
    const [call, ...more] = only.message.tool_calls ?? [];
    assert.ok(call?.type === 'function' && more.length === 0);
    CITY.parse(JSON.parse(call.function.arguments));
  }
  const none = await completions.create({
    ...asked,
    tool_choice: 'none',
    max_completion_tokens: 8,
  });
  assert.equal(none.choices[0]?.message.tool_calls, undefined);
  assert.equal(none.choices[0]?.finish_reason, 'length');
}

function aiTools(called: { readonly run: (input: unknown) => string }) {
  return {
    weather: tool({ description: ABOUT, inputSchema: CITY, execute: (input) => called.run(input) }),
  };
}

/** Of the AI SDK, whichever provider is behind it. */
async function aiCells(model: LanguageModel): Promise<void> {
  const stateless = { openai: { store: false } };
  const common = { model, maxRetries: 0, providerOptions: stateless } as const;
  for (const [prompt, cities, end] of [
    [TWO_STEPS, ['Rome'], 'It is 21 degrees in Rome.'],
    [SEVERAL, ['Rome', 'Oslo'], 'Warm, and cold.'],
  ] as const) {
    const whole = weather();
    const asked = { ...common, prompt, stopWhen: stepCountIs(4) };
    const { text, steps } = await generateText({ ...asked, tools: aiTools(whole) });
    assert.deepEqual([text, steps.length, whole.cities], [end, 2, cities]);
    const streamed = weather();
    const stream = streamText({ ...asked, tools: aiTools(streamed) });
    assert.equal(await stream.text, end);
    assert.deepEqual([(await stream.steps).length, streamed.cities], [2, cities]);
  }
  const forced = weather();
  const once = { ...common, prompt: FREE, tools: aiTools(forced), maxOutputTokens: MAX_TOKENS };
  const { toolCalls } = await generateText({
    ...once,
    toolChoice: { type: 'tool', toolName: 'weather' },
  });
  assert.ok(toolCalls.length > 0);
  assert.deepEqual(
    forced.cities,
    toolCalls.map(({ input }) => CITY.parse(input).city),
  );
  const none = await generateText({ ...once, toolChoice: 'none', maxOutputTokens: 16 });
  assert.deepEqual(none.toolCalls, []);
}

async function langChainCells(way: Way): Promise<void> {
  const called = weather();
  const weatherTool = langChainTool((input: unknown) => called.run(input), {
    name: 'weather',
    description: ABOUT,
    schema: CITY,
  });
  const model = langChain(way).bindTools([weatherTool]);
  for (const [prompt, end] of [
    [TWO_STEPS, 'It is 21 degrees in Rome.'],
    [SEVERAL, 'Warm, and cold.'],
  ] as const) {
    const asked = new HumanMessage(prompt);
    const first = await model.invoke([asked]);
    const results: ToolMessage[] = [];
    for (const call of first.tool_calls ?? []) {
      const content = called.run(call.args);
      results.push(new ToolMessage({ content, tool_call_id: call.id ?? '' }));
    }
    assert.equal((await model.invoke([asked, first, ...results])).text, end);
    let streamed: Awaited<ReturnType<typeof model.invoke>> | undefined;
    for await (const piece of await model.stream([asked])) {
      streamed = streamed === undefined ? piece : streamed.concat(piece);
    }
    assert.deepEqual(
      streamed?.tool_calls?.map(({ name, args }) => [name, args]),
      first.tool_calls?.map(({ name, args }) => [name, args]),
    );
  }
  assert.deepEqual(called.cities, ['Rome', 'Rome', 'Oslo']);
  const bounded = langChain(way, { maxTokens: MAX_TOKENS });
  const forced = await bounded
    .bindTools([weatherTool], { tool_choice: 'weather', parallel_tool_calls: false })
    .invoke(FREE);
  assert.equal(forced.tool_calls?.length, 1);
  CITY.parse(forced.tool_calls[0]?.args);
  const none = await bounded.bindTools([weatherTool], { tool_choice: 'none' }).invoke(FREE);
  assert.deepEqual(none.tool_calls, []);
}

row('C09', waysOf(lab), {
  O: async (way) => {
    await openAiLoops(way);
    await openAiForced(way);
  },
  A: (way) => aiCells(aiSdk(way)(way.model)),
  R: (way) => aiCells(aiSdkResponses(way)(way.model)),
  L: langChainCells,
});
