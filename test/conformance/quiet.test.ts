/** C04: a minute of silence between two tokens, in which only pings come. Time is simulated. @module */

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { streamText } from 'ai';
import { labOf, waysOf } from '../support/conformance/lab.ts';
import { pacedEngine } from '../support/conformance/paced.ts';
import { row } from '../support/conformance/rows.ts';
import { aiSdk, langChain, openAi, type Way } from '../support/conformance/way.ts';
import { until } from '../support/until.ts';

const WORD = 'word ';
const TOKENS = 2;
const WHOLE = WORD.repeat(TOKENS);
const SILENT_S = 60;
const STEP_S = 10;

const paced = pacedEngine({ of: () => ({ text: WORD, allowed: 0 }) });
const lab = labOf({ engine: () => Promise.resolve(paced) });
const PING = ': ping';

/** The same way, and how many pings have come to the client through it. */
function listening(way: Way): { readonly way: Way; readonly pings: () => number } {
  let pings = 0;
  const decoder = new TextDecoder();
  const fetch: typeof globalThis.fetch = async (input, init) => {
    const response = await way.fetch(input, init);
    const counting = new TransformStream<Uint8Array, Uint8Array>({
      transform: (bytes, controller) => {
        pings += decoder.decode(bytes, { stream: true }).split(PING).length - 1;
        controller.enqueue(bytes);
      },
    });
    const { status, headers } = response;
    return new Response(response.body?.pipeThrough(counting) ?? null, { status, headers });
  };
  const { path, baseURL, apiKey, model, ended, charged } = way;
  return { way: { path, baseURL, apiKey, model, ended, charged, fetch }, pings: () => pings };
}

/** Before the first token and after it, a minute in which intervals fire as if it were one. */
async function silently(
  through: Way,
  { mock }: TestContext,
  read: (way: Way) => Promise<string>,
): Promise<void> {
  const { way, pings } = listening(through);
  mock.timers.enable({ apis: ['setInterval'] });
  const before = paced.jobs.length;
  const reading = read(way);
  await until(() => paced.jobs.length > before);
  const job = paced.jobs.at(-1);
  assert.ok(job !== undefined);
  for (let token = 0; token < TOKENS; token++) {
    for (let atS = 0; atS < SILENT_S; atS += STEP_S) {
      const heard = pings();
      await turn();
      mock.timers.tick(STEP_S * 1000);
      await until(() => pings() > heard);
    }
    job.allow(1);
    await until(() => job.produced > token);
  }
  assert.equal(await reading, WHOLE);
  assert.ok(pings() >= (TOKENS * SILENT_S) / STEP_S);
}

const messages = [{ role: 'user' as const, content: 'Go.' }];

row('C04', waysOf(lab), {
  O: (way, context) =>
    silently(way, context, async (quiet) => {
      let text = '';
      const { model } = quiet;
      const asked = { model, messages, max_tokens: TOKENS, stream: true } as const;
      for await (const { choices } of await openAi(quiet).chat.completions.create(asked)) {
        text += choices[0]?.delta.content ?? '';
      }
      return text;
    }),
  A: (way, context) =>
    silently(way, context, async (quiet) => {
      const model = aiSdk(quiet)(quiet.model);
      return streamText({ model, messages, maxOutputTokens: TOKENS, maxRetries: 0 }).text;
    }),
  L: (way, context) =>
    silently(way, context, async (quiet) => {
      let text = '';
      for await (const piece of await langChain(quiet, { maxTokens: TOKENS }).stream('Go.')) {
        text += piece.text;
      }
      return text;
    }),
});
