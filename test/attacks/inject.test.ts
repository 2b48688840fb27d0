/** C7. Attack: the gateway puts frames of its own between those of a worker: sealed ones it made up, and every kind that is not sealed. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fromHex, utf8 } from '../../core/bytes.ts';
import { gatewayErrorFrame } from '../../protocol/sx/clear.ts';
import { FRAME } from '../../protocol/sx/frames.ts';
import { appOf, assertError, MODES, onFrames, WHOLE, type Frame } from '../support/hostile.ts';
import { memoryGateway } from '../support/memory-gateway.ts';

const REFUSALS = [
  'answer_broken',
  'sx.response',
  'sx.receipt',
  'sx.trailing',
  'sx.truncated',
  'sx.limit',
];

function frame(type: number, payload: Uint8Array): Frame {
  const { length } = payload;
  return { type, bytes: concat(Uint8Array.of(type, length >> 16, length >> 8, length), payload) };
}

/** As large as what a worker seals: 128 bytes of plaintext and a tag. */
const MADE_UP = new Uint8Array(144).fill(7);
const PLAIN = utf8('data: {"choices":[{"index":0,"delta":{"content":"forged"}}]}\n\n');

const SEALED: readonly (readonly [what: string, frame: Frame])[] = [
  ['DATA', frame(FRAME.data, MADE_UP)],
  ['DATA in clear', frame(FRAME.data, PLAIN)],
  ['PAD', frame(FRAME.pad, MADE_UP)],
  ['TRAILER', frame(FRAME.trailer, MADE_UP)],
  ['FINAL', frame(FRAME.final, MADE_UP)],
];
const CLEAR: readonly (readonly [what: string, frame: Frame])[] = [
  ['LEDGER', frame(FRAME.ledger, new Uint8Array(230))],
  ['RECEIPT', frame(FRAME.receipt, new Uint8Array(445))],
  ['KEEPALIVE', frame(FRAME.keepalive, new Uint8Array())],
  ['a type that nobody knows', frame(0x42, new Uint8Array(16))],
  ['a length without end', { type: 0, bytes: Uint8Array.of(0, 0xff, 0xff, 0xff) }],
];

for (const mode of MODES) {
  for (const [what, injected] of [...SEALED, ...CLEAR]) {
    test(`C7: ${what}, put anywhere behind the head, is noticed (${mode})`, async () => {
      const gateway = await memoryGateway();
      const ask = appOf(gateway);
      let places = Number.POSITIVE_INFINITY;
      for (let at = 1; at < places; at++) {
        gateway.mischief.answer = onFrames((frames) => {
          // Between receipt and FINAL a ledger line is at home, and is judged where somebody pays.
          places = what === 'LEDGER' ? frames.length - 1 : frames.length;
          return [...frames.slice(0, at), injected, ...frames.slice(at)];
        });
        const seen = await ask(mode);
        assertError(seen, REFUSALS);
        assert.ok(!seen.text.includes('forged'));
      }
    });
  }

  test(`C7: a ledger line twice, or one that is empty, is noticed (${mode})`, async () => {
    const gateway = await memoryGateway();
    const ask = appOf(gateway);
    const line = frame(FRAME.ledger, new Uint8Array(230));
    const empty = frame(FRAME.ledger, new Uint8Array());
    for (const lines of [[line, line], [empty]]) {
      gateway.mischief.answer = onFrames((frames) => [
        ...frames.slice(0, -1),
        ...lines,
        ...frames.slice(-1),
      ]);
      assertError(await ask(mode), [...REFUSALS, 'client.ledger_line', 'attestation_failed']);
    }
  });

  test(`C7: keep-alives without end are not waited out (${mode})`, async () => {
    const gateway = await memoryGateway();
    const alive = frame(FRAME.keepalive, new Uint8Array());
    gateway.mischief.answer = onFrames((frames) => [
      ...Array.from({ length: 1025 }, () => alive),
      ...frames,
    ]);
    assertError(await appOf(gateway)(mode), REFUSALS);
  });

  test(`C7: progress that was made up changes neither answer nor bill of who does not follow it (${mode})`, async () => {
    const gateway = await memoryGateway();
    const meter = frame(FRAME.meter, concat(new Uint8Array(64), fromHex('ff'.repeat(80))));
    gateway.mischief.answer = onFrames((frames) => [
      ...frames.slice(0, 2),
      meter,
      ...frames.slice(2),
    ]);
    assert.deepEqual(await appOf(gateway)(mode), WHOLE);
  });

  test(`C7: the gateway's error in front of an answer is the gateway's, and the answer is not read (${mode})`, async () => {
    const gateway = await memoryGateway();
    const error = { type: FRAME.gatewayError, bytes: gatewayErrorFrame('gateway.busy') };
    gateway.mischief.answer = onFrames((frames) => [error, ...frames]);
    const seen = await appOf(gateway)(mode);
    assertError(seen, ['no_attested_worker']);
    assert.equal(seen.text, '');
  });
}
