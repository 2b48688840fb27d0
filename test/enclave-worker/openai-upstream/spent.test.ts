/** What an answer costs: what the upstream counts, and never more than can be. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Spent, type SpentBounds } from '../../../enclave-worker/engines/openai-upstream/spent.ts';

function spent(more: Partial<SpentBounds> = {}): {
  readonly of: Spent;
  readonly problems: string[];
} {
  const problems: string[] = [];
  const of = new Spent({
    promptMax: 100,
    promptCounted: undefined,
    outputMax: 1000,
    usageOf: 'answer',
    cache: 'none',
    onProblem: (problem) => void problems.push(problem),
    ...more,
  });
  return { of, problems };
}

test('counts that can be are taken as they are', () => {
  const { of, problems } = spent();
  of.delivered(0, 'text', 40);
  of.report({ prompt_tokens: 12, completion_tokens: 10 }, 'end');
  of.end();
  assert.deepEqual(of.usage(), { prompt: 12, cached: 0, completion: 10, reasoning: 0 });
  assert.deepEqual(problems, []);
});

test('no more tokens than bytes, but for the few that leave none', () => {
  const { of, problems } = spent();
  of.delivered(0, 'text', 3);
  of.report({ prompt_tokens: 12, completion_tokens: 900 }, 'end');
  of.end();
  assert.equal(of.usage().completion, 3 + 64);
  assert.deepEqual(problems, ['usage-absurd']);
});

test('each choice and each call may have some of those', () => {
  const { of } = spent();
  for (const choice of [0, 1]) of.delivered(choice, 'text', 1);
  of.called();
  of.report({ prompt_tokens: 12, completion_tokens: 900 }, 'end');
  assert.equal(of.usage().completion, 2 + 3 * 64);
});

test('no more than was asked for, and no prompt longer than it can be', () => {
  const { of, problems } = spent({ outputMax: 20 });
  of.delivered(0, 'text', 5000);
  of.report({ prompt_tokens: 101, completion_tokens: 21 }, 'end');
  assert.deepEqual(of.usage(), { prompt: 100, cached: 0, completion: 20, reasoning: 0 });
  assert.deepEqual(problems, ['usage-absurd']);
});

for (const absurd of [-1, 1.5, Number.MAX_SAFE_INTEGER + 1, '7', [], Number.NaN]) {
  test(`${JSON.stringify(absurd)} tokens are none`, () => {
    const { of, problems } = spent({ promptCounted: 9 });
    of.delivered(0, 'text', 40);
    of.report({ prompt_tokens: absurd, completion_tokens: absurd }, 'end');
    of.end();
    assert.deepEqual(of.usage(), { prompt: 9, cached: 0, completion: 1, reasoning: 0 });
    assert.deepEqual(problems, ['usage-absurd', 'usage-missing']);
  });
}

test('what was counted once stays', () => {
  const { of, problems } = spent();
  of.delivered(0, 'text', 40);
  of.report({ prompt_tokens: 12, completion_tokens: 10 }, 'piece');
  of.report({ prompt_tokens: 11, completion_tokens: 4 }, 'end');
  assert.deepEqual(of.usage(), { prompt: 12, cached: 0, completion: 10, reasoning: 0 });
  assert.deepEqual(problems, ['usage-decreasing']);
});

test('without any count the pieces stand for it, and the prompt as its tokenizer counted it', () => {
  const { of, problems } = spent({ promptCounted: 9 });
  for (let at = 0; at < 3; at++) of.delivered(0, 'text', 10);
  of.end();
  assert.deepEqual(of.usage(), { prompt: 9, cached: 0, completion: 3, reasoning: 0 });
  assert.deepEqual(problems, ['usage-missing']);
});

test('until the count comes, pieces are counted', () => {
  const { of } = spent();
  for (let at = 0; at < 3; at++) of.delivered(0, 'text', 10);
  assert.equal(of.usage().completion, 3);
  of.report({ prompt_tokens: 12, completion_tokens: 8 }, 'end');
  assert.equal(of.usage().completion, 8);
});

test('reasoning that is told apart is billed apart, each by its own bytes', () => {
  const { of } = spent();
  of.delivered(0, 'reasoning', 30);
  of.delivered(0, 'text', 2);
  const details = { completion_tokens_details: { reasoning_tokens: 20 } };
  of.report({ prompt_tokens: 12, completion_tokens: 25, ...details }, 'end');
  assert.deepEqual(of.usage(), { prompt: 12, cached: 0, completion: 5, reasoning: 20 });
});

test('reasoning that nobody has seen is not billed beyond the few tokens without bytes', () => {
  const { of, problems } = spent();
  of.delivered(0, 'text', 2);
  const details = { completion_tokens_details: { reasoning_tokens: 800 } };
  of.report({ prompt_tokens: 12, completion_tokens: 802, ...details }, 'end');
  of.end();
  assert.deepEqual(of.usage(), { prompt: 12, cached: 0, completion: 2, reasoning: 0 });
  assert.deepEqual(problems, ['usage-absurd']);
});

test('where reasoning is not counted apart, its pieces say how much of it there was', () => {
  const { of } = spent();
  for (let at = 0; at < 6; at++) of.delivered(0, 'reasoning', 10);
  for (let at = 0; at < 2; at++) of.delivered(0, 'text', 10);
  of.report({ prompt_tokens: 12, completion_tokens: 16 }, 'end');
  assert.deepEqual(of.usage(), { prompt: 12, cached: 0, completion: 4, reasoning: 12 });
});

test("what was found in a cache is told only where it is this tenant's own", () => {
  const usage = {
    prompt_tokens: 12,
    completion_tokens: 1,
    prompt_tokens_details: { cached_tokens: 8 },
  };
  const shared = spent();
  shared.of.report(usage, 'end');
  assert.deepEqual([shared.of.usage().prompt, shared.of.usage().cached], [12, 0]);
  const own = spent({ cache: 'own' });
  own.of.report(usage, 'end');
  assert.deepEqual([own.of.usage().prompt, own.of.usage().cached], [4, 8]);
});

test('more cached than there was is all of it', () => {
  const { of } = spent({ cache: 'own' });
  const details = { prompt_tokens_details: { cached_tokens: 800 } };
  of.report({ prompt_tokens: 12, completion_tokens: 1, ...details }, 'end');
  assert.deepEqual([of.usage().prompt, of.usage().cached], [0, 12]);
});

test('choices that are counted each for itself are added, once', () => {
  const { of, problems } = spent({ usageOf: 'choice' });
  for (const choice of [0, 1]) of.delivered(choice, 'text', 40);
  for (const count of [1, 2, 3]) {
    of.report({ completion_tokens: count }, 'piece', 0);
    of.report({ completion_tokens: count + 1 }, 'piece', 1);
  }
  // The end of each choice, without its number.
  of.report({ prompt_tokens: 12, completion_tokens: 3 }, 'end');
  of.report({ prompt_tokens: 12, completion_tokens: 4 }, 'end');
  of.end();
  assert.deepEqual(of.usage(), { prompt: 12, cached: 0, completion: 7, reasoning: 0 });
  assert.deepEqual(problems, []);
});

test('choices that are counted at their ends alone are added', () => {
  const { of } = spent({ usageOf: 'choice' });
  for (const choice of [0, 1]) of.delivered(choice, 'text', 40);
  of.report({ prompt_tokens: 12, completion_tokens: 3 }, 'end');
  of.report({ prompt_tokens: 12, completion_tokens: 4 }, 'end');
  assert.equal(of.usage().completion, 7);
});
