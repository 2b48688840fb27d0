/**
 * The grammars against the real llama.cpp: it reads every one, its recogniser agrees with ours, and what the demo model
 * samples at temperature 1 satisfies the schema, a hundred times of a hundred (C10, C09).
 * @module
 */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as fc from 'fast-check';
import type { LlamaGrammar } from 'node-llama-cpp';
import {
  jsonObjectGrammar,
  schemaGrammar,
  toolGrammar,
  type GrammarDecision,
} from '../../../enclave-worker/grammar/grammar.ts';
import { readToolCalls } from '../../../enclave-worker/grammar/tool-calls.ts';
import { readGbnf, Recogniser, Sampler } from '../../support/grammar/gbnf.ts';
import { llamaAccepts, openLlamaLab, type LlamaLab } from '../../support/grammar/llama.ts';
import { SAMPLES } from '../../support/grammar/schemas.ts';
import { isValid } from '../../support/grammar/validate.ts';

const SAMPLES_EACH = 100;
let lab: LlamaLab;

before(async () => {
  lab = await openLlamaLab();
});
after(async () => lab.close());

function textOf(decision: GrammarDecision): string {
  assert.equal(decision.outcome, 'compiled', JSON.stringify(decision));
  return decision.outcome === 'compiled' ? decision.grammar : '';
}

async function grammarOf(text: string): Promise<LlamaGrammar> {
  return lab.llama.createGrammar({ grammar: text });
}

function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % limit;
  };
}

test('llama.cpp reads every grammar and accepts the same texts as we do', async () => {
  const samples = fc.sample(SAMPLES, { numRuns: 100, seed: 42 });
  let judged = 0;
  for (const { schema, value } of samples) {
    const decision = schemaGrammar(JSON.parse(JSON.stringify(schema)), 'schema');
    if (decision.outcome === 'refused') continue;
    const theirs = await grammarOf(decision.grammar);
    const rules = readGbnf(decision.grammar);
    const ours = new Recogniser(rules);
    const sampled = new Sampler(rules, seeded(judged)).sample(80);
    const written = JSON.stringify(value);
    const texts = [sampled, written, written.slice(1), `${sampled}]`, sampled.replace(':', '')];
    for (const text of texts.filter((one) => !one.includes('\0'))) {
      judged++;
      const agreed = ours.recognise(text).outcome === 'accepted';
      assert.equal(llamaAccepts(theirs, text), agreed, text);
    }
  }
  assert.ok(judged > 300);
});

test('llama.cpp reads the largest repetitions, and keeps their bounds', async () => {
  const schema = (maxLength: number): unknown => ({ type: 'string', maxLength });
  for (const length of [1999, 2000, 2001, 2500, 20_000]) {
    const grammar = await grammarOf(textOf(schemaGrammar(schema(length), 'schema')));
    assert.ok(llamaAccepts(grammar, `"${'a'.repeat(length)}"`), String(length));
    assert.ok(!llamaAccepts(grammar, `"${'a'.repeat(length + 1)}"`), String(length));
  }
  const items = { type: 'array', items: { type: 'null' }, maxItems: 2000 };
  const list = (count: number): string => JSON.stringify(Array.from({ length: count }, () => null));
  for (const minItems of [0, 1999]) {
    const grammar = await grammarOf(textOf(schemaGrammar({ ...items, minItems }, 'schema')));
    assert.ok(llamaAccepts(grammar, list(2000)));
    assert.ok(!llamaAccepts(grammar, list(2001)));
    assert.equal(llamaAccepts(grammar, list(0)), minItems === 0);
  }
});

/** Short enough for a context of 192 tokens, whatever the model does. */
const SCHEMA = {
  $defs: {
    part: {
      type: 'object',
      properties: {
        id: { type: 'integer', minimum: 1, maximum: 99 },
        kind: { enum: ['bolt', 'nut', 'washer'] },
        next: { anyOf: [{ $ref: '#/$defs/leaf' }, { type: 'null' }] },
      },
      required: ['id', 'kind', 'next'],
      additionalProperties: false,
    },
    leaf: {
      type: 'object',
      properties: { ok: { type: 'boolean' } },
      required: ['ok'],
      additionalProperties: false,
    },
  },
  type: 'object',
  properties: {
    name: { type: 'string', minLength: 1, maxLength: 5 },
    note: { type: ['string', 'null'], maxLength: 4 },
    price: { type: 'number', minimum: 0, exclusiveMaximum: 10 },
    code: { type: 'string', pattern: '^[A-Z]{2}-\\d{2}$' },
    parts: { type: 'array', items: { $ref: '#/$defs/part' }, minItems: 1, maxItems: 2 },
  },
  required: ['name', 'note', 'parts'],
  additionalProperties: false,
};

test(`${SAMPLES_EACH} of ${SAMPLES_EACH} answers at temperature 1 satisfy the schema`, async () => {
  const grammar = await grammarOf(textOf(schemaGrammar(SCHEMA, 'schema')));
  const texts = new Set<string>();
  for (let seed = 1; seed <= SAMPLES_EACH; seed++) {
    const { text, end } = await lab.write({
      grammar,
      prompt: 'List the parts.',
      temperature: 1,
      seed,
    });
    assert.equal(end, 'stop', text);
    assert.ok(isValid(SCHEMA, JSON.parse(text)), text);
    texts.add(text);
  }
  assert.ok(texts.size > SAMPLES_EACH / 2, 'answers differ');
});

test('tools that must be called are called, with arguments that satisfy their schema', async () => {
  const parameters = {
    type: 'object',
    properties: { city: { type: 'string', maxLength: 6 }, unit: { enum: ['C', 'F'] } },
    required: ['city'],
    additionalProperties: false,
  };
  const tools = [{ name: 'get_weather', parameters }, { name: 'get_time' }];
  const text = textOf(
    toolGrammar({
      tools,
      choice: { kind: 'required' },
      parallel: false,
      answer: { kind: 'text' },
    }),
  );
  const grammar = await grammarOf(text);
  const names = new Set<string>();
  for (let seed = 1; seed <= SAMPLES_EACH / 4; seed++) {
    const written = await lab.write({ grammar, prompt: 'Weather?', temperature: 1, seed });
    assert.equal(written.end, 'stop', written.text);
    const { calls, outcome } = readToolCalls(written.text, {
      newId: () => 'call_1',
      answer: 'text',
    });
    assert.equal(outcome, 'calls');
    const [call] = calls;
    assert.ok(call !== undefined && calls.length === 1);
    names.add(call.name);
    const schema = call.name === 'get_weather' ? parameters : { const: {} };
    assert.ok(isValid(schema, JSON.parse(call.arguments)), call.arguments);
  }
  assert.deepEqual([...names].sort(), ['get_time', 'get_weather']);
});

test('a model that may call tools and does not want to says what it says without them', async () => {
  const text = textOf(
    toolGrammar({
      tools: [{ name: 'get_time' }],
      choice: { kind: 'auto' },
      parallel: true,
      answer: { kind: 'text' },
    }),
  );
  const options = { prompt: 'What is remote attestation?', temperature: 0, seed: 1 };
  const free = await lab.write(options);
  const bound = await lab.write({ ...options, grammar: await grammarOf(text) });
  assert.deepEqual(bound, free);
});

test('any JSON object is one object', async () => {
  const grammar = await grammarOf(jsonObjectGrammar());
  let whole = 0;
  for (let seed = 1; seed <= 10; seed++) {
    const { text, end } = await lab.write({ grammar, prompt: 'JSON', temperature: 1, seed });
    assert.ok(text.startsWith('{'));
    if (end === 'length') continue;
    whole++;
    assert.ok(isValid({ type: 'object' }, JSON.parse(text)), text);
  }
  assert.ok(whole > 0);
});
