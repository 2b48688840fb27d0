/** C6. Attack: everything the model said is there, only the end mark is not. SDKs would take it for a whole answer. @module */

import { test } from 'node:test';
import { concat } from '../../core/bytes.ts';
import { appOf, assertError, MODES, onFrames } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

const FINAL = 0x01;
const RECEIPT = 0x10;

for (const mode of MODES) {
  test(`without FINAL and receipt the app gets an error (${mode})`, async () => {
    const gateway = await memoryGateway();
    gateway.mischief.answer = onFrames((frames) =>
      frames.filter(({ type }) => type !== FINAL && type !== RECEIPT),
    );
    assertError(await appOf(gateway)(mode), ['answer_broken', 'sx.truncated']);
  });

  test(`without FINAL alone the app gets an error (${mode})`, async () => {
    const gateway = await memoryGateway();
    gateway.mischief.answer = onFrames((frames) => frames.filter(({ type }) => type !== FINAL));
    assertError(await appOf(gateway)(mode), ['answer_broken', 'sx.truncated']);
  });
}

function withByteAfterFinal(pieces: readonly Uint8Array[]): readonly Uint8Array[] {
  return [...pieces.slice(0, -1), concat(pieces.at(-1) ?? Uint8Array.of(), Uint8Array.of(0))];
}

for (const mode of MODES) {
  test(`a byte after FINAL is an error (${mode})`, async () => {
    const gateway = await memoryGateway();
    gateway.mischief.answer = withByteAfterFinal;
    assertError(await appOf(gateway)(mode), ['answer_broken', 'sx.truncated', 'sx.trailing']);
  });
}
