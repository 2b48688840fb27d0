/** Patterns mean what ECMAScript says they mean, or are refused. The second opinion is the RegExp of the runtime. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { FORMAT_PATTERNS } from '../../../enclave-worker/grammar/formats.ts';
import { schemaGrammar } from '../../../enclave-worker/grammar/grammar.ts';
import { readGbnf, Recogniser, Sampler } from '../../support/grammar/gbnf.ts';
import { isValid } from '../../support/grammar/validate.ts';

function grammarOf(schema: unknown): string {
  const decision = schemaGrammar(schema, 'schema');
  assert.equal(decision.outcome, 'compiled', JSON.stringify([schema, decision]));
  return decision.outcome === 'compiled' ? decision.grammar : '';
}

function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % limit;
  };
}

const PATTERNS: readonly string[] = [
  '^abc$',
  'abc',
  '^a|b$',
  '^(?:a|b|ab)(?:c|bcd)$',
  '^(a+|b)*c?$',
  '^a{2}b{1,3}c{2,}$',
  '^[a-cx]+$',
  '^[^a-c]$',
  '^[\\w-]+$',
  '^\\d\\D\\w\\W\\s\\S$',
  '^.$',
  '^[.\\]\\\\^-]$',
  '^a*?b+?c??$',
  '^\\x61\\u0062\\u{63}$',
  '^[\\x61-\\u0063\\n\\t]*$',
  '^(?!ab)[a-c]{2}$',
  '^(?=.*c)[a-c]{2,3}$',
  '^(?!.*aa)[a-c]*$',
  '^(?!a$)[a-c]+$',
  '^(?=a)(?!.*b$)[abc]{1,3}$',
  '^(?!.*aa)',
  '^(?!.{2,}$)',
  'a(?![^b]{0,2}$)',
  '^(?!\\D\\W?\\S$)',
  '(?!.{0,2}.?$)[ab]',
  '^(?!a)(?=.*b)',
  '^$',
  '',
  '^"\\\\$',
  'a$|^b',
  '^(|a)(b|)$',
  '^(a?){3}$',
  '^(?:(?:a|b)?c){0,2}$',
  '^[\\b\\f\\0]$',
];
const CHARS = fc.constantFrom(...Array.from('abcdx01-"\\^].\n\t\b\0 é\u2028\u{1F30D}'));

for (const pattern of PATTERNS) {
  test(`${JSON.stringify(pattern)} accepts what RegExp accepts`, () => {
    const expression = new RegExp(pattern, 'u');
    const unitwise = pattern.includes('\\u{') ? undefined : new RegExp(pattern);
    const rules = readGbnf(grammarOf({ type: 'string', pattern }));
    const recogniser = new Recogniser(rules);
    const judge = (text: string): void => {
      const { outcome, stacksMax } = recogniser.recognise(JSON.stringify(text));
      const isAccepted = outcome === 'accepted';
      assert.ok(!isAccepted || expression.test(text), JSON.stringify(text));
      assert.ok(!isAccepted || unitwise === undefined || unitwise.test(text));
      // What a negation leaves has no characters of two units, because not all validators see them as one.
      if (text.length === Array.from(text).length) {
        assert.equal(isAccepted, expression.test(text), JSON.stringify(text));
      }
      assert.ok(stacksMax <= 32, `${stacksMax} stacks`);
    };
    fc.assert(
      fc.property(fc.string({ unit: CHARS, maxLength: 5 }), (text) => judge(text)),
      { numRuns: 300 },
    );
    const sampler = new Sampler(rules, seeded(7));
    for (let round = 0; round < 50; round++) judge(String(JSON.parse(sampler.sample(40))));
  });
}

const REFUSED: readonly string[] = [
  '(a)\\1',
  '(?<name>a)',
  '(?<=a)b',
  '(?<!a)b',
  'a\\b',
  '\\p{L}',
  '(a(?!b))c',
  '(^a)',
  'a^b',
  'a$b',
  '(',
  ')',
  '[',
  '[b-a]',
  '[a-\\d]',
  '*a',
  'a**',
  'a{2,1}',
  'a{9999}',
  'a{x}',
  '\\',
  '\\q',
  '\\cA',
  '^\\ud83d$',
  '(?i:a)',
];

test('what a negative lookahead forbids cannot be had behind a character of two units', () => {
  const rules = readGbnf(grammarOf({ type: 'string', pattern: '^(?!.*\\.\\.)' }));
  const recogniser = new Recogniser(rules);
  assert.equal(recogniser.recognise('"a.b"').outcome, 'accepted');
  assert.equal(recogniser.recognise('"\u{1F600}.."').outcome, 'rejected');
  // One that leaves nothing out leaves them to the rest of the pattern.
  const named = readGbnf(grammarOf({ type: 'string', pattern: '^(?!admin)' }));
  assert.equal(new Recogniser(named).recognise('"\u{1F600}admin"').outcome, 'accepted');
});

for (const pattern of REFUSED) {
  test(`${JSON.stringify(pattern)} is refused`, () => {
    assert.deepEqual(schemaGrammar({ type: 'string', pattern }, 'schema'), {
      outcome: 'refused',
      refusal: { code: 'grammar.unsupported', param: 'schema.pattern', keyword: 'pattern' },
    });
  });
}

test('a pattern that nothing matches is unsatisfiable', () => {
  for (const [keyword, schema] of [
    ['pattern', { type: 'string', pattern: '^(?!a)a$' }],
    ['maxLength', { type: 'string', pattern: '^a{3}$', maxLength: 2 }],
    ['minLength', { type: 'string', pattern: '^a{3}$', minLength: 4 }],
    ['pattern', { type: 'string', pattern: '^[]$' }],
    ['pattern', { type: 'string', format: 'date', pattern: '^x' }],
  ] as const) {
    const decision = schemaGrammar(schema, 'schema');
    assert.equal(decision.outcome, 'refused');
    assert.deepEqual(
      [decision.refusal.code, decision.refusal.keyword],
      ['grammar.unsatisfiable', keyword],
    );
  }
});

test('groups nest as deep as they may', () => {
  const nested = (depth: number): unknown => ({
    type: 'string',
    pattern: `^${'(?:'.repeat(depth)}a${')'.repeat(depth)}$`,
  });
  assert.equal(schemaGrammar(nested(24), 'schema').outcome, 'compiled');
  assert.equal(schemaGrammar(nested(25), 'schema').outcome, 'refused');
});

for (const [format, pattern] of Object.entries(FORMAT_PATTERNS)) {
  test(`whatever is written for the format ${format} has it`, () => {
    const schema = { type: 'string', format };
    const rules = readGbnf(grammarOf(schema));
    const sampler = new Sampler(rules, seeded(3));
    for (let round = 0; round < 300; round++) {
      const text = sampler.sample(60);
      assert.ok(isValid(schema, JSON.parse(text)), text);
      assert.match(String(JSON.parse(text)), new RegExp(pattern, 'u'));
    }
  });
}

test('a format, a pattern and a length hold together', () => {
  const schema = {
    type: 'string',
    format: 'email',
    pattern:
      "^(?!\\.)(?!.*\\.\\.)([A-Za-z0-9_'+\\-\\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$",
    maxLength: 30,
  };
  const recogniser = new Recogniser(readGbnf(grammarOf(schema)));
  assert.equal(recogniser.recognise('"a.b@example.org"').outcome, 'accepted');
  assert.equal(recogniser.recognise('"a..b@example.org"').outcome, 'rejected');
  assert.equal(recogniser.recognise(`"a@${'b'.repeat(20)}.example.org"`).outcome, 'rejected');
});
