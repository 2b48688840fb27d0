/** C10, C11: answers of a schema at temperature 1 from a model of random weights, and keywords that are refused by name. @module */

import assert from 'node:assert/strict';
import { generateText, Output } from 'ai';
import { BadRequestError } from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { tinyEngine } from '../support/conformance/engines.ts';
import { labOf, waysOf } from '../support/conformance/lab.ts';
import { row } from '../support/conformance/rows.ts';
import { aiSdk, langChain, openAi } from '../support/conformance/way.ts';

const lab = labOf({ engine: tinyEngine });
const ways = waysOf(lab);

const TIMES = 100;
const AT_ONCE = 4;

/** A model of single bytes also writes characters in more bytes than they have; a pattern of letters leaves no room for that. */
const WORD = z.string().regex(/^[a-z]{1,4}$/);
/** Of which zod makes `$defs` and `$ref`, because it is named. */
const PLACE = z.strictObject({ at: WORD, no: z.int().min(1).max(99) }).meta({ id: 'place' });
/** Names are short because a model of single bytes writes them byte by byte. */
const ORDER = z.strictObject({
  as: z.enum(['new', 'old']),
  to: PLACE,
  by: WORD.nullable(),
  via: z.array(PLACE).max(2),
});
/** Strict mode of OpenAI's own helper knows no optional members; the other two send them. */
const LOOSE_ORDER = ORDER.extend({ remark: WORD.optional() });
const PROMPT = 'An order, please.';

async function times(count: number, one: (at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await one(next++);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

row('C10', ways, {
  O: async (way) => {
    const client = openAi(way);
    const format = zodResponseFormat(ORDER, 'order');
    assert.match(JSON.stringify(format), /"\$ref"/);
    let parsed = 0;
    await times(TIMES / AT_ONCE, async (seed) => {
      const { choices } = await client.chat.completions.parse({
        model: way.model,
        messages: [{ role: 'user', content: PROMPT }],
        response_format: format,
        temperature: 1,
        n: AT_ONCE,
        seed: seed * AT_ONCE,
      });
      for (const { message, finish_reason: reason } of choices) {
        assert.equal(reason, 'stop');
        assert.notEqual(message.parsed, null);
        ORDER.parse(message.parsed);
        parsed++;
      }
    });
    assert.equal(parsed, TIMES);
  },
  A: async (way) => {
    const model = aiSdk(way)(way.model);
    const withRemark: boolean[] = [];
    await times(TIMES, async (seed) => {
      const { output } = await generateText({
        model,
        prompt: PROMPT,
        output: Output.object({ schema: LOOSE_ORDER }),
        temperature: 1,
        seed,
        maxRetries: 0,
      });
      withRemark.push(LOOSE_ORDER.parse(output).remark !== undefined);
    });
    assert.equal(withRemark.length, TIMES);
    assert.equal(new Set(withRemark).size, 2);
  },
  L: async (way) => {
    const withRemark: boolean[] = [];
    // As JSON Schema: LangChain copies a zod schema, and zod then finds its named part twice.
    const schema = z.toJSONSchema(LOOSE_ORDER);
    assert.match(JSON.stringify(schema), /"\$ref"/);
    const model = langChain(way, { temperature: 1 });
    const structured = model.withStructuredOutput(schema, { name: 'order' });
    await times(TIMES, async () => {
      const answer = await structured.invoke(PROMPT);
      withRemark.push(LOOSE_ORDER.parse(answer).remark !== undefined);
    });
    assert.equal(withRemark.length, TIMES);
    assert.equal(new Set(withRemark).size, 2);
  },
});

row('C11', ways, {
  O: async (way) => {
    const schema = {
      type: 'object',
      properties: { list: { type: 'array', items: { type: 'string' }, uniqueItems: true } },
      required: ['list'],
      additionalProperties: false,
    };
    const path = 'properties.list.uniqueItems';
    await assert.rejects(
      openAi(way).chat.completions.create({
        model: way.model,
        messages: [{ role: 'user', content: PROMPT }],
        response_format: { type: 'json_schema', json_schema: { name: 'x', schema, strict: true } },
      }),
      (error) => {
        assert.ok(error instanceof BadRequestError);
        assert.equal(error.code, 'unsupported_parameter');
        assert.equal(error.param, `response_format.json_schema.schema.${path}`);
        assert.match(error.message, /uniqueItems/);
        return true;
      },
    );
  },
});
