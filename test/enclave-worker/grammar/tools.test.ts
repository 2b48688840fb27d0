/**
 * Tool calls: what the grammar lets a model write is what the reader takes apart, wherever the text is cut; nothing that
 * could become a call is shown as words, and a call that is not whole is never passed on as one.
 * @module
 */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  toolGrammar,
  type PlainAnswer,
  type ToolChoice,
  type ToolFunction,
} from '../../../enclave-worker/grammar/grammar.ts';
import {
  newToolCallId,
  readToolCalls,
  ToolCallReader,
  type ToolAnswer,
  type ToolDelta,
} from '../../../enclave-worker/grammar/tool-calls.ts';
import {
  toolCallsText,
  toolPrompt,
  toolResultText,
} from '../../../enclave-worker/grammar/tool-text.ts';
import { readGbnf, Recogniser, Sampler } from '../../support/grammar/gbnf.ts';
import { isValid } from '../../support/grammar/validate.ts';

const WEATHER = {
  type: 'object',
  properties: {
    city: { type: 'string' },
    days: { type: ['integer', 'null'], minimum: 1, maximum: 7 },
  },
  required: ['city'],
  additionalProperties: false,
};
const TOOLS: readonly ToolFunction[] = [
  { name: 'get_weather', description: 'Looks at the sky.', parameters: WEATHER },
  {
    name: 'get_weather_map',
    parameters: { type: 'object', additionalProperties: { type: 'number' } },
  },
  { name: 'now' },
];
const AUTO: ToolChoice = { kind: 'auto' };
const REQUIRED: ToolChoice = { kind: 'required' };
const TEXT: PlainAnswer = { kind: 'text' };

interface Options {
  readonly choice?: ToolChoice;
  readonly parallel?: boolean;
  readonly answer?: PlainAnswer;
}

function rulesOf({ choice = AUTO, parallel = true, answer = TEXT }: Options = {}): Recogniser {
  return new Recogniser(readGbnf(grammarOf({ choice, parallel, answer })));
}

function grammarOf({ choice = AUTO, parallel = true, answer = TEXT }: Options): string {
  const decision = toolGrammar({ tools: TOOLS, choice, parallel, answer });
  assert.equal(decision.outcome, 'compiled', JSON.stringify(decision));
  return decision.outcome === 'compiled' ? decision.grammar : '';
}

function call(name: string, text: string): string {
  return toolCallsText([{ name, arguments: text }]);
}

const PARIS = call('get_weather', '{"city":"Paris","days":3}');
const NOW = call('now', '{}');

function outcome(recogniser: Recogniser, text: string): string {
  return recogniser.recognise(text).outcome;
}

test('with auto the model answers in words, in calls, or in words and then calls', () => {
  const recogniser = rulesOf();
  for (const text of [
    '',
    'Hello <b>there</b> <tool',
    '<tool_cal',
    '<<tool_call',
    '{"json": true}',
    PARIS,
    `${PARIS}\n${NOW}`,
    `Let me look.\n\n${PARIS}`,
    `a < b <tool_<tool_call\n${NOW}`,
  ]) {
    assert.equal(outcome(recogniser, text), 'accepted', text);
  }
});

test('once a call is opened nothing but a call can follow', () => {
  const recogniser = rulesOf();
  for (const text of [
    '<tool_call>',
    'words <tool_call> more words',
    call('delete_everything', '{}'),
    call('get_weather', '{}'),
    call('get_weather', '{"city":1}'),
    call('get_weather', '{"city":"x","days":8}'),
    call('now', '{"a":1}'),
    `${PARIS} and words`,
    `${PARIS}${PARIS}`,
    PARIS.slice(0, -1),
  ]) {
    assert.notEqual(outcome(recogniser, text), 'accepted', text);
  }
});

test('required and named choices leave no words, and a named one leaves one tool', () => {
  const required = rulesOf({ choice: REQUIRED });
  const named = rulesOf({ choice: { kind: 'function', name: 'now' } });
  assert.equal(outcome(required, PARIS), 'accepted');
  assert.equal(outcome(required, `${PARIS}\n${NOW}`), 'accepted');
  assert.equal(outcome(required, `words\n${PARIS}`), 'rejected');
  assert.equal(outcome(required, ''), 'unfinished');
  assert.equal(outcome(named, NOW), 'accepted');
  assert.equal(outcome(named, PARIS), 'rejected');
  assert.equal(outcome(named, `${NOW}\n${NOW}`), 'rejected');
});

test('without parallel calls there is one', () => {
  const one = rulesOf({ parallel: false });
  assert.equal(outcome(one, PARIS), 'accepted');
  assert.equal(outcome(one, `${PARIS}\n${NOW}`), 'rejected');
});

test('there are never more calls than an SDK takes', () => {
  const many = (count: number): string => Array.from({ length: count }, () => NOW).join('\n');
  assert.equal(outcome(rulesOf(), many(32)), 'accepted');
  assert.equal(outcome(rulesOf(), many(33)), 'rejected');
});

test('an answer that is not calls can be held to a schema', () => {
  const schema = { type: 'object', properties: { note: { type: 'string' } }, required: ['note'] };
  const json = rulesOf({ answer: { kind: 'json_schema', schema, param: 'response_format' } });
  assert.equal(outcome(json, '{"note":"<tool_call>"}'), 'accepted');
  assert.equal(outcome(json, PARIS), 'accepted');
  assert.equal(outcome(json, 'words'), 'rejected');
  assert.equal(outcome(rulesOf({ answer: { kind: 'json_object' } }), '{"a":[1,{}]}'), 'accepted');
});

function refusedParam(tools: readonly ToolFunction[], choice = AUTO, answer = TEXT): string {
  const decision = toolGrammar({ tools, choice, parallel: true, answer });
  assert.equal(decision.outcome, 'refused');
  return decision.refusal.param;
}

test('what is wrong with tools is named', () => {
  const [first, , last] = TOOLS;
  assert.ok(first !== undefined && last !== undefined);
  const unique = { type: 'object', properties: { a: { type: 'array', uniqueItems: true } } };
  assert.equal(
    refusedParam([first, { name: 'b', parameters: unique }]),
    'tools.1.function.parameters.properties.a.uniqueItems',
  );
  assert.equal(
    refusedParam([{ name: 'b', parameters: { type: 'string' } }]),
    'tools.0.function.parameters.type',
  );
  for (const name of ['', 'a b', '"', 'ü', 'x'.repeat(65)]) {
    assert.equal(refusedParam([last, { name }]), 'tools.1.function.name');
  }
  assert.equal(refusedParam([last, last]), 'tools.1.function.name');
  assert.equal(refusedParam([]), 'tools');
  assert.equal(refusedParam(Array.from({ length: 129 }, (_, at) => ({ name: `t${at}` }))), 'tools');
  assert.equal(refusedParam([last], { kind: 'function', name: 'other' }), 'tool_choice');
  const answer: PlainAnswer = { kind: 'json_schema', schema: { not: {} }, param: 'a.b' };
  assert.equal(refusedParam([last], AUTO, answer), 'a.b.not');
});

function ids(): () => string {
  let next = 0;
  return () => `call_${next++}`;
}

function read(text: string, answer: 'text' | 'json' = 'text'): ToolAnswer {
  return readToolCalls(text, { newId: ids(), answer });
}

test('words and calls are taken apart', () => {
  assert.deepEqual(read(`Let me look.\n\n${PARIS}\n${NOW}`), {
    content: 'Let me look.',
    calls: [
      { id: 'call_0', name: 'get_weather', arguments: '{"city":"Paris","days":3}' },
      { id: 'call_1', name: 'now', arguments: '{}' },
    ],
    outcome: 'calls',
  });
  assert.deepEqual(read(NOW).content, null);
  assert.deepEqual(read('a <tool'), { content: 'a <tool', calls: [], outcome: 'text' });
  assert.deepEqual(read(''), { content: '', calls: [], outcome: 'text' });
});

test('brackets and quotes in strings do not end the arguments', () => {
  const text = '{"city":"}\\"]}\\\\","a":[{"b":"</tool_call>"}]}';
  assert.deepEqual(read(call('x', text)).calls, [{ id: 'call_0', name: 'x', arguments: text }]);
});

test('JSON may hold what would open a call in words', () => {
  const text = '{"note":"<tool_call>\\n"}';
  assert.deepEqual(read(text, 'json'), { content: text, calls: [], outcome: 'text' });
  assert.equal(read(PARIS, 'json').calls.length, 1);
});

const WHOLE = `Let me < look.\n\n${PARIS}\n${call('get_weather', '{"city":"a}\\"","days":null}')}`;

function joined(deltas: readonly ToolDelta[]): string {
  const texts = deltas.map((delta) => {
    if (delta.kind === 'call') return `|call ${delta.index} ${delta.id} ${delta.name}|`;
    return delta.text;
  });
  return texts.join('');
}

for (const size of [1, 2, 3, 5, 8, 13, 1000]) {
  test(`the same comes out of pieces of ${size}`, () => {
    const whole = new ToolCallReader({ newId: ids(), answer: 'text' });
    const expected = joined(whole.push(WHOLE));
    const reader = new ToolCallReader({ newId: ids(), answer: 'text' });
    const deltas: ToolDelta[] = [];
    for (let at = 0; at < WHOLE.length; at += size) {
      deltas.push(...reader.push(WHOLE.slice(at, at + size)));
    }
    const { deltas: last, outcome: end } = reader.end();
    assert.equal(joined([...deltas, ...last]), expected);
    assert.equal(end, 'calls');
    assert.ok(expected.startsWith('Let me < look.|call 0 call_0 get_weather|{"city"'));
  });
}

test('wherever the text ends within a call, the call is broken and not passed on', () => {
  const opened = WHOLE.indexOf('<tool_call>') + '<tool_call>'.length;
  for (let end = 0; end <= WHOLE.length; end++) {
    const text = WHOLE.slice(0, end);
    const { calls, outcome: how, content } = read(text);
    const [words = '', ...ends] = text.split('</tool_call>');
    assert.equal(calls.length, ends.length, `${end}`);
    assert.ok(calls.every((one) => JSON.parse(one.arguments) !== null));
    if (end < opened) {
      assert.deepEqual([how, content], ['text', words]);
    } else {
      assert.equal(how, ends.at(-1)?.trim() === '' ? 'calls' : 'broken', `${end}`);
    }
  }
});

test('white space before a call is held back, but not without end', () => {
  const reader = new ToolCallReader({ newId: ids(), answer: 'text' });
  assert.deepEqual(reader.push(`a${' '.repeat(64)}`), [{ kind: 'text', text: 'a' }]);
  assert.deepEqual(reader.push(' '), [{ kind: 'text', text: ' '.repeat(65) }]);
});

test('arguments that no SDK could keep are broken', () => {
  const long = (count: number): string => call('x', JSON.stringify({ a: 'x'.repeat(count) }));
  assert.equal(read(long(1_048_000)).outcome, 'calls');
  assert.equal(read(long(1_048_576)).outcome, 'broken');
});

test('what is not of the form is broken', () => {
  for (const text of [
    '<tool_call>{"name": "x"}',
    '<tool_call>\n{"name": "", "arguments": {}}\n</tool_call>',
    '<tool_call>\n{"name": "a b", "arguments": {}}\n</tool_call>',
    `<tool_call>\n{"name": "${'x'.repeat(65)}", "arguments": {}}\n</tool_call>`,
    '<tool_call>\n{"name": "x", "arguments": 5}\n</tool_call>',
    '<tool_call>\n{"name": "x", "arguments": {}]\n</tool_call>',
    `${NOW}words`,
    `${NOW}\n<tool_call>`,
    Array.from({ length: 33 }, () => NOW).join('\n'),
  ]) {
    const { outcome: how, calls } = read(text);
    assert.equal(how, 'broken', text);
    assert.equal(calls.length, text.startsWith(NOW) ? Math.min(32, text.split(NOW).length - 1) : 0);
  }
});

test('every text that the grammar gives is read, and its arguments satisfy their schema', () => {
  let state = 11;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % limit;
  };
  const sampler = new Sampler(readGbnf(grammarOf({ choice: REQUIRED })), below);
  for (let round = 0; round < 200; round++) {
    const { calls, outcome: how } = read(sampler.sample(200));
    assert.equal(how, 'calls');
    assert.ok(calls.length > 0);
    for (const { name, arguments: text } of calls) {
      const parameters = TOOLS.find((tool) => tool.name === name)?.parameters ?? { const: {} };
      assert.ok(isValid(parameters, JSON.parse(text)), text);
    }
  }
});

test('the prompt shows each tool once, and ids are fresh', () => {
  const prompt = toolPrompt(TOOLS);
  assert.equal(prompt.split('"type":"function"').length, TOOLS.length + 1);
  assert.ok(prompt.includes('"name":"get_weather","description":"Looks at the sky."'));
  assert.equal(toolResultText('sunny'), '<tool_response>\nsunny\n</tool_response>');
  assert.match(newToolCallId(), /^call_[0-9a-f]{24}$/);
  assert.notEqual(newToolCallId(), newToolCallId());
});
