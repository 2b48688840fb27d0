/**
 * A schema comes from whoever pays for one request, and the engine samples everybody's answers. None of these may cost
 * the worker more than a moment, more than a little memory, or the sampler more than a few paths at a time; each is
 * compiled or refused, never thrown at the process.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { schemaGrammar, type GrammarDecision } from '../../enclave-worker/grammar/grammar.ts';
import { GRAMMAR_MAX_CHARS } from '../../enclave-worker/grammar/limits.ts';
import { readGbnf, Recogniser, Sampler } from '../support/grammar/gbnf.ts';

/** Of processor time, on a machine that others use too. */
const CPU_MAX_MS = 3000;
const HEAP_MAX_BYTES = 256 * 1_048_576;

function compile(schema: unknown): GrammarDecision {
  const cpu = process.cpuUsage();
  const heap = process.memoryUsage().heapUsed;
  const decision = schemaGrammar(schema, 'schema');
  const { user, system } = process.cpuUsage(cpu);
  assert.ok((user + system) / 1000 < CPU_MAX_MS, `${(user + system) / 1000} ms`);
  assert.ok(process.memoryUsage().heapUsed - heap < HEAP_MAX_BYTES);
  if (decision.outcome === 'compiled') assert.ok(decision.grammar.length < 2 * GRAMMAR_MAX_CHARS);
  return decision;
}

function assertRefused(schema: unknown, code: string, keyword: string): void {
  const decision = compile(schema);
  assert.equal(decision.outcome, 'refused');
  assert.deepEqual([decision.refusal.code, decision.refusal.keyword], [code, keyword]);
}

/** Characters at which to stop: what is forced or repeated longer says nothing new. */
function stacksOf(grammar: string, text: string): number {
  return new Recogniser(readGbnf(grammar)).recognise(text).stacksMax;
}

function chain(count: number, link: (next: { readonly $ref: string }) => unknown): unknown {
  const defs = Array.from({ length: count }, (_, index) => [
    `d${index}`,
    index === count - 1 ? { type: 'null' } : link({ $ref: `#/$defs/d${index + 1}` }),
  ]);
  return { $defs: Object.fromEntries(defs), $ref: '#/$defs/d0' };
}

test('references that fan out exponentially are compiled once each', () => {
  const both = (next: unknown): unknown => ({
    type: 'object',
    properties: { a: next, b: next },
    required: ['a', 'b'],
    additionalProperties: false,
  });
  const decision = compile(chain(40, both));
  assert.equal(decision.outcome, 'compiled');
  assert.ok(decision.grammar.length < 10_000);
});

test('unions of unions of the same do not multiply', () => {
  const decision = compile(chain(40, (next) => ({ anyOf: [next, next, next] })));
  assert.equal(decision.outcome, 'compiled');
  assert.equal(stacksOf(decision.grammar, 'null'), 1);
});

test('a reference that leads back without a value in between is refused', () => {
  assertRefused({ $ref: '#' }, 'grammar.unsatisfiable', '$ref');
  const ring = { $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } }, $ref: '#/$defs/a' };
  assertRefused(ring, 'grammar.unsatisfiable', '$ref');
  const self = {
    $defs: { a: { anyOf: [{ $ref: '#/$defs/a' }, { type: 'null' }] } },
    $ref: '#/$defs/a',
  };
  assertRefused(self, 'grammar.unsatisfiable', '$ref');
});

test('a oneOf that contains itself is judged without end in sight', () => {
  const either = (other: unknown): unknown => ({
    $defs: { either: { oneOf: [other, { type: 'null' }] } },
    $ref: '#/$defs/either',
  });
  assertRefused(either({ $ref: '#/$defs/either' }), 'grammar.unsatisfiable', '$ref');
  const member = (inner: unknown): unknown => ({
    type: 'object',
    properties: { k: inner },
    required: ['k'],
  });
  const again = { $ref: '#/$defs/either' };
  assert.equal(compile(either(member(again))).outcome, 'compiled');
  const twice = { oneOf: [member(again), member({ type: 'object' })] };
  assertRefused(either(twice), 'grammar.unsupported', 'oneOf');
  const apart = compile(either({ oneOf: [member(again), member({ type: 'string' })] }));
  assert.equal(apart.outcome, 'compiled');
  assert.ok(stacksOf(apart.grammar, `${'{"k":'.repeat(50)}"x"${'}'.repeat(50)}`) < 10);
});

test('a value that must contain itself is refused, wherever it hides', () => {
  const endless = {
    type: 'object',
    properties: { again: { $ref: '#/$defs/endless' } },
    required: ['again'],
  };
  const lists = { type: 'array', items: { $ref: '#/$defs/lists' }, minItems: 1 };
  const $defs = { endless, lists };
  for (const part of ['endless', 'lists']) {
    const inside = { $ref: `#/$defs/${part}` };
    assertRefused({ $defs, ...inside }, 'grammar.unsatisfiable', '$ref');
    assertRefused({ $defs, anyOf: [{ type: 'null' }, inside] }, 'grammar.unsatisfiable', '$ref');
    const optional = { $defs, type: 'object', properties: { a: inside } };
    assertRefused(optional, 'grammar.unsatisfiable', '$ref');
  }
});

test('alternatives that nest alike would double the paths with each level, and are refused', () => {
  const list = { type: 'array', items: { $ref: '#/$defs/list' } };
  const recursive = {
    $defs: { list: { anyOf: [list, { ...list, maxItems: 5 }] } },
    $ref: '#/$defs/list',
  };
  assertRefused(recursive, 'grammar.limit', 'anyOf');
  const wide = (next: unknown): unknown => ({
    anyOf: [1, 2, 3, 4, 5].map((maxItems) => ({ type: 'array', items: next, maxItems })),
  });
  assertRefused(chain(6, wide), 'grammar.limit', 'anyOf');
  const sameKey = (next: unknown): unknown => ({
    anyOf: ['x', 'y'].map((other) => ({
      type: 'object',
      properties: { a: next, [other]: { type: 'null' } },
      required: ['a', other],
    })),
  });
  assertRefused(chain(12, sameKey), 'grammar.limit', 'anyOf');
});

test('alternatives that are told apart before they nest may recurse', () => {
  const variant = (kind: string): unknown => ({
    type: 'object',
    properties: { kind: { const: kind }, inner: { $ref: '#/$defs/tree' } },
    required: ['kind', 'inner'],
    additionalProperties: false,
  });
  const schema = {
    $defs: { tree: { anyOf: [...['a', 'b', 'c'].map(variant), { type: 'null' }] } },
    $ref: '#/$defs/tree',
  };
  const decision = compile(schema);
  assert.equal(decision.outcome, 'compiled');
  const text = `${'{"kind":"b","inner":'.repeat(50)}null${'}'.repeat(50)}`;
  assert.ok(stacksOf(decision.grammar, text) < 10);
});

const REGEX_BOMBS: readonly string[] = [
  '^(a+)+$',
  '^(a|a)*$',
  '^(a|aa)+$',
  '^(.*a){20}$',
  '^((a{1,30}){1,30}){1,30}$',
  '^((a{0,30}b?){0,30}c?){0,30}$',
  '^(a{1000}){1000}$',
  '^(.{0,1000}a){0,1000}$',
  '^.*a.{18}$',
  `^${'(a?)'.repeat(200)}${'a'.repeat(200)}$`,
  `^${'(?=.*a)'.repeat(100)}b$`,
  `^(?!${'.*a'.repeat(100)})b$`,
  `^(${Array.from({ length: 150 }, (_, index) => `.*${index}`).join('|')})$`,
  `${'('.repeat(24)}a${')*'.repeat(24)}`,
  `[${Array.from({ length: 250 }, (_, index) => String.fromCodePoint(0x4e00 + 2 * index)).join('')}]{0,200}`,
];

for (const pattern of REGEX_BOMBS) {
  test(`the pattern ${pattern.slice(0, 40)} is one path for the sampler, or refused`, () => {
    const decision = compile({ type: 'string', pattern });
    if (decision.outcome === 'refused') {
      const { code, keyword } = decision.refusal;
      assert.ok(code === 'grammar.limit' || code === 'grammar.unsatisfiable', code);
      assert.equal(keyword, 'pattern');
      return;
    }
    const stacks = stacksOf(decision.grammar, `"${'a'.repeat(200)}b"`);
    assert.ok(stacks <= 160, `${stacks} stacks`);
  });
}

test('many patterns together have one purse', () => {
  const properties = Object.fromEntries(
    Array.from({ length: 500 }, (_, index) => [
      `p${index}`,
      { type: 'string', pattern: `^(.{0,9}${index}){0,9}$` },
    ]),
  );
  const schema = { type: 'object', properties, required: Object.keys(properties) };
  assertRefused(schema, 'grammar.limit', 'pattern');
});

test('a thousand enum values are a few paths', () => {
  const values = Array.from({ length: 2000 }, (_, index) => `value-${index}`);
  const decision = compile({ enum: values });
  assert.equal(decision.outcome, 'compiled');
  assert.ok(stacksOf(decision.grammar, '"value-1234"') <= 12);
});

test('values that are beginnings of each other nest as deep as they are long', () => {
  const values = Array.from({ length: 350 }, (_, index) => 'a'.repeat(index));
  assert.equal(compile({ enum: values }).outcome, 'compiled');
});

test('depth, size and repetition are bounded', () => {
  let deep: unknown = { type: 'null' };
  for (let level = 0; level < 100_000; level++) deep = { type: 'array', items: deep };
  assertRefused(deep, 'grammar.limit', 'schema');
  let deepEnum: unknown = 1;
  for (let level = 0; level < 100_000; level++) deepEnum = [deepEnum];
  assertRefused({ enum: [deepEnum] }, 'grammar.limit', 'enum');
  const many = Array.from({ length: 500 }, (_, index) => [
    `p${index}`,
    { type: 'array', items: { type: 'string' }, maxItems: 1000 + index },
  ]);
  const properties = Object.fromEntries(many);
  const required = Object.keys(properties);
  assertRefused({ type: 'object', properties, required }, 'grammar.limit', 'maxItems');
  const wide = { type: 'object', properties, required: [...required] };
  const wider = Array.from({ length: 60 }, () => structuredClone(wide));
  assert.equal(compile({ anyOf: wider }).outcome, 'refused');
  const chainOf = compile(chain(4000, (next) => ({ type: 'array', items: next })));
  assert.equal(chainOf.outcome, 'refused');
});

test('schemas, rules and text of a grammar are counted', () => {
  const objects = (count: number, inner: unknown): unknown => ({
    type: 'object',
    properties: Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`o${index}`, structuredClone(inner)]),
    ),
    required: Array.from({ length: count }, (_, index) => `o${index}`),
  });
  assertRefused(objects(9, objects(500, { type: 'null' })), 'grammar.limit', 'schema');
  const names = Array.from({ length: 400 }, (_, index) => String(index).padStart(256, 'n'));
  const long = {
    type: 'object',
    properties: Object.fromEntries(names.map((name) => [name, { type: 'null' }])),
    required: names,
  };
  assert.equal(compile(long).outcome, 'compiled');
  const longer = (index: number): unknown =>
    JSON.parse(JSON.stringify(long).replaceAll('nn', `${index}n`));
  const list = Array.from({ length: 7 }, (_, index) => longer(index));
  assertRefused({ anyOf: list }, 'grammar.limit', 'schema');
  const chars = Array.from('abcdefghi');
  const patterns = Object.fromEntries(
    chars.map((char) => [char, { type: 'string', pattern: `^${char}{0,2000}$` }]),
  );
  assertRefused(
    { type: 'object', properties: patterns, required: chars },
    'grammar.limit',
    'schema',
  );
});

test('an object of many optional members is a few paths, or refused', () => {
  const optional = (count: number): unknown => ({
    type: 'object',
    properties: Object.fromEntries(
      Array.from({ length: count }, (_, index) => [`p${index}`, { type: 'null' }]),
    ),
  });
  assertRefused(optional(65), 'grammar.limit', 'required');
  const decision = compile(optional(64));
  assert.equal(decision.outcome, 'compiled');
  assert.ok(stacksOf(decision.grammar, '{"p0":null,"p3":null}') <= 140);
});

const HOSTILE_NAMES = [
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  '"',
  '\\',
  '\\"',
  '\n',
  '\u0000',
  '\u2028',
  '\u202e',
  'e\u0301',
  '\u{1F30D}',
  'root ::= "x"',
  '"] | [^"',
  '',
];

for (const name of HOSTILE_NAMES) {
  test(`the name ${JSON.stringify(name)} is a name and nothing else`, () => {
    const member = JSON.stringify(name);
    const schema: unknown = JSON.parse(
      `{"type":"object","properties":{${member}:{"const":${member}}},"required":[${member}],"additionalProperties":false}`,
    );
    const decision = compile(schema);
    assert.equal(decision.outcome, 'compiled');
    const rules = readGbnf(decision.grammar);
    const text = `{${member}:${member}}`;
    assert.equal(new Recogniser(rules).recognise(text).outcome, 'accepted');
    const [only] = Object.entries(Object(JSON.parse(new Sampler(rules, () => 0).sample(50))));
    assert.deepEqual(only, [name, name]);
    assert.equal(Object.hasOwn({}, name), false);
  });
}

test('a schema whose own prototype is asked for defines nothing', () => {
  const schema: unknown = JSON.parse('{"__proto__":{"type":"string"},"type":"null"}');
  assertRefused(schema, 'grammar.unsupported', 'unknown');
  assertRefused({ $ref: '#/__proto__' }, 'grammar.invalid', '$ref');
  assertRefused(
    { $ref: '#/properties/__proto__', properties: {} },
    'grammar.unsupported',
    'properties',
  );
  const inherited = { $defs: {}, anyOf: [{ $ref: '#/$defs/toString' }] };
  assertRefused(inherited, 'grammar.invalid', '$ref');
});

test('what is not JSON at all is refused', () => {
  for (const schema of [undefined, 5, 'x', [], () => true, new Map(), Symbol('x')]) {
    const decision = compile(schema);
    if (schema instanceof Map) continue;
    assert.equal(decision.outcome, 'refused');
  }
});
