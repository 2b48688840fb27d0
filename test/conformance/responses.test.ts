/** C18: Responses, as the clients that speak it by default or on request use it. @module */

import assert from 'node:assert/strict';
import { tool as langChainTool } from '@langchain/core/tools';
import { HumanMessage, ToolMessage } from '@langchain/core/messages';
import { generateText, stepCountIs, streamText, tool } from 'ai';
import { z } from 'zod';
import { CRASH, dictatedCall, dictation, withDictation } from '../support/conformance/dictation.ts';
import { tinyEngine } from '../support/conformance/engines.ts';
import { labOf, waysOf } from '../support/conformance/lab.ts';
import { row } from '../support/conformance/rows.ts';
import { aiSdkResponses, langChain, openAi, type Way } from '../support/conformance/way.ts';

const lab = labOf({ engine: () => withDictation(tinyEngine) });

const TEXT = 'Something that was dictated.';
const SAY = dictation(TEXT);
const CITY = z.strictObject({ city: z.enum(['Rome', 'Oslo']) });
const ASK = dictation(dictatedCall('weather', { city: 'Oslo' }), 'It is cold in Oslo.');
const BREAK = dictation(`Something that${CRASH}`);

/** Of the API reference: names rise in this order, and so do the numbers. */
const EVENTS_OF_TEXT = [
  'response.created',
  'response.in_progress',
  'response.output_item.added',
  'response.content_part.added',
  'response.output_text.delta',
  'response.output_text.done',
  'response.content_part.done',
  'response.output_item.done',
  'response.completed',
];

async function openAiText(way: Way): Promise<void> {
  const { responses } = openAi(way);
  const asked = { model: way.model, input: SAY };
  const whole = await responses.create(asked);
  assert.deepEqual([whole.status, whole.output_text], ['completed', TEXT]);
  assert.ok((whole.usage?.output_tokens ?? 0) > 0);
  const types: string[] = [];
  const numbers: number[] = [];
  for await (const event of await responses.create({ ...asked, stream: true })) {
    if (event.type !== types.at(-1)) types.push(event.type);
    numbers.push(event.sequence_number);
  }
  assert.deepEqual(types, EVENTS_OF_TEXT);
  assert.deepEqual(
    numbers,
    numbers.map((_, at) => at),
  );
}

async function openAiTools(way: Way): Promise<void> {
  const { responses } = openAi(way);
  const parameters = z.toJSONSchema(CITY);
  const asked = {
    model: way.model,
    tools: [{ type: 'function' as const, name: 'weather', parameters, strict: true }],
  };
  const first = await responses.stream({ ...asked, input: ASK }).finalResponse();
  const [call, ...more] = first.output;
  assert.ok(call?.type === 'function_call' && more.length === 0);
  assert.deepEqual(CITY.parse(JSON.parse(call.arguments)), { city: 'Oslo' });
  const second = await responses.create({
    ...asked,
    input: [
      { role: 'user', content: ASK },
      call,
      { type: 'function_call_output', call_id: call.call_id, output: '-3' },
    ],
  });
  assert.equal(second.output_text, 'It is cold in Oslo.');
}

async function openAiFailure(way: Way): Promise<void> {
  const { responses } = openAi(way);
  const asked = { model: way.model, input: BREAK };
  let last = '';
  for await (const event of await responses.create({ ...asked, stream: true })) last = event.type;
  assert.equal(last, 'response.failed');
  const final = await responses.stream(asked).finalResponse();
  assert.deepEqual([final.status, final.error?.code], ['failed', 'worker_failed']);
  await assert.rejects(responses.create(asked), { status: 502, code: 'worker_failed' });
}

async function aiSdkCell(way: Way): Promise<void> {
  const model = aiSdkResponses(way)(way.model);
  const common = { model, maxRetries: 0, providerOptions: { openai: { store: false } } } as const;
  assert.equal((await generateText({ ...common, prompt: SAY })).text, TEXT);
  const stream = streamText({ ...common, prompt: SAY });
  assert.equal(await stream.text, TEXT);
  assert.equal(await stream.finishReason, 'stop');
  assert.ok(((await stream.usage).outputTokens ?? 0) > 0);
  const weather = tool({ inputSchema: CITY, execute: ({ city }) => `${city}: -3` });
  const looped = streamText({
    ...common,
    prompt: ASK,
    tools: { weather },
    stopWhen: stepCountIs(3),
  });
  assert.equal(await looped.text, 'It is cold in Oslo.');
  assert.equal((await looped.steps).length, 2);
  const errors: unknown[] = [];
  const broken = streamText({
    ...common,
    prompt: BREAK,
    onError: ({ error }) => void errors.push(error),
  });
  await broken.consumeStream();
  assert.equal(errors.length, 1);
  assert.equal(await broken.finishReason, 'error');
}

async function langChainCell(way: Way): Promise<void> {
  const model = langChain(way, { useResponsesApi: true, zdrEnabled: true });
  assert.equal((await model.invoke(SAY)).text, TEXT);
  let text = '';
  for await (const piece of await model.stream(SAY)) text += piece.text;
  assert.equal(text, TEXT);
  const weather = langChainTool(() => '-3', { name: 'weather', schema: CITY });
  const bound = model.bindTools([weather]);
  const asked = new HumanMessage(ASK);
  const first = await bound.invoke([asked]);
  assert.deepEqual(
    first.tool_calls?.map(({ name, args }) => [name, args]),
    [['weather', { city: 'Oslo' }]],
  );
  const results = (first.tool_calls ?? []).map(
    ({ id = '' }) => new ToolMessage({ content: '-3', tool_call_id: id }),
  );
  assert.equal((await bound.invoke([asked, first, ...results])).text, 'It is cold in Oslo.');
  await assert.rejects(model.invoke(BREAK), { status: 502, code: 'worker_failed' });
}

row('C18', waysOf(lab), {
  O: async (way) => {
    await openAiText(way);
    await openAiTools(way);
    await openAiFailure(way);
  },
  R: aiSdkCell,
  L: langChainCell,
});
