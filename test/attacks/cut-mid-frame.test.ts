/** C6. Attack: the answer ends inside a frame, at any byte. @module */

import { test } from 'node:test';
import { concat } from '../../core/bytes.ts';
import { appOf, assertError, MODES } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

const CUTS = 40;

for (const mode of MODES) {
  test(`a cut inside a frame is an error and never a shorter answer (${mode})`, async () => {
    const gateway = await memoryGateway();
    const ask = appOf(gateway);
    for (let cut = 1; cut <= CUTS; cut++) {
      gateway.mischief.answer = (pieces) => {
        const whole = concat(...pieces);
        return [whole.subarray(0, Math.floor((whole.length * cut) / (CUTS + 1)))];
      };
      assertError(await ask(mode), ['answer_broken', 'sx.truncated']);
    }
  });
}
