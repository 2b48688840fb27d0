/** C10. Attack: the receipt is altered, replaced, doubled or left out. @module */

import { test } from 'node:test';
import { appOf, assertError, MODES, onFrames } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

const RECEIPT = 0x10;
const HEADER_BYTES = 4;
const RECEIPT_BYTES = 445;
const REFUSALS = ['answer_broken', 'sx.receipt', 'sx.receipt_missing', 'sx.response'];

for (const mode of MODES) {
  test(`an answer without its receipt is an error (${mode})`, async () => {
    const gateway = await memoryGateway();
    gateway.mischief.answer = onFrames((frames) => frames.filter(({ type }) => type !== RECEIPT));
    assertError(await appOf(gateway)(mode), REFUSALS);
  });

  test(`two receipts are an error (${mode})`, async () => {
    const gateway = await memoryGateway();
    gateway.mischief.answer = onFrames((frames) =>
      frames.flatMap((frame) => (frame.type === RECEIPT ? [frame, frame] : [frame])),
    );
    assertError(await appOf(gateway)(mode), REFUSALS);
  });
}

test('no byte of the receipt can be changed', async () => {
  const gateway = await memoryGateway();
  const ask = appOf(gateway);
  for (let at = 0; at < RECEIPT_BYTES; at++) {
    gateway.mischief.answer = onFrames((frames) =>
      frames.map((frame) => {
        if (frame.type !== RECEIPT) return frame;
        const bytes = frame.bytes.slice();
        bytes[HEADER_BYTES + at] = (bytes[HEADER_BYTES + at] ?? 0) ^ 1;
        return { ...frame, bytes };
      }),
    );
    assertError(await ask('unary'), REFUSALS);
  }
});
