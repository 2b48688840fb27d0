/** The queue of writes of a payer's count: one at a time, whenever somebody asks. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SaveQueue } from '../../client/pay/pay-memory.ts';

/** Of the microtask queue: more than lie between the end of one write and the begin of the next. */
const TURNS = 16;

for (const turns of Array.from({ length: TURNS }, (_, index) => index)) {
  test(`whoever asks ${turns} turns after a write has ended starts none beside the next`, async () => {
    let current = 0;
    let writing = 0;
    const ends: (() => void)[] = [];
    const written: number[] = [];
    const queue = new SaveQueue(
      {
        load: () => Promise.resolve(undefined),
        save: async ([state = 0]) => {
          assert.equal(++writing, 1, 'one call at a time');
          await new Promise<void>((resolve) => ends.push(resolve));
          writing--;
          written.push(state);
        },
      },
      () => Uint8Array.of(current),
    );
    const saves = [queue.save(), queue.save()];
    current = 1;
    ends.shift()?.();
    for (let turn = 0; turn < turns; turn++) await Promise.resolve();
    current = 2;
    saves.push(queue.save());
    const all = Promise.all(saves);
    // Each write waits for its end; there are three at most.
    for (let turn = 0; turn < 3 * TURNS; turn++) {
      ends.shift()?.();
      await Promise.resolve();
    }
    await all;
    assert.equal(written.at(-1), 2, 'what was asked for last is what is written last');
  });
}
