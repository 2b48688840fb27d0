/** Bounds of numbers hold to the last digit, and exclude nothing that lies within. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { schemaGrammar } from '../../../enclave-worker/grammar/grammar.ts';
import { readGbnf, Recogniser, Sampler } from '../../support/grammar/gbnf.ts';
import { isValid } from '../../support/grammar/validate.ts';

interface Bounds {
  readonly type: 'integer' | 'number';
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
}

const DECIMAL = fc
  .tuple(fc.integer({ min: -20_000, max: 20_000 }), fc.constantFrom(1, 2, 10, 100, 10_000))
  .map(([value, by]) => value / by);
const BOUNDS: fc.Arbitrary<Bounds> = fc.record(
  {
    type: fc.constantFrom('integer' as const, 'number' as const),
    minimum: DECIMAL,
    maximum: DECIMAL,
    exclusiveMinimum: DECIMAL,
    exclusiveMaximum: DECIMAL,
  },
  { requiredKeys: ['type'] },
);

/** Texts of a value that may be written: as JavaScript does, and with zeros at the end. */
function spellings(value: number, type: Bounds['type']): readonly string[] {
  const text = String(value);
  if (type === 'integer') return [text];
  return [text, text.includes('.') ? `${text}00` : `${text}.0`];
}

test('a number is written if and only if it lies within the bounds', () => {
  fc.assert(
    fc.property(
      BOUNDS,
      fc.array(DECIMAL, { maxLength: 20 }),
      fc.infiniteStream(fc.nat()),
      (bounds, others, numbers) => {
        const { type, ...limits } = bounds;
        const near = Object.values(limits).flatMap((limit) => [
          limit,
          limit + 0.001,
          limit - 0.001,
          Math.ceil(limit),
          Math.floor(limit),
        ]);
        const values = [...others, ...near]
          .map((value) => Number(value.toFixed(4)))
          .map((value) => (type === 'integer' ? Math.round(value) : value))
          .map((value) => (value === 0 ? 0 : value));
        const decision = schemaGrammar(bounds, 'schema');
        if (decision.outcome === 'refused') {
          assert.equal(decision.refusal.code, 'grammar.unsatisfiable');
          assert.ok(!values.some((value) => isValid(bounds, value)));
          return;
        }
        const rules = readGbnf(decision.grammar);
        const recogniser = new Recogniser(rules);
        for (const value of values) {
          for (const text of spellings(value, type)) {
            const { outcome } = recogniser.recognise(text);
            assert.equal(outcome === 'accepted', isValid(bounds, value), `${text} ${outcome}`);
          }
        }
        const sampler = new Sampler(rules, (limit) => Number(numbers.next().value) % limit);
        for (let round = 0; round < 5; round++) {
          const text = sampler.sample(30);
          assert.ok(isValid(bounds, JSON.parse(text)), text);
        }
      },
    ),
    { numRuns: 250 },
  );
});

function isWritten(schema: unknown, text: string): boolean {
  const decision = schemaGrammar(schema, 'schema');
  assert.equal(decision.outcome, 'compiled');
  return new Recogniser(readGbnf(decision.grammar)).recognise(text).outcome === 'accepted';
}

test('no number is written that a double would round over its bound', () => {
  const schema = { type: 'number', exclusiveMaximum: 100 };
  assert.ok(isWritten(schema, '99.9999999999999'));
  assert.equal(JSON.parse('99.999999999999999'), 100);
  assert.ok(!isWritten(schema, '99.999999999999999'));
});

test('the bounds of safe integers, which zod writes, exclude nothing', () => {
  const schema = {
    type: 'integer',
    minimum: Number.MIN_SAFE_INTEGER,
    maximum: Number.MAX_SAFE_INTEGER,
  };
  for (const text of ['0', '-999999999999999', '999999999999999']) {
    assert.ok(isWritten(schema, text));
  }
  assert.ok(!isWritten(schema, '9999999999999999'));
});

test('a bound that no text can reach leaves nothing', () => {
  for (const bounds of [{ minimum: 1e15 }, { maximum: -1e15 }, { exclusiveMinimum: 1e300 }]) {
    const decision = schemaGrammar({ type: 'number', ...bounds }, 'schema');
    assert.equal(decision.outcome, 'refused');
    assert.equal(decision.refusal.code, 'grammar.unsatisfiable');
  }
});

test('a bound with more digits than can be compared is refused by name', () => {
  for (const keyword of ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum']) {
    for (const value of [1e-7, 0.1234567890123456]) {
      assert.deepEqual(schemaGrammar({ type: 'number', [keyword]: value }, 'schema'), {
        outcome: 'refused',
        refusal: { code: 'grammar.unsupported', param: `schema.${keyword}`, keyword },
      });
    }
  }
});

test('numbers without bounds are finite and exact', () => {
  assert.ok(isWritten({ type: 'number' }, '-1.5e99'));
  assert.ok(!isWritten({ type: 'number' }, '1e999'));
  assert.ok(!isWritten({ type: 'number' }, '01'));
  assert.ok(!isWritten({ type: 'integer' }, '1.0'));
  assert.ok(!isWritten({ type: 'integer' }, '-0'));
});
