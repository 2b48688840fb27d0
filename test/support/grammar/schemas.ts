/** Random schemas of the subset, each with a value that satisfies it and is written in the order of the schema. @module */

import * as fc from 'fast-check';

export interface Sample {
  readonly schema: unknown;
  readonly value: unknown;
}

const DEPTH = 3;
const TEXT = fc.string({ unit: 'binary', maxLength: 12 });
/** Of characters that every library counts as one. */
const COUNTED_TEXT = TEXT.map((text) => text.replaceAll(/[\u{10000}-\u{10FFFF}]/gu, 'x'));
/**
 * Without backslashes: `JSON.parse` of V8 13.6, when an earlier object had a name with one in the same place, takes an
 * escape in a name for that name (the JSON texts `{"a":1,"\\":2}` and then `{"a":1,"\n":2}`). schema-bomb.test.ts has such names.
 */
const NAME = fc
  .oneof(
    { weight: 4, arbitrary: fc.stringMatching(/^[a-z]{1,6}$/) },
    { weight: 1, arbitrary: fc.constantFrom('', '__proto__', 'constructor', '"', 'é🌍', '\n') },
    { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 8 }) },
  )
  .filter((name) => !name.includes('\\'));
/** Few enough digits that a double keeps them. */
const NUMBER = fc
  .tuple(fc.integer({ min: -999_999, max: 999_999 }), fc.constantFrom(1, 10, 1000))
  .map(([value, by]) => (value === 0 ? 0 : value / by));

const PATTERNS: readonly RegExp[] = [
  /^[a-z]{2,5}$/u,
  /^(?:foo|bar|foobar)+$/u,
  /^\d{3}-\d{4}$/u,
  /^[^"\\]{0,4}$/u,
  /^["\\\n]{1,3}$/u,
  /^a*b?c+$/u,
  /^\u{1F30D}?[À-ÿ]{1,2}$/u,
  /^(?:[A-Z]{3}|[0-9]{1,4}(?:\.[0-9]{2})?)$/u,
];

const ANY_JSON = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    TEXT,
    NUMBER,
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(NAME, tie('value'), { maxKeys: 3 }),
  ),
})).value;

function boundedInteger(): fc.Arbitrary<Sample> {
  return fc
    .tuple(
      fc.integer({ min: -100_000, max: 100_000 }),
      fc.nat({ max: 2000 }),
      fc.nat({ max: 2000 }),
      fc.constantFrom('integer', 'number'),
    )
    .map(([value, below, above, type]) => ({
      schema: { type, minimum: value - below, exclusiveMaximum: value + above + 1 },
      value,
    }));
}

function boundedNumber(): fc.Arbitrary<Sample> {
  return fc
    .tuple(NUMBER, fc.nat({ max: 300 }), fc.nat({ max: 300 }))
    .map(([value, below, above]) => ({
      schema: {
        type: 'number',
        minimum: Number((value - below / 100).toFixed(3)),
        maximum: Number((value + above / 100).toFixed(3)),
      },
      value,
    }))
    .filter(({ schema, value }) => schema.minimum <= value && value <= schema.maximum);
}

const LEAF: fc.Arbitrary<Sample> = fc.oneof(
  TEXT.map((value) => ({ schema: { type: 'string' }, value })),
  fc.tuple(COUNTED_TEXT, fc.nat({ max: 3 }), fc.nat({ max: 3 })).map(([value, below, above]) => {
    const length = Array.from(value).length;
    const minLength = Math.max(0, length - below);
    return { schema: { type: 'string', minLength, maxLength: length + above }, value };
  }),
  fc
    .constantFrom(...PATTERNS)
    .chain((pattern) =>
      fc
        .stringMatching(pattern)
        .map((value) => ({ schema: { type: 'string', pattern: pattern.source }, value })),
    ),
  fc.integer().map((value) => ({ schema: { type: 'integer' }, value })),
  NUMBER.map((value) => ({ schema: { type: 'number' }, value })),
  boundedInteger(),
  boundedNumber(),
  fc.boolean().map((value) => ({ schema: { type: 'boolean' }, value })),
  fc.constant({ schema: { type: 'null' }, value: null }),
  ANY_JSON.map((value) => ({ schema: { const: value }, value })),
  fc
    .array(fc.oneof(TEXT, NUMBER, fc.boolean(), fc.constant(null)), { minLength: 1, maxLength: 5 })
    .map((values) => ({ schema: { enum: values }, value: values[0] })),
  ANY_JSON.map((value) => ({ schema: {}, value })),
  fc.tuple(TEXT, NUMBER, fc.boolean()).map(([text, number, asText]) => ({
    schema: { type: ['string', 'null', 'number'] },
    value: asText ? text : number,
  })),
);

interface MemberSample {
  readonly name: string;
  readonly sample: Sample;
  readonly presence: 'required' | 'there' | 'absent';
}

/** Names such as `__proto__` must become members of their own. */
function objectOf(entries: readonly (readonly [string, unknown])[]): unknown {
  return Object.fromEntries(entries);
}

function objectSample(inner: fc.Arbitrary<Sample>): fc.Arbitrary<Sample> {
  const member: fc.Arbitrary<MemberSample> = fc.record({
    name: NAME,
    sample: inner,
    presence: fc.constantFrom('required', 'required', 'there', 'absent'),
  });
  return fc.uniqueArray(member, { selector: ({ name }) => name, maxLength: 4 }).map((members) => ({
    schema: {
      type: 'object',
      properties: objectOf(members.map(({ name, sample }) => [name, sample.schema])),
      required: members.filter((one) => one.presence === 'required').map(({ name }) => name),
      additionalProperties: false,
    },
    value: objectOf(
      members
        .filter(({ presence }) => presence !== 'absent')
        .map(({ name, sample }) => [name, sample.value]),
    ),
  }));
}

function arraySample(inner: fc.Arbitrary<Sample>): fc.Arbitrary<Sample> {
  return fc
    .tuple(inner, fc.nat({ max: 3 }), fc.nat({ max: 3 }), fc.nat({ max: 2 }))
    .map(([{ schema, value }, count, below, above]) => ({
      schema: {
        type: 'array',
        items: schema,
        minItems: Math.max(0, count - below),
        maxItems: count + above,
      },
      value: Array.from({ length: count }, () => value),
    }));
}

function unionSample(inner: fc.Arbitrary<Sample>): fc.Arbitrary<Sample> {
  return fc.array(inner, { minLength: 1, maxLength: 3 }).map((branches) => ({
    schema: { anyOf: branches.map(({ schema }) => schema) },
    value: branches.at(-1)?.value,
  }));
}

function sampleOf(depth: number): fc.Arbitrary<Sample> {
  if (depth === 0) return LEAF;
  const inner = sampleOf(depth - 1);
  return fc.oneof(
    LEAF,
    objectSample(inner),
    arraySample(inner),
    unionSample(inner),
    inner.map(({ schema, value }) => ({ schema: { anyOf: [schema, { type: 'null' }] }, value })),
    fc.dictionary(NAME, NUMBER, { maxKeys: 3 }).map((value) => ({
      schema: { type: 'object', additionalProperties: { type: 'number' } },
      value,
    })),
  );
}

/** A tree of whatever hangs at its nodes, so that the schema refers to itself. */
function recursiveSample({ schema, value }: Sample): Sample {
  return {
    schema: {
      $defs: {
        tree: {
          type: 'object',
          properties: {
            load: schema,
            left: { anyOf: [{ $ref: '#/$defs/tree' }, { type: 'null' }] },
            rest: { type: 'array', items: { $ref: '#/$defs/tree' } },
          },
          required: ['load', 'left', 'rest'],
          additionalProperties: false,
        },
      },
      $ref: '#/$defs/tree',
    },
    value: {
      load: value,
      left: { load: value, left: null, rest: [] },
      rest: [{ load: value, left: null, rest: [] }],
    },
  };
}

export const SAMPLES: fc.Arbitrary<Sample> = fc.oneof(
  { weight: 4, arbitrary: sampleOf(DEPTH) },
  { weight: 1, arbitrary: sampleOf(1).map(recursiveSample) },
);
