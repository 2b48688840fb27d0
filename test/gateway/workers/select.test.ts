/** The choice among sealed recipients: load, turns, and doors that close. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newLoad, noteChosen, noteDone, selectOrder } from '../../../gateway/workers/select.ts';

const worker = (name: string, maxConcurrent = 4) => ({
  name,
  load: newLoad(),
  key: { limits: { maxConcurrent } },
});

test('the one with the smaller share of its capacity goes first', () => {
  const [small, large] = [worker('small', 2), worker('large', 8)];
  noteChosen(small.load);
  noteChosen(large.load);
  assert.equal(selectOrder([small, large], 0)[0], large);
});

test('equals take turns', () => {
  const all = [worker('a'), worker('b'), worker('c')];
  const names = Array.from({ length: 6 }, () => {
    const [first] = selectOrder(all, 0);
    assert.ok(first !== undefined);
    noteChosen(first.load);
    noteDone(first.load, 'good', 0);
    return first.name;
  });
  assert.deepEqual(names, ['a', 'b', 'c', 'a', 'b', 'c']);
});

test('a worker that is full or just said busy comes after the others', () => {
  const [full, busy, free] = [worker('full', 1), worker('busy'), worker('free', 1)];
  noteChosen(full.load);
  noteChosen(busy.load);
  noteDone(busy.load, 'busy', 0);
  assert.equal(selectOrder([full, busy, free], 1)[0], free);
});

test('a worker that fails at once gets under 1 % of the traffic of ten seconds', () => {
  const all = [worker('hole', 1000), worker('good', 4)];
  const asked = { hole: 0, good: 0 };
  for (let nowMs = 0; nowMs < 10_000; nowMs += 5) {
    for (const choice of selectOrder(all, nowMs)) {
      noteChosen(choice.load);
      const isHole = choice.name === 'hole';
      asked[isHole ? 'hole' : 'good']++;
      noteDone(choice.load, isHole ? 'failed' : 'good', nowMs);
      if (!isHole) break;
    }
  }
  assert.ok(asked.hole < 20, `${asked.hole} of ${asked.good}`);
});

test('after its pause a suspect gets one request, and one answer clears it', () => {
  const [suspect, good] = [worker('suspect'), worker('good')];
  for (let i = 0; i < 3; i++) {
    noteChosen(suspect.load);
    noteDone(suspect.load, 'failed', 0);
  }
  assert.deepEqual(selectOrder([suspect, good], 999), [good]);
  assert.equal(selectOrder([suspect, good], 1000)[0], suspect);
  noteChosen(suspect.load);
  assert.equal(selectOrder([suspect, good], 1001)[0], good);
  noteDone(suspect.load, 'good', 1002);
  assert.equal(suspect.load.failures, 0);
});

test('when every door is closed the one that opens first is tried', () => {
  const [first, second] = [worker('first'), worker('second')];
  first.load.openUntilMs = 100;
  second.load.openUntilMs = 50;
  assert.equal(selectOrder([first, second], 0)[0], second);
});
