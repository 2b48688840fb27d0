/** How many tokens the texts of an answer can be at most, however they arrive. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../core/bytes.ts';
import {
  SPECIAL_TOKENS_PER_CHOICE,
  SPECIAL_TOKENS_PER_TOOL_CALL,
  TALLY_SPAN_CHARS,
  UNSEEN_TOKENS_MAX,
} from '../../client/limits.ts';
import { exceeds, meterExceeds, Recount, type RecountInput } from '../../client/pay/recount.ts';
import { TEST_PRICES } from '../support/attested-key.ts';

const BODY = utf8('{"model":"m"}');
const STREAM = 'text/event-stream; charset=utf-8';

function completion(
  type: string,
  pieces: readonly string[],
  input: Partial<RecountInput> = {},
): number {
  const recount = new Recount({ body: BODY, choices: 1, ...input });
  recount.head(type);
  for (const piece of pieces) recount.push(utf8(piece));
  return recount.bounds().completion;
}

function event(delta: object, index = 0): string {
  return `data: ${JSON.stringify({ choices: [{ index, delta }] })}\n\n`;
}

function answer(message: object, index = 0): string {
  return JSON.stringify({ choices: [{ index, message }], usage: { completion_tokens: 9 } });
}

test('every byte of the visible text may be a token, and no byte of what is around it', () => {
  assert.equal(
    completion('application/json', [answer({ content: 'héllo' })]),
    6 + SPECIAL_TOKENS_PER_CHOICE,
  );
  const stream = [
    event({ role: 'assistant' }),
    event({ content: 'hé' }),
    event({ content: 'llo' }),
  ];
  assert.equal(completion(STREAM, [...stream, 'data: [DONE]\n\n']), 6 + SPECIAL_TOKENS_PER_CHOICE);
});

test('a stream counts the same in whatever pieces it arrives', () => {
  const whole = `: ping\n\n${event({ content: 'héllo' })}data:${event({ content: 'ab' }).slice(5)}`;
  const bytes = utf8(whole.replaceAll('\n\n', '\r\n\r\n'));
  for (const size of [1, 2, 7, 1000]) {
    const recount = new Recount({ body: BODY, choices: 1 });
    recount.head(STREAM);
    for (let at = 0; at < bytes.length; at += size) recount.push(bytes.subarray(at, at + size));
    assert.equal(recount.bounds().completion, 8 + SPECIAL_TOKENS_PER_CHOICE);
  }
});

test('choices that nobody asked for cost no memory, and their text counts', () => {
  let counted: string[] = [];
  const recount = new Recount({
    body: BODY,
    choices: 2,
    countTokens: (text) => {
      counted.push(text);
      return text.length;
    },
  });
  recount.head(STREAM);
  for (const index of [0, 1, 2, 0.5, -1, 1e300]) {
    recount.push(utf8(event({ content: 'x' }, index)));
  }
  recount.soFar();
  assert.deepEqual(counted.slice(0, 2), ['xxxxx', 'x']);
  counted = [];
  recount.bounds();
  assert.deepEqual(counted.slice(0, 2), ['xxxxx', 'x']);
});

test('refusals, reasoning that is shown and calls of tools are visible too', () => {
  const message = {
    content: null,
    refusal: 'no',
    reasoning_content: 'why',
    tool_calls: [{ function: { name: 'f', arguments: '{}' } }],
  };
  assert.equal(
    completion('application/json', [answer(message)]),
    2 + 3 + 1 + 2 + SPECIAL_TOKENS_PER_CHOICE + SPECIAL_TOKENS_PER_TOOL_CALL,
  );
});

test('the allowance is for the choices that were asked for, not for those that are made up', () => {
  const pieces = Array.from({ length: 50 }, (_, index) => event({ content: 'x' }, index));
  assert.equal(completion(STREAM, pieces, { choices: 2 }), 50 + 2 * SPECIAL_TOKENS_PER_CHOICE);
});

const TOOLS = { model: 'm', tools: [{ type: 'function', function: { name: 'f' } }] };

for (const [surface, cut] of [
  [
    'chat',
    {
      choices: [{ index: 0, message: { content: null, tool_calls: [] }, finish_reason: 'length' }],
    },
  ],
  ['responses', { object: 'response', status: 'incomplete', output: [] }],
  ['messages', { type: 'message', stop_reason: 'max_tokens', content: [] }],
] as const) {
  const usage = { prompt: 1, cached: 0, completion: 4096, reasoning: 0 };
  const boundsOf = (asked: object, said: object): ReturnType<Recount['bounds']> => {
    const recount = new Recount({ body: utf8(JSON.stringify(asked)), choices: 1 });
    recount.head('application/json');
    recount.push(utf8(JSON.stringify(said)));
    return recount.bounds();
  };

  test(`a call that the bound cut, and ${surface} leaves out, is no padded bill`, () => {
    assert.equal(exceeds(usage, boundsOf(TOOLS, cut)), false);
  });

  test(`an answer of ${surface} that says nothing and is cut is one without tools`, () => {
    assert.equal(exceeds(usage, boundsOf({ model: 'm' }, cut)), true);
  });
}

test('tools may be written into the prompt once more, with an indent', () => {
  const body = utf8(JSON.stringify(TOOLS));
  const countTokens = (text: string): number => text.length;
  const recount = new Recount({ body, choices: 1, countTokens });
  const plain = new Recount({ body: BODY, choices: 1, countTokens });
  const indented = JSON.stringify(TOOLS.tools[0], undefined, 4).length;
  const tokens = (bytes: number): number => Math.ceil(bytes * 1.02);
  assert.equal(
    recount.bounds().prompt - tokens(body.length) - tokens(indented),
    plain.bounds().prompt - tokens(BODY.length),
  );
});

test('a call that a stop string cut is left out too, and no other', () => {
  const said = answer({ content: null });
  const stopped = utf8(JSON.stringify({ ...TOOLS, stop: ['}'] }));
  assert.equal(completion('application/json', [said], { body: stopped }), UNSEEN_TOKENS_MAX);
  const body = utf8(JSON.stringify(TOOLS));
  assert.equal(completion('application/json', [said], { body }), SPECIAL_TOKENS_PER_CHOICE);
  // A stream says what was written as it is written.
  assert.ok(completion(STREAM, [event({ content: 'x' })], { body: stopped }) < UNSEEN_TOKENS_MAX);
});

test('of a stop string that is cut away each byte may have been a token', () => {
  const long = 'ж'.repeat(100);
  for (const asked of [{ stop: ['a', long] }, { stop: long }, { stop_sequences: [long, 'a'] }]) {
    const body = utf8(JSON.stringify({ model: 'm', ...asked }));
    assert.equal(
      completion('application/json', [answer({ content: 'ok' })], { body }),
      2 + 200 + SPECIAL_TOKENS_PER_CHOICE,
    );
  }
});

test('what cannot be read counts byte by byte', () => {
  assert.equal(completion('text/plain', ['four']), 4 + SPECIAL_TOKENS_PER_CHOICE);
  assert.equal(completion(STREAM, ['data: {{{\n']), 3 + SPECIAL_TOKENS_PER_CHOICE);
  assert.equal(completion('application/json', []), SPECIAL_TOKENS_PER_CHOICE);
});

test('a tokenizer of the app sees each text whole, and the body', () => {
  const seen: string[] = [];
  const countTokens = (text: string): number => {
    seen.push(text);
    return 100;
  };
  const recount = new Recount({ body: BODY, choices: 2, countTokens });
  recount.head(STREAM);
  for (const piece of [
    event({ content: 'a' }),
    event({ content: 'x' }, 1),
    event({ content: 'b' }),
  ]) {
    recount.push(utf8(piece));
  }
  const { completion: most, prompt } = recount.bounds();
  assert.deepEqual(seen, ['ab', 'x', '{"model":"m"}']);
  assert.equal(most, 2 * 102 + 2 * SPECIAL_TOKENS_PER_CHOICE);
  assert.equal(prompt, 102 + 512);
});

test('prompt and cached tokens are held together, reasoning to nothing', () => {
  const bounds = { prompt: 10, completion: 5 };
  const usage = { prompt: 6, cached: 4, completion: 5, reasoning: 1_000_000 };
  assert.equal(exceeds(usage, bounds), false);
  assert.equal(exceeds({ ...usage, cached: 5 }, bounds), true);
  assert.equal(exceeds({ ...usage, completion: 6 }, bounds), true);
});

test('a look while the answer runs counts the events that are whole, and changes nothing at the end', () => {
  const recount = new Recount({ body: BODY, choices: 1 });
  recount.head(STREAM);
  const whole = event({ content: 'héllo' });
  assert.equal(recount.soFar().completion, SPECIAL_TOKENS_PER_CHOICE);
  recount.push(utf8(whole));
  recount.push(utf8(whole.slice(0, -3)));
  assert.equal(recount.soFar().completion, 6 + SPECIAL_TOKENS_PER_CHOICE);
  assert.equal(recount.soFar().completion, 6 + SPECIAL_TOKENS_PER_CHOICE);
  recount.push(utf8(whole.slice(-3)));
  assert.equal(recount.soFar().completion, 12 + SPECIAL_TOKENS_PER_CHOICE);
  assert.equal(recount.bounds().completion, 12 + SPECIAL_TOKENS_PER_CHOICE);
});

test('looks at a long answer cost its length once, not at each look, and count what the end counts', () => {
  let read = 0;
  const countTokens = (text: string): number => {
    read += text.length;
    return Math.ceil(text.length / 4);
  };
  const recount = new Recount({ body: BODY, choices: 1, countTokens });
  recount.head(STREAM);
  const looks = 500;
  let completion = 0;
  for (let at = 0; at < looks; at++) {
    recount.push(utf8(event({ content: 'x'.repeat(200) })));
    ({ completion } = recount.soFar());
  }
  const length = looks * 200;
  assert.ok(read <= looks * TALLY_SPAN_CHARS, `${read} characters for ${length}`);
  const spans = Math.ceil(length / TALLY_SPAN_CHARS);
  const atEnd = recount.bounds().completion;
  assert.ok(completion >= atEnd && completion <= atEnd + 2 * spans, `${completion} and ${atEnd}`);
});

test('a METER is held to the tokens and to the price of what could have been read', () => {
  const bounds = { prompt: 10, completion: 5 };
  const most = 1000n + 2n * 10n + 8n * 5n;
  assert.equal(meterExceeds({ completion: 5, amount: most }, bounds, TEST_PRICES), false);
  assert.equal(meterExceeds({ completion: 6, amount: most }, bounds, TEST_PRICES), true);
  assert.equal(meterExceeds({ completion: 5, amount: most + 1n }, bounds, TEST_PRICES), true);
  assert.equal(meterExceeds({ completion: 4, amount: most }, bounds, TEST_PRICES), true);
});
