/**
 * What a form costs an answer: compiling schemas, reading the grammar in llama.cpp, and sampling under it beside sampling
 * freely, with the demo model on one thread. Spec: openai-gateway-and-engine §5.5.
 * @module
 */

import {
  jsonObjectGrammar,
  schemaGrammar,
  toolGrammar,
  type GrammarDecision,
} from '../../enclave-worker/grammar/grammar.ts';
import { openLlamaLab, type LlamaLab } from '../support/grammar/llama.ts';
import type { Bench, BenchResult } from './bench.ts';
import { microseconds, timingOf } from './measure.ts';

const COMPILE_RUNS = 200;
const ANSWERS = 40;
const ANSWER_TOKENS = 100;

function object(properties: Readonly<Record<string, unknown>>): unknown {
  return {
    type: 'object',
    properties,
    required: Object.keys(properties),
    additionalProperties: false,
  };
}

function repeated(
  count: number,
  make: (index: number) => unknown,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`field_${index}`, make(index)]),
  );
}

const STRING = { type: 'string' };
const SCHEMAS: Readonly<Record<string, unknown>> = {
  'three fields': object({
    name: STRING,
    age: { type: 'integer' },
    tags: { type: 'array', items: STRING },
  }),
  'nested, enum, nullable': object({
    kind: { enum: ['a', 'b', 'c'] },
    note: { anyOf: [STRING, { type: 'null' }] },
    inner: object({ price: { type: 'number', minimum: 0, maximum: 100 }, ok: { type: 'boolean' } }),
  }),
  'recursive union': {
    $defs: {
      tree: {
        anyOf: [
          object({ kind: { const: 'leaf' }, value: { type: 'number' } }),
          object({
            kind: { const: 'node' },
            children: { type: 'array', items: { $ref: '#/$defs/tree' } },
          }),
        ],
      },
    },
    $ref: '#/$defs/tree',
  },
  'e-mail and date': object({
    mail: { type: 'string', format: 'email' },
    at: { type: 'string', format: 'date-time' },
  }),
  'e-mail of 255 characters': object({ mail: { type: 'string', format: 'email', maxLength: 255 } }),
  '1000 enum values': { enum: Array.from({ length: 1000 }, (_, index) => `value ${index}`) },
  '500 fields': object(
    repeated(500, (index) => ({ type: index % 2 === 0 ? 'string' : 'integer' })),
  ),
  'pattern that is refused as too complex': {
    type: 'string',
    pattern: '^((a{1,30}){1,30}){1,30}$',
  },
};

interface CompileRow {
  readonly schema: string;
  readonly medianUs: number;
  readonly p99Us: number;
  readonly grammarChars: number;
  readonly readUs: number;
}

async function compileRow(lab: LlamaLab, schema: string, value: unknown): Promise<CompileRow> {
  const samplesUs: number[] = [];
  let last: GrammarDecision | undefined;
  const deadlineMs = performance.now() + 2000;
  for (let run = 0; run < COMPILE_RUNS && performance.now() < deadlineMs; run++) {
    const startedMs = performance.now();
    last = schemaGrammar(value, 'schema');
    samplesUs.push((performance.now() - startedMs) * 1000);
  }
  const { medianUs, p99Us } = timingOf(samplesUs);
  const grammar = last?.outcome === 'compiled' ? last.grammar : undefined;
  return {
    schema,
    medianUs,
    p99Us,
    grammarChars: grammar?.length ?? 0,
    readUs: grammar === undefined ? 0 : await readUs(lab, grammar),
  };
}

async function readUs(lab: LlamaLab, grammar: string): Promise<number> {
  const samplesUs: number[] = [];
  for (let run = 0; run < 9; run++) {
    const startedMs = performance.now();
    await lab.llama.createGrammar({ grammar });
    samplesUs.push((performance.now() - startedMs) * 1000);
  }
  return timingOf(samplesUs).medianUs;
}

function grammarText(decision: GrammarDecision): string {
  if (decision.outcome === 'refused') throw new Error(JSON.stringify(decision.refusal));
  return decision.grammar;
}

/** Grammars under which an answer can be as long as a free one. */
const FORMS: Readonly<Record<string, () => string>> = {
  'a string': () => grammarText(schemaGrammar({ type: 'string' }, 'schema')),
  'an array of objects': () =>
    grammarText(
      schemaGrammar(
        {
          type: 'array',
          items: object({ id: { type: 'integer' }, kind: { enum: ['a', 'b'] }, note: STRING }),
          minItems: 50,
        },
        'schema',
      ),
    ),
  'any JSON object': jsonObjectGrammar,
  'words, tools allowed': () =>
    grammarText(
      toolGrammar({
        tools: [{ name: 'get_time' }],
        choice: { kind: 'auto' },
        parallel: true,
        answer: { kind: 'text' },
      }),
    ),
};

interface SampleRow {
  readonly form: string;
  readonly tokens: number;
  readonly usPerToken: number;
  readonly freeUsPerToken: number;
}

/** In turns with free answers, so that a machine that is busy for a while slows both. */
async function sampleRow(lab: LlamaLab, form: string, text: string): Promise<SampleRow> {
  const grammar = await lab.llama.createGrammar({ grammar: text });
  const bound = { tokens: 0, ms: 0 };
  const free = { tokens: 0, ms: 0 };
  for (let seed = 1; seed <= ANSWERS; seed++) {
    for (const side of [bound, free]) {
      const startedMs = performance.now();
      const { tokens } = await lab.write({
        ...(side === bound ? { grammar } : {}),
        prompt: 'Tell me a short story.',
        temperature: 0.8,
        seed,
        maxTokens: ANSWER_TOKENS,
      });
      side.ms += performance.now() - startedMs;
      side.tokens += tokens;
    }
  }
  return {
    form,
    tokens: bound.tokens,
    usPerToken: (bound.ms * 1000) / bound.tokens,
    freeUsPerToken: (free.ms * 1000) / free.tokens,
  };
}

async function run(): Promise<BenchResult> {
  const lab = await openLlamaLab();
  try {
    const compiled: CompileRow[] = [];
    for (const [schema, value] of Object.entries(SCHEMAS)) {
      compiled.push(await compileRow(lab, schema, value));
    }
    const sampled: SampleRow[] = [];
    for (const [form, text] of Object.entries(FORMS)) {
      sampled.push(await sampleRow(lab, form, text()));
    }
    return { figures: { compiled, sampled }, lines: linesOf(compiled, sampled) };
  } finally {
    await lab.close();
  }
}

function linesOf(
  compiled: readonly CompileRow[],
  sampled: readonly SampleRow[],
): readonly string[] {
  return [
    'compiling a schema, and llama.cpp reading the grammar',
    ...compiled.map(({ schema, medianUs, p99Us, grammarChars, readUs: read }) =>
      [
        `  ${schema.padEnd(40)}`,
        `median ${microseconds(medianUs).padStart(10)}`,
        `p99 ${microseconds(p99Us).padStart(10)}`,
        `${String(grammarChars).padStart(7)} chars`,
        `read ${microseconds(read).padStart(10)}`,
      ].join('  '),
    ),
    'sampling with the demo model (672 tokens in its vocabulary), one thread, prompt included',
    ...sampled.map(({ form, tokens, usPerToken, freeUsPerToken }) =>
      [
        `  ${form.padEnd(24)}`,
        `${String(tokens).padStart(5)} tokens`,
        `${microseconds(usPerToken).padStart(8)} per token`,
        `free ${microseconds(freeUsPerToken).padStart(8)}`,
        `${(usPerToken / freeUsPerToken).toFixed(2)}×`,
      ].join('  '),
    ),
  ];
}

export const bench: Bench = {
  name: 'grammar',
  summary: 'compiling JSON Schemas to grammars, and sampling under them beside sampling freely',
  run,
};
