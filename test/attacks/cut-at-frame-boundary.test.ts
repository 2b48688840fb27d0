/** C6. Attack: the answer ends after a whole frame, before its last one. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat } from '../../core/bytes.ts';
import { appOf, assertError, MODES, onFrames, splitAnswer, WHOLE } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

for (const mode of MODES) {
  test(`every cut between two frames is an error and never a shorter answer (${mode})`, async () => {
    const gateway = await memoryGateway();
    const ask = appOf(gateway);
    let count = 0;
    gateway.mischief.answer = (pieces) => {
      count = splitAnswer(concat(...pieces)).frames.length;
      return pieces;
    };
    assert.deepEqual(await ask(mode), WHOLE);
    for (let keep = 0; keep < count; keep++) {
      gateway.mischief.answer = onFrames((frames) => frames.slice(0, keep));
      assertError(await ask(mode), ['answer_broken', 'sx.truncated']);
    }
  });
}
