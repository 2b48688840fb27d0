/** What is written behind a step: everything, in order, in many turns of the event loop. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Notices } from '../../../gateway/policy/notices.ts';

test('everything is written in the order in which it was added, and not in the turn that adds it', async () => {
  const notices = new Notices();
  const written: number[] = [];
  for (let i = 0; i < 100; i++) notices.add(() => void written.push(i));
  const first = notices.written();
  assert.equal(written.length, 0);
  for (let i = 100; i < 200; i++) notices.add(() => void written.push(i));
  await Promise.all([first, notices.written()]);
  assert.deepEqual(
    written,
    Array.from({ length: 200 }, (_, i) => i),
  );
});

test('between the turns others have theirs', async () => {
  const notices = new Notices();
  let written = 0;
  for (let i = 0; i < 1000; i++) notices.add(() => void written++);
  const ended = new AbortController();
  const all = notices.written().finally(() => ended.abort());
  let most = 0;
  while (!ended.signal.aborted) {
    const before = written;
    await nextTurn();
    most = Math.max(most, written - before);
  }
  await all;
  assert.equal(written, 1000);
  assert.ok(most <= 64, `${most} in one turn`);
});

test('what is added when everything is written starts anew', async () => {
  const notices = new Notices();
  await notices.written();
  let isWritten = false;
  notices.add(() => {
    isWritten = true;
  });
  await notices.written();
  assert.ok(isWritten);
});
