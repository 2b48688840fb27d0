/** C7. Attack: a frame arrives twice. @module */

import { test } from 'node:test';
import { appOf, assertError, MODES, onFrames } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

for (const mode of MODES) {
  test(`a doubled frame is noticed, whichever it is (${mode})`, async () => {
    const gateway = await memoryGateway();
    const ask = appOf(gateway);
    const count = mode === 'stream' ? 8 : 4;
    for (let at = 0; at < count; at++) {
      gateway.mischief.answer = onFrames((frames) =>
        frames.flatMap((frame, i) => (i === at ? [frame, frame] : [frame])),
      );
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
