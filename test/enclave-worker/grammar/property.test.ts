/**
 * What a grammar is for: whatever the engine samples under it satisfies the schema, whatever satisfies the schema and is
 * written in its order can be sampled, and the sampler never follows many paths at once. For random schemas, with a
 * recogniser and a validator that share nothing with the compiler.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { schemaGrammar } from '../../../enclave-worker/grammar/grammar.ts';
import { readGbnf, Recogniser, Sampler } from '../../support/grammar/gbnf.ts';
import { SAMPLES, type Sample } from '../../support/grammar/schemas.ts';
import { isValid } from '../../support/grammar/validate.ts';

const PARAM = 'response_format.json_schema.schema';
/** Alternatives of a few unions and optional members at one place; a bomb has thousands. */
const STACKS_MAX = 200;
const STEPS = 120;

/** Undefined: refused because too many alternatives look alike, which random schemas can do. */
function grammarOf({ schema }: Sample): string | undefined {
  const decision = schemaGrammar(JSON.parse(JSON.stringify(schema)), PARAM);
  if (decision.outcome === 'compiled') return decision.grammar;
  const { code, keyword } = decision.refusal;
  assert.deepEqual([code, keyword], ['grammar.limit', 'anyOf']);
  return undefined;
}

const NUMBERS = fc.infiniteStream(fc.nat({ max: 0x3fffffff }));

function belowOf(numbers: Iterator<number>): (limit: number) => number {
  return (limit) => Number(numbers.next().value) % limit;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

test('every text of a grammar is JSON that satisfies the schema', () => {
  fc.assert(
    fc.property(SAMPLES, NUMBERS, (sample, numbers) => {
      const grammar = grammarOf(sample);
      fc.pre(grammar !== undefined);
      const rules = readGbnf(grammar);
      const sampler = new Sampler(rules, belowOf(numbers));
      const recogniser = new Recogniser(rules);
      for (let round = 0; round < 3; round++) {
        const text = sampler.sample(STEPS);
        assert.ok(text.isWellFormed());
        assert.ok(isValid(sample.schema, JSON.parse(text)), text);
        const { outcome, stacksMax } = recogniser.recognise(text);
        assert.equal(outcome, 'accepted');
        assert.ok(stacksMax <= STACKS_MAX, `${stacksMax} stacks`);
      }
    }),
    { numRuns: 600 },
  );
});

test('every value that satisfies the schema can be written, compactly or with spaces', () => {
  fc.assert(
    fc.property(SAMPLES, (sample) => {
      assert.ok(isValid(sample.schema, sample.value), 'the sample itself');
      const grammar = grammarOf(sample);
      fc.pre(grammar !== undefined);
      const recogniser = new Recogniser(readGbnf(grammar));
      const text = JSON.stringify(sample.value);
      assert.equal(recogniser.recognise(text).outcome, 'accepted', text);
    }),
    { numRuns: 600 },
  );
});

test('a text that does not satisfy the schema is not of the grammar', () => {
  let judged = 0;
  fc.assert(
    fc.property(SAMPLES, SAMPLES, fc.nat(), fc.nat(), (sample, other, at, change) => {
      const grammar = grammarOf(sample);
      fc.pre(grammar !== undefined);
      const recogniser = new Recogniser(readGbnf(grammar));
      const text = JSON.stringify(sample.value);
      const texts = [JSON.stringify(other.value), ...damaged(text, at, change)];
      for (const wrong of texts) {
        const value = parsed(wrong);
        if (value !== undefined && isValid(sample.schema, value)) continue;
        judged++;
        assert.notEqual(recogniser.recognise(wrong).outcome, 'accepted', wrong);
      }
    }),
    { numRuns: 600 },
  );
  assert.ok(judged > 1000, `only ${judged} texts were wrong`);
});

const INSERTED = ['"', '}', ']', ',', '0', '-', '.', 'e', ' ', '\\', 'null', '[]', '{}', '\u0000'];

function damaged(text: string, at: number, change: number): readonly string[] {
  const place = at % (text.length + 1);
  const piece = INSERTED[change % INSERTED.length] ?? '';
  return [
    text.slice(0, place) + text.slice(place + 1),
    text.slice(0, place) + piece + text.slice(place),
    text.slice(0, place) + piece + text.slice(place + 1),
    text.slice(0, place),
    text + piece,
  ];
}
