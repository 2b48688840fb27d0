/** What upstreams say in their own ways becomes one: reasoning, ids, ends, calls, choices, probabilities. @module */

import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import type { EngineEvent } from '../../../enclave-worker/engine.ts';
import {
  startFakeUpstream,
  type FakeExchange,
  type FakeUpstream,
} from '../../support/fake-upstream.ts';
import { chat, outcomeOf, startOver, type Outcome, type UpstreamEngine } from './fixture.ts';

let fake: FakeUpstream;
let over: UpstreamEngine;

before(async () => {
  fake = await startFakeUpstream();
  over = await startOver(fake);
});
afterEach(() => {
  fake.script = undefined;
});
after(async () => {
  await over.engine.close();
  await fake.close();
});

const COUNTED = { choices: [], usage: { prompt_tokens: 5, completion_tokens: 9 } };

/** Choices one after the other, then the count. */
async function said(choices: readonly object[], job = chat()): Promise<Outcome> {
  fake.script = async (exchange: FakeExchange) => {
    exchange.begin();
    for (const choice of choices) await exchange.chunk(choice);
    await exchange.event(COUNTED);
    await exchange.done();
  };
  const outcome = await outcomeOf(over, job);
  assert.equal(outcome.error, undefined);
  return outcome;
}

const delta = (more: object, index = 0): object => ({ index, delta: more });
const finish = (reason: unknown, index = 0): object => ({
  index,
  delta: {},
  finish_reason: reason,
});

for (const member of ['reasoning', 'reasoning_content']) {
  test(`${member} is what the model thinks, apart from what it says`, async () => {
    const { text, reasoning } = await said([
      delta({ [member]: 'hm ' }),
      delta({ [member]: 'so' }),
      delta({ content: 'Yes' }),
      finish('stop'),
    ]);
    assert.deepEqual([text, reasoning], ['Yes', 'hm so']);
  });
}

const ENDS: readonly (readonly [said: string, becomes: string])[] = [
  ['stop', 'stop'],
  ['eos', 'stop'],
  ['STOP', 'stop'],
  ['end_turn', 'stop'],
  ['length', 'length'],
  ['max_tokens', 'length'],
  ['content_filter', 'content_filter'],
  // No call has come with it.
  ['tool_calls', 'stop'],
  ['function_call', 'stop'],
];

for (const [word, becomes] of ENDS) {
  test(`an answer that ends with ${word} has ended with ${becomes}`, async () => {
    const { reasons } = await said([delta({ content: 'x' }), finish(word)]);
    assert.deepEqual(reasons, [becomes]);
  });
}

test('roles that come late, twice or never change nothing', async () => {
  const { text } = await said([
    delta({ content: 'a' }),
    delta({ role: 'assistant', content: 'b' }),
    delta({ role: 'assistant' }),
    delta({ content: null }),
    finish('stop'),
  ]);
  assert.equal(text, 'ab');
});

test('a finish reason that comes with the last text, and an empty piece behind it', async () => {
  const { text, reasons } = await said([
    { index: 0, delta: { content: 'x' }, finish_reason: 'stop' },
    delta({ content: '' }),
    finish('stop'),
  ]);
  assert.deepEqual([text, reasons], ['x', ['stop']]);
});

test('choices come in any order, each to its end', async () => {
  const { events, reasons } = await said(
    [
      delta({ content: 'c' }, 2),
      delta({ content: 'a' }, 0),
      finish('stop', 2),
      delta({ content: 'b' }, 1),
      finish('length', 1),
      finish('stop', 0),
    ],
    chat({ choices: 3 }),
  );
  const texts = events.flatMap((event) =>
    event.kind === 'text' ? [[event.choice, event.text]] : [],
  );
  assert.deepEqual(texts, [
    [2, 'c'],
    [0, 'a'],
    [1, 'b'],
  ]);
  assert.deepEqual(reasons, ['stop', 'length', 'stop']);
});

test('one choice of three that does not end leaves the answer without an end', async () => {
  fake.script = async (exchange) => {
    exchange.begin();
    await exchange.chunk(finish('stop', 0));
    await exchange.chunk(finish('stop', 2));
    await exchange.done();
  };
  const { error } = await outcomeOf(over, chat({ choices: 3 }));
  assert.equal(error, 'engine.upstream unfinished');
});

test('half of a pair of surrogates is not passed on', async () => {
  const { text } = await said([delta({ content: 'a\ud83d' }), finish('stop')]);
  assert.equal(text, 'a\uFFFD');
});

function callsOf({ events }: Outcome): readonly (readonly unknown[])[] {
  const kinds = (event: EngineEvent): readonly unknown[][] => {
    if (event.kind === 'call') return [['call', event.index, event.name]];
    return event.kind === 'arguments' ? [['arguments', event.index, event.text]] : [];
  };
  return events.flatMap(kinds);
}

const call = (more: object): object => delta({ tool_calls: [more] });

test('calls are numbered from zero, under ids of our own, whatever the upstream calls them', async () => {
  const outcome = await said([
    call({ index: 3, id: 17, function: { name: 'one', arguments: '{"a"' } }),
    call({ index: 3, id: 17, function: { arguments: ':1}' } }),
    call({ index: 9, id: 17, function: { name: 'two', arguments: {} } }),
    finish('stop'),
  ]);
  assert.deepEqual(callsOf(outcome), [
    ['call', 0, 'one'],
    ['arguments', 0, '{"a"'],
    ['arguments', 0, ':1}'],
    ['call', 1, 'two'],
    ['arguments', 1, '{}'],
  ]);
  const ids = outcome.events.flatMap((event) => (event.kind === 'call' ? [event.id] : []));
  assert.equal(new Set(ids).size, 2);
  for (const id of ids) assert.match(id, /^call_[0-9a-f]+$/);
  assert.deepEqual(outcome.reasons, ['tool_calls']);
});

test('calls without numbers begin with their names', async () => {
  const outcome = await said([
    call({ function: { name: 'one', arguments: '{}' } }),
    call({ function: { name: 'two', arguments: '{' } }),
    call({ function: { arguments: '}' } }),
    finish('tool_calls'),
  ]);
  assert.deepEqual(callsOf(outcome), [
    ['call', 0, 'one'],
    ['arguments', 0, '{}'],
    ['call', 1, 'two'],
    ['arguments', 1, '{'],
    ['arguments', 1, '}'],
  ]);
});

test('a call that the bound on the answer has cut is not one of the whole ones', async () => {
  const { events } = await said([
    call({ index: 0, function: { name: 'one', arguments: '{}' } }),
    call({ index: 1, function: { name: 'two', arguments: '{"a":' } }),
    finish('length'),
  ]);
  const end = events.find((event) => event.kind === 'choice-end');
  assert.equal(end?.wholeCalls, 1);
});

test('probabilities have the bytes of their tokens, and none is above one', async () => {
  const chance = (token: string, logprob: number, bytes: readonly number[] | null): object => ({
    token,
    logprob,
    bytes,
  });
  const { events } = await said(
    [
      {
        index: 0,
        delta: { content: 'é' },
        logprobs: {
          content: [
            { ...chance('\uFFFD', -0.5, [0xc3]), top_logprobs: [chance('a', -1, null)] },
            { ...chance('\uFFFD', 0.001, [0xa9]), top_logprobs: null },
          ],
        },
      },
      finish('stop'),
    ],
    chat({ topLogprobs: 1 }),
  );
  const text = events.find((event) => event.kind === 'text');
  assert.deepEqual(text?.tokens, [
    {
      bytes: Uint8Array.of(0xc3),
      logprob: -0.5,
      top: [{ bytes: Uint8Array.of(0x61), logprob: -1 }],
    },
    { bytes: Uint8Array.of(0xa9), logprob: 0, top: [] },
  ]);
});

test('a stream that ends without its mark is whole when every choice has ended', async () => {
  fake.script = async (exchange) => {
    exchange.begin();
    await exchange.chunk(delta({ content: 'x' }));
    await exchange.chunk(finish('stop'));
    await exchange.event(COUNTED);
    exchange.res.end();
  };
  const { error, text } = await outcomeOf(over);
  assert.deepEqual([error, text], [undefined, 'x']);
});

test('what comes behind the mark of the end is not heard', async () => {
  fake.script = async (exchange) => {
    exchange.begin();
    await exchange.chunk(delta({ content: 'x' }));
    await exchange.chunk(finish('stop'), { usage: COUNTED.usage });
    await exchange.write('data: [DONE]\n\n');
    await exchange.chunk(delta({ content: 'more' }));
    await exchange.write('data: not even JSON\n\n');
    exchange.res.end();
  };
  const { error, text } = await outcomeOf(over);
  assert.deepEqual([error, text], [undefined, 'x']);
});
