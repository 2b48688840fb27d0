/** C8. Attack: the gateway's own error frame stands where the rest of the answer should be. @module */

import { test } from 'node:test';
import { gatewayErrorFrame } from '../../protocol/sx/clear.ts';
import { appOf, assertError, MODES, onFrames } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

for (const mode of MODES) {
  for (const keep of [0, 1, 2]) {
    test(`an error frame after ${keep} frames is an error of the gateway (${mode})`, async () => {
      const gateway = await memoryGateway();
      gateway.mischief.answer = onFrames((frames) => [
        ...frames.slice(0, keep),
        { type: 0x1f, bytes: gatewayErrorFrame('sx.truncated') },
      ]);
      // After the head it has cut an answer that ran: nothing that an SDK would repeat.
      const codes = keep === 0 ? ['worker_failed'] : ['answer_broken', 'sx.truncated'];
      assertError(await appOf(gateway)(mode), codes);
    });
  }
}
