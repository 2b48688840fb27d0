/** C7. Attack: frames of one answer are put into another of the same worker. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat } from '../../core/bytes.ts';
import {
  appOf,
  assertError,
  MODES,
  onFrames,
  splitAnswer,
  WHOLE,
  type Frame,
} from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

for (const mode of MODES) {
  test(`no frame of an earlier answer fits into a later one (${mode})`, async () => {
    const gateway = await memoryGateway();
    const ask = appOf(gateway);
    let earlier: readonly Frame[] = [];
    gateway.mischief.answer = (pieces) => {
      earlier = splitAnswer(concat(...pieces)).frames;
      return pieces;
    };
    assert.deepEqual(await ask(mode), WHOLE);
    for (let at = 0; at < earlier.length; at++) {
      gateway.mischief.answer = onFrames((frames) =>
        frames.map((frame, i) => (i === at ? (earlier[at] ?? frame) : frame)),
      );
      assertError(await ask(mode), ['answer_broken', 'sx.response', 'sx.receipt']);
    }
  });
}
