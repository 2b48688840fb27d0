/** C7. Attack: frames arrive in another order. @module */

import { test } from 'node:test';
import { appOf, assertError, MODES, onFrames, type Frame } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

function exchanged(frames: readonly Frame[], at: number): readonly Frame[] {
  return frames.map((frame, i) => {
    if (i === at) return frames[at + 1] ?? frame;
    return i === at + 1 ? (frames[at] ?? frame) : frame;
  });
}

for (const mode of MODES) {
  test(`two neighbouring frames exchanged are noticed, wherever they stand (${mode})`, async () => {
    const gateway = await memoryGateway();
    const ask = appOf(gateway);
    const count = mode === 'stream' ? 8 : 4;
    for (let at = 0; at + 1 < count; at++) {
      gateway.mischief.answer = onFrames((frames) => exchanged(frames, at));
      assertError(await ask(mode), [
        'answer_broken',
        'sx.response',
        'sx.trailing',
        'sx.receipt',
        'sx.receipt_missing',
      ]);
    }
  });
}
