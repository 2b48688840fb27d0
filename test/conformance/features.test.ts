/** C12, C13: probabilities, choices, stops, seeds and bias. @module */

import assert from 'node:assert/strict';
import { z } from 'zod';
import { concat, fromUtf8 } from '../../core/bytes.ts';
import { demoEngine } from '../support/conformance/engines.ts';
import { labOf, waysOf } from '../support/conformance/lab.ts';
import { row } from '../support/conformance/rows.ts';
import { langChain, openAi, type Way } from '../support/conformance/way.ts';

const lab = labOf({ engine: demoEngine });
const ways = waysOf(lab);

const QUESTION = 'What is remote attestation?';
const TOP = 3;
const ROUNDING = 1e-6;

const CHANCE = z.object({
  token: z.string(),
  logprob: z.number().max(0),
  bytes: z.array(z.int()),
});
const CHANCES = z.array(CHANCE.extend({ top_logprobs: z.array(CHANCE).length(TOP) })).min(8);

/** Of greedy text: the token drawn is among the likeliest, and all the bytes are those of the text. */
function assertChances(told: unknown, text: string): void {
  const chances = CHANCES.parse(told);
  for (const { token, logprob, top_logprobs: top } of chances) {
    const sum = top.reduce((total, other) => total + Math.exp(other.logprob), 0);
    assert.ok(sum <= 1 + ROUNDING, `${sum}`);
    const same = top.find((other) => other.token === token);
    assert.ok(same !== undefined && Math.abs(same.logprob - logprob) <= ROUNDING);
  }
  const bytes = concat(...chances.map((chance) => Uint8Array.from(chance.bytes)));
  assert.equal(fromUtf8(bytes), text);
}

const asked = ({ model }: Way) => ({
  model,
  messages: [{ role: 'user' as const, content: QUESTION }],
  temperature: 0,
  max_tokens: 16,
});

row('C12', ways, {
  O: async (way) => {
    const more = { ...asked(way), logprobs: true, top_logprobs: TOP };
    const { completions } = openAi(way).chat;
    for (const { choices } of [
      await completions.create(more),
      await completions.stream(more).finalChatCompletion(),
    ]) {
      assertChances(choices[0]?.logprobs?.content, choices[0]?.message.content ?? '');
    }
  },
  L: async (way) => {
    const model = langChain(way, {
      temperature: 0,
      maxTokens: 16,
      logprobs: true,
      topLogprobs: TOP,
    });
    const answer = await model.invoke(QUESTION);
    const { content } = z
      .object({ content: z.unknown() })
      .parse(answer.response_metadata['logprobs']);
    assertChances(content, answer.text);
  },
});

const WHOLE = 'Remote attestation is a way for a machine to prove';

async function openAiChoices(way: Way): Promise<void> {
  const { completions } = openAi(way).chat;
  const messages = [{ role: 'user' as const, content: 'Tell me a story.' }];
  const drawn = { ...asked(way), messages, n: 3, temperature: 2, seed: 5, max_tokens: 12 };
  const whole = await completions.create(drawn);
  const texts = whole.choices.map(({ message }) => message.content);
  assert.equal(whole.usage?.completion_tokens, way.ended.at(-1)?.completion);
  assert.deepEqual(
    whole.choices.map(({ index }) => index),
    [0, 1, 2],
  );
  const again = await completions.create(drawn);
  assert.deepEqual(
    again.choices.map(({ message }) => message.content),
    texts,
  );
  const streamed = await completions.stream(drawn).finalChatCompletion();
  assert.deepEqual(
    streamed.choices.map(({ message }) => message.content),
    texts,
  );
  const other = await completions.create({ ...drawn, seed: 99 });
  assert.notDeepEqual(
    other.choices.map(({ message }) => message.content),
    texts,
  );
}

/** Stops that begin and end inside tokens, one of them after a beginning that turns out to be none. */
async function openAiStops(way: Way): Promise<void> {
  const { completions } = openAi(way).chat;
  for (const [stop, before] of [
    ['chine to pro', 'Remote attestation is a way for a ma'],
    ['ay for a machinery', WHOLE],
    ['te attest', 'Remo'],
  ] as const) {
    const options = { ...asked(way), max_tokens: 40, stop: [stop, 'no such text'] };
    const whole = await completions.create(options);
    const text = whole.choices[0]?.message.content ?? '';
    assert.ok(before === WHOLE ? text.startsWith(WHOLE) : text === before, text);
    assert.ok(!text.includes(stop));
    let pieces = '';
    for await (const { choices } of await completions.create({ ...options, stream: true })) {
      pieces += choices[0]?.delta.content ?? '';
      assert.ok(before === WHOLE || before.startsWith(pieces), 'what is shown is never taken back');
    }
    assert.equal(pieces, text);
  }
}

async function openAiBias(way: Way): Promise<void> {
  const { completions } = openAi(way).chat;
  const one = { ...asked(way), max_tokens: 1 };
  const usual = (await completions.create(one)).choices[0]?.message.content;
  const forbidden: Record<string, number> = {};
  // Token numbers of a model are not told, so the first of its answer is looked for.
  for (let from = 0; from < 672; from += 96) {
    for (let token = from; token < Math.min(from + 96, 669); token++) forbidden[token] = -100;
    const { choices } = await completions.create({ ...one, logit_bias: forbidden });
    if (choices[0]?.message.content !== usual) return;
  }
  assert.fail('a bias against every token changed nothing');
}

row('C13', ways, {
  O: async (way) => {
    await openAiChoices(way);
    await openAiStops(way);
    await openAiBias(way);
  },
});
