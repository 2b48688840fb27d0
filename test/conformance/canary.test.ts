/** C22: what clients ask and are answered is in no log, metric, error body or file of any part. @module */

import assert from 'node:assert/strict';
import { generateText, streamText } from 'ai';
import { randomBytes } from '#primitives';
import { toHex, utf8 } from '../../core/bytes.ts';
import { findsIn, formsOf, type Trace } from '../support/canaries.ts';
import { CRASH, dictation, withDictation } from '../support/conformance/dictation.ts';
import { tinyEngine } from '../support/conformance/engines.ts';
import { labOf, waysOf } from '../support/conformance/lab.ts';
import { row } from '../support/conformance/rows.ts';
import { aiSdk, aiSdkResponses, langChain, openAi, type Way } from '../support/conformance/way.ts';

const lab = labOf({ engine: () => withDictation(tinyEngine) });

interface Secrets {
  readonly prompt: string;
  readonly answer: string;
}

function newSecrets(): Secrets {
  const fresh = (): string => `canary-${toHex(randomBytes(8))}-\u00e9"`;
  return { prompt: fresh(), answer: fresh() };
}

/** The same way; what it says in refusals is kept. */
function overheard(inner: Way): { readonly way: Way; readonly refusals: Trace[] } {
  const refusals: Trace[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const response = await inner.fetch(input, init);
    const headers = JSON.stringify([...response.headers]);
    refusals.push({ name: 'headers', bytes: utf8(headers) });
    if (response.ok) return response;
    const text = await response.text();
    refusals.push({ name: `refusal: ${text}`, bytes: utf8(text) });
    return new Response(text, { status: response.status, headers: response.headers });
  };
  return { way: { ...inner, fetch }, refusals };
}

/** Returns what it was answered. Prompts of the second kind are refused or break. */
type Asks = (
  way: Way,
  prompts: { readonly good: string; readonly bad: readonly string[] },
) => Promise<readonly string[]>;

function cell(asks: Asks): (way: Way) => Promise<void> {
  return async (inner) => {
    const { prompt, answer } = newSecrets();
    const { way, refusals } = overheard(inner);
    const good = `${dictation(answer)}\n====\n${prompt}`;
    const bad = [prompt.repeat(2000), dictation(`${answer}${CRASH}`)];
    const answers = await asks(way, { good, bad });
    assert.ok(answers.length > 0);
    for (const text of answers) assert.equal(text, answer);
    const { adminUrl } = lab();
    const metrics = await (await fetch(`${adminUrl}/metrics`)).text();
    const all = [...lab().traces(), { name: 'metrics', bytes: utf8(metrics) }, ...refusals];
    assert.ok(all.some(({ name }) => name.startsWith('refusal')));
    const secrets = [
      { name: 'prompt', forms: formsOf(prompt) },
      { name: 'answer', forms: formsOf(answer) },
    ];
    assert.deepEqual(findsIn(all, secrets), []);
  };
}

/** Errors of an SDK itself repeat what it sent; what matters is what came back. */
async function refusedOrBroken(work: Promise<unknown>): Promise<void> {
  await assert.rejects(work);
}

const openAiAsks: Asks = async (way, { good, bad }) => {
  const { model } = way;
  const { completions } = openAi(way).chat;
  const of = (content: string) => ({ model, messages: [{ role: 'user' as const, content }] });
  const whole = await completions.create(of(good));
  const streamed = await completions.stream(of(good)).finalChatCompletion();
  for (const content of bad) {
    await refusedOrBroken(completions.create(of(content)));
    await refusedOrBroken(completions.stream(of(content)).finalChatCompletion());
  }
  await refusedOrBroken(completions.create({ ...of(good), model: good }));
  await refusedOrBroken(completions.create({ ...of(good), temperature: 77 }));
  await refusedOrBroken(completions.create(Object.assign(of(good), { [good]: good })));
  return [whole, streamed].map(({ choices }) => choices[0]?.message.content ?? '');
};

function aiAsks(modelOf: (way: Way) => Parameters<typeof generateText>[0]['model']): Asks {
  return async (way, { good, bad }) => {
    const model = modelOf(way);
    const common = { model, maxRetries: 0, providerOptions: { openai: { store: false } } };
    const stream = streamText({ ...common, prompt: good });
    const streamed = await stream.text;
    for (const prompt of bad) await refusedOrBroken(generateText({ ...common, prompt }));
    return [(await generateText({ ...common, prompt: good })).text, streamed];
  };
}

const langChainAsks: Asks = async (way, { good, bad }) => {
  const model = langChain(way);
  for (const prompt of bad) await refusedOrBroken(model.invoke(prompt));
  let streamed = '';
  for await (const piece of await model.stream(good)) streamed += piece.text;
  return [(await model.invoke(good)).text, streamed];
};

row('C22', waysOf(lab), {
  O: cell(openAiAsks),
  A: cell(aiAsks((way) => aiSdk(way)(way.model))),
  R: cell(aiAsks((way) => aiSdkResponses(way)(way.model))),
  L: cell(langChainAsks),
});
