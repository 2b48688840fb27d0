/** C01, C02, C03, C15: chats in one piece and as a stream, what is counted, and models. @module */

import assert from 'node:assert/strict';
import { generateText, streamText } from 'ai';
import { z } from 'zod';
import { demoEngine } from '../support/conformance/engines.ts';
import { labOf, waysOf } from '../support/conformance/lab.ts';
import { row } from '../support/conformance/rows.ts';
import { aiSdk, langChain, openAi, type Way } from '../support/conformance/way.ts';

const lab = labOf({ engine: demoEngine });
const ways = waysOf(lab);

const QUESTION = 'What is remote attestation?';
const TOKENS = 24;
const SEED = 7;

function asked({ model }: Way) {
  const messages = [{ role: 'user' as const, content: QUESTION }];
  return { model, messages, max_tokens: TOKENS, temperature: 0, seed: SEED };
}

function askedOfAi(way: Way) {
  return {
    model: aiSdk(way)(way.model),
    prompt: QUESTION,
    maxOutputTokens: TOKENS,
    temperature: 0,
    seed: SEED,
    maxRetries: 0,
  };
}

function langChainOf(way: Way) {
  return langChain(way, { maxTokens: TOKENS, temperature: 0 });
}

/** LangChain's types do not say what its messages hold. */
const USAGE = z.object({ input_tokens: z.int().min(1), output_tokens: z.int().min(1) });

const ID = /^chatcmpl-([0-9a-f]{32})$/;

row('C01', ways, {
  O: async (way) => {
    const { data, request_id: id } = await openAi(way)
      .chat.completions.create(asked(way))
      .withResponse();
    assert.match(data.choices[0]?.message.content ?? '', /^Remote attestation is a way/);
    assert.ok((data.usage?.prompt_tokens ?? 0) > 0);
    assert.equal(data.usage?.completion_tokens, TOKENS);
    assert.equal(`sx_${ID.exec(data.id)?.[1]}`, id);
  },
  A: async (way) => {
    const { text, usage, response } = await generateText(askedOfAi(way));
    assert.match(text, /^Remote attestation is a way/);
    assert.ok((usage.inputTokens ?? 0) > 0);
    assert.equal(usage.outputTokens, TOKENS);
    assert.equal(`sx_${ID.exec(response.id)?.[1]}`, response.headers?.['x-request-id']);
  },
  L: async (way) => {
    const answer = await langChainOf(way).invoke(QUESTION);
    assert.match(answer.text, /^Remote attestation is a way/);
    assert.equal(USAGE.parse(answer.usage_metadata).output_tokens, TOKENS);
    assert.match(answer.id ?? '', ID);
  },
});

row('C02', ways, {
  O: async (way) => {
    const client = openAi(way);
    const whole = await client.chat.completions.create(asked(way));
    const final = await client.chat.completions.stream(asked(way)).finalChatCompletion();
    assert.equal(final.choices[0]?.message.content, whole.choices[0]?.message.content);
    assert.equal(final.choices[0]?.finish_reason, whole.choices[0]?.finish_reason);
  },
  A: async (way) => {
    const whole = await generateText(askedOfAi(way));
    const stream = streamText(askedOfAi(way));
    let text = '';
    for await (const piece of stream.textStream) text += piece;
    assert.equal(text, whole.text);
    assert.equal(await stream.finishReason, whole.finishReason);
  },
  L: async (way) => {
    const whole = await langChainOf(way).invoke(QUESTION);
    let text = '';
    for await (const piece of await langChainOf(way).stream(QUESTION)) text += piece.text;
    assert.equal(text, whole.text);
  },
});

function counted(way: Way) {
  const last = way.ended.at(-1);
  return { prompt: last?.prompt, completion: last?.completion };
}

row('C03', ways, {
  O: async (way) => {
    for (const include of [true, false]) {
      const stream = await openAi(way).chat.completions.create({
        ...asked(way),
        stream: true,
        stream_options: { include_usage: include },
      });
      const usages = [];
      for await (const { usage, choices } of stream) {
        if (usage !== null && usage !== undefined) usages.push({ usage, choices });
      }
      assert.equal(usages.length, include ? 1 : 0);
      if (!include) continue;
      assert.deepEqual(usages[0]?.choices, []);
      const { prompt_tokens: prompt, completion_tokens: completion } = usages[0]?.usage ?? {};
      assert.deepEqual({ prompt, completion }, counted(way));
    }
  },
  A: async (way) => {
    for (const includeUsage of [true, false]) {
      const model = aiSdk(way, { includeUsage })(way.model);
      const stream = streamText({ ...askedOfAi(way), model });
      await stream.consumeStream();
      const { inputTokens: prompt, outputTokens: completion } = await stream.usage;
      const none = { prompt: undefined, completion: undefined };
      assert.deepEqual({ prompt, completion }, includeUsage ? counted(way) : none);
    }
  },
  L: async (way) => {
    for (const streamUsage of [true, false]) {
      const told: unknown[] = [];
      for await (const piece of await langChainOf(way).stream(QUESTION, {
        stream_options: { include_usage: streamUsage },
      })) {
        if (piece.usage_metadata !== undefined) told.push(piece.usage_metadata);
      }
      assert.equal(told.length, streamUsage ? 1 : 0);
      if (!streamUsage) continue;
      const { input_tokens: prompt, output_tokens: completion } = USAGE.parse(told[0]);
      assert.deepEqual({ prompt, completion }, counted(way));
    }
  },
});

row('C15', ways, {
  O: async (way) => {
    const client = openAi(way);
    const { data } = await client.models.list();
    assert.deepEqual(
      data.map(({ id }) => id),
      [way.model],
    );
    assert.ok(way.model.includes('/'));
    assert.equal((await client.models.retrieve(way.model)).id, way.model);
    await assert.rejects(client.models.retrieve('test-org/none'), { status: 404 });
  },
});
