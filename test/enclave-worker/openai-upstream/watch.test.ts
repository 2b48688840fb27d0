/** What hangs is ended: so long until the first sign of life, so long between two. @module */

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { watch } from '../../../enclave-worker/engines/openai-upstream/watch.ts';

interface Watched {
  readonly heard: () => void;
  readonly stop: () => void;
  late: number;
  excused: boolean;
}

function watched(context: TestContext): Watched {
  context.mock.timers.enable({ apis: ['setInterval'] });
  const state: Watched = {
    late: 0,
    excused: false,
    heard: () => started.heard(),
    stop: () => started.stop(),
  };
  const started = watch({
    firstMs: 1000,
    nextMs: 100,
    isExcused: () => state.excused,
    onLate: () => void state.late++,
  });
  return state;
}

test('the first piece may take longer than the others', (context) => {
  const state = watched(context);
  context.mock.timers.tick(999);
  assert.equal(state.late, 0);
  context.mock.timers.tick(1);
  assert.equal(state.late, 1);
});

test('each piece begins the wait anew', (context) => {
  const state = watched(context);
  state.heard();
  for (let at = 0; at < 10; at++) {
    context.mock.timers.tick(99);
    state.heard();
  }
  assert.equal(state.late, 0);
  context.mock.timers.tick(100);
  assert.equal(state.late, 1);
});

test('a reader that is slow is no fault of the upstream', (context) => {
  const state = watched(context);
  state.heard();
  state.excused = true;
  context.mock.timers.tick(1000);
  assert.equal(state.late, 0);
  state.excused = false;
  context.mock.timers.tick(100);
  assert.equal(state.late, 1);
});

test('what is over is not watched', (context) => {
  const state = watched(context);
  state.stop();
  context.mock.timers.tick(5000);
  assert.equal(state.late, 0);
});
