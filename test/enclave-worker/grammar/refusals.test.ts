/**
 * C11: what is not honoured is refused by the name of its keyword and the path to it, and never with text that could be
 * content. Each keyword and each limit has the one case in which exactly it is the reason.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  refusalFailure,
  schemaGrammar,
  type SchemaRefusal,
} from '../../../enclave-worker/grammar/grammar.ts';

const PARAM = 'response_format.json_schema.schema';

function refusalOf(schema: unknown): SchemaRefusal {
  const decision = schemaGrammar(schema, PARAM);
  assert.equal(decision.outcome, 'refused', 'compiled');
  return decision.refusal;
}

function inObject(schema: unknown): unknown {
  return {
    type: 'object',
    properties: { a: schema },
    required: ['a'],
    additionalProperties: false,
  };
}

const UNSUPPORTED: readonly (readonly [keyword: string, schema: unknown])[] = [
  ['allOf', { allOf: [{ type: 'string' }] }],
  ['not', { type: 'string', not: { const: 'x' } }],
  ['if', { if: {}, type: 'string' }],
  ['else', { else: {}, type: 'string' }],
  ['dependentRequired', { type: 'object', dependentRequired: {} }],
  ['dependentSchemas', { type: 'object', dependentSchemas: {} }],
  ['dependencies', { type: 'object', dependencies: {} }],
  ['patternProperties', { type: 'object', patternProperties: {} }],
  ['propertyNames', { type: 'object', propertyNames: { pattern: '^a' } }],
  ['propertyNames', { type: 'object', propertyNames: false }],
  ['minProperties', { type: 'object', minProperties: 1 }],
  ['maxProperties', { type: 'object', maxProperties: 1 }],
  ['unevaluatedProperties', { type: 'object', unevaluatedProperties: false }],
  ['prefixItems', { type: 'array', prefixItems: [] }],
  ['items', { type: 'array', items: [{ type: 'string' }] }],
  ['additionalItems', { type: 'array', additionalItems: false }],
  ['contains', { type: 'array', contains: {} }],
  ['minContains', { type: 'array', minContains: 1 }],
  ['uniqueItems', { type: 'array', uniqueItems: true }],
  ['multipleOf', { type: 'number', multipleOf: 2 }],
  ['format', { type: 'string', format: 'uri' }],
  ['format', { type: 'string', format: 'uri', pattern: '^a' }],
  ['format', { type: 'string', format: 'of-our-own' }],
  ['contentEncoding', { type: 'string', contentEncoding: 'base64' }],
  ['$anchor', { $anchor: 'a', type: 'string' }],
  ['$id', { $id: 'https://schema.test/a', type: 'string' }],
  ['$dynamicRef', { $dynamicRef: '#a' }],
  ['$ref', { $ref: 'https://schema.test/a' }],
  ['$ref', { $ref: 'other.json#/a' }],
  ['oneOf', { oneOf: [{ type: 'string' }, { type: 'string', minLength: 2 }] }],
  ['type', { anyOf: [{ type: 'string' }], type: 'string' }],
  ['minLength', { $ref: '#', minLength: 1 }],
  ['minimum', { enum: [1, 2], minimum: 1 }],
  ['minimum', { type: 'string', minimum: 1 }],
  ['minItems', { minLength: 1, minItems: 1 }],
  ['required', { type: 'object', properties: {}, required: ['toString'] }],
];

for (const [keyword, schema] of UNSUPPORTED) {
  test(`${keyword} in ${JSON.stringify(schema)} is not supported`, () => {
    assert.deepEqual(refusalOf(inObject(schema)), {
      code: 'grammar.unsupported',
      param: `${PARAM}.properties.a.${keyword}`,
      keyword,
    });
  });
}

const INVALID: readonly (readonly [keyword: string, schema: unknown])[] = [
  ['schema', 'string'],
  ['schema', null],
  ['schema', [{}]],
  ['type', { type: 'text' }],
  ['type', { type: [] }],
  ['type', { type: ['string', 'text'] }],
  ['type', { type: '__proto__' }],
  ['enum', { enum: [] }],
  ['enum', { enum: { 0: 'a' } }],
  ['enum', { enum: ['\ud800'] }],
  ['enum', { enum: [{ '\ud800': 1 }] }],
  ['enum', { enum: [Infinity] }],
  ['const', { const: '\udfff' }],
  ['anyOf', { anyOf: [] }],
  ['anyOf', { anyOf: {} }],
  ['$ref', { $ref: 5 }],
  ['$ref', { $ref: '#/$defs/absent' }],
  ['$ref', { $ref: '#/properties/constructor' }],
  ['$ref', { $ref: '#/required/0' }],
  ['$ref', { $ref: '#/$defs/%E0%A4%A' }],
  ['properties', { type: 'object', properties: [] }],
  ['properties', { type: 'object', properties: { '\ud800': {} } }],
  ['required', { type: 'object', required: 'a' }],
  ['required', { type: 'object', required: [1] }],
  ['minItems', { type: 'array', minItems: -1 }],
  ['maxItems', { type: 'array', maxItems: 1.5 }],
  ['minLength', { type: 'string', minLength: '1' }],
  ['pattern', { type: 'string', pattern: 5 }],
  ['format', { type: 'string', format: {} }],
  ['minimum', { type: 'number', minimum: '1' }],
  ['maximum', { type: 'number', maximum: Infinity }],
  ['nullable', { type: 'string', nullable: 'yes' }],
];

for (const [keyword, schema] of INVALID) {
  test(`the value of ${keyword} in ${JSON.stringify(schema)} is not valid`, () => {
    assert.deepEqual(refusalOf(inObject(schema)), {
      code: 'grammar.invalid',
      param: `${PARAM}.properties.a.${keyword}`,
      keyword,
    });
  });
}

const UNSATISFIABLE: readonly (readonly [keyword: string, schema: unknown])[] = [
  ['false', false],
  ['maxLength', { type: 'string', minLength: 2, maxLength: 1 }],
  ['maxItems', { type: 'array', minItems: 2, maxItems: 1 }],
  ['enum', { type: 'integer', enum: ['1', 1.5] }],
  ['enum', { enum: [1, 2], const: 3 }],
  ['const', { type: 'string', const: 3 }],
  ['maximum', { type: 'integer', minimum: 2, maximum: 1 }],
  ['maximum', { type: 'integer', minimum: 1.2, maximum: 1.8 }],
];

for (const [keyword, schema] of UNSATISFIABLE) {
  test(`nothing satisfies ${JSON.stringify(schema)}`, () => {
    assert.deepEqual(refusalOf(inObject(schema)), {
      code: 'grammar.unsatisfiable',
      param: `${PARAM}.properties.a.${keyword}`,
      keyword,
    });
  });
}

const LONG = 'x'.repeat(300);
const LIMITS: readonly (readonly [keyword: string, schema: unknown])[] = [
  ['maxLength', { type: 'string', maxLength: 20_001 }],
  ['minLength', { type: 'string', minLength: 20_001 }],
  ['maxItems', { type: 'array', maxItems: 2001 }],
  ['minItems', { type: 'array', minItems: 2001 }],
  ['pattern', { type: 'string', pattern: 'a'.repeat(1025) }],
  ['properties', { type: 'object', properties: { [LONG]: {} } }],
  ['properties', { type: 'object', properties: named(513, {}) }],
  ['required', { type: 'object', properties: named(65, {}) }],
  ['anyOf', { anyOf: Array.from({ length: 65 }, () => ({ type: 'string' })) }],
  ['anyOf', { anyOf: [0, 40].map((from) => ({ anyOf: constants(from) })) }],
  ['pattern', { type: 'string', pattern: '^a{0,2000}b{0,2000}c{0,2000}$' }],
  ['maxLength', { type: 'string', pattern: '^[a-z]*[0-9]*$', maxLength: 4000 }],
  ['enum', { enum: Array.from({ length: 2049 }, (_, index) => index) }],
  ['enum', { enum: ['x'.repeat(70_000)] }],
  ['const', { const: nested(9) }],
];

function named(count: number, schema: unknown): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, schema]));
}

function constants(from: number): readonly unknown[] {
  return Array.from({ length: 40 }, (_, index) => ({ const: from + index }));
}

function nested(depth: number): unknown {
  return depth === 0 ? 1 : [nested(depth - 1)];
}

for (const [keyword, schema] of LIMITS) {
  test(`more than ${keyword} may ask for: ${JSON.stringify(schema).slice(0, 60)}`, () => {
    assert.deepEqual(refusalOf(inObject(schema)), {
      code: 'grammar.limit',
      param: `${PARAM}.properties.a.${keyword}`,
      keyword,
    });
  });
}

test('a client is told the keyword in the message and its path in param', () => {
  const { status, body, headers } = refusalFailure(
    refusalOf(inObject({ type: 'array', uniqueItems: true })),
  );
  assert.equal(status, 400);
  assert.deepEqual(body.error, {
    message:
      'The schema uses a keyword, or a combination of keywords, that is not supported. Keyword: uniqueItems',
    type: 'invalid_request_error',
    param: `${PARAM}.properties.a.uniqueItems`,
    code: 'unsupported_parameter',
  });
  assert.deepEqual(headers, [['x-should-retry', 'false']]);
  const invalid = refusalFailure(refusalOf(inObject({ type: 'text' })));
  assert.equal(invalid.body.error.code, 'invalid_value');
});

test('names that could be text are shown by their position, and keywords that could be are not shown', () => {
  const secret = 'my secret: 42';
  const schema = {
    type: 'object',
    properties: { a: {}, [secret]: { type: 'object', properties: { b: { [secret]: 1 } } } },
  };
  const refusal = refusalOf(schema);
  assert.deepEqual(refusal, {
    code: 'grammar.unsupported',
    param: `${PARAM}.properties.1.properties.b.unknown`,
    keyword: 'unknown',
  });
});

test('a long path keeps its ends', () => {
  let schema: unknown = { uniqueItems: true };
  for (let depth = 0; depth < 20; depth++) schema = inObject(schema);
  const { param } = refusalOf(schema);
  assert.ok(param.length <= 96);
  assert.ok(param.startsWith('response_format.json_schema.schema.properties.a.'));
  assert.ok(param.endsWith('.properties.a.uniqueItems'));
});
