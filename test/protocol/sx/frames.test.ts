/** Frames under the microscope: what the key holder itself may not put inside one. Spec: P§6.2. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, fixed, utf8 } from '../../../core/bytes.ts';
import { aes256GcmKey, sealAes256Gcm } from '#primitives';
import { FRAME, FrameOpener, FrameSealer, FrameSplitter } from '../../../protocol/sx/frames.ts';
import { sameBytes } from './stage.ts';

const KEYS = {
  key: aes256GcmKey(fixed(new Uint8Array(32).fill(1), 32)),
  iv: fixed(new Uint8Array(12).fill(2), 12),
};

/** Frame number 0 with any plaintext at all. */
function raw(plaintext: Uint8Array): Uint8Array {
  const header = Uint8Array.of(FRAME.data, 0, 0, plaintext.length + 16);
  return concat(header, sealAes256Gcm(KEYS.key, KEYS.iv, header, plaintext));
}

test('a frame opens to its data, without length and padding', () => {
  const opened = new FrameOpener(KEYS).open(
    raw(concat(Uint8Array.of(0, 0, 2), utf8('ab'), new Uint8Array(9))),
  );
  assert.ok(opened !== undefined);
  sameBytes(opened, utf8('ab'));
});

const REFUSED: readonly (readonly [string, Uint8Array])[] = [
  ['padding that is not zero', Uint8Array.of(0, 0, 1, 0x61, 0, 1)],
  ['a length beyond the frame', Uint8Array.of(0, 0, 2, 0x61)],
  ['a length of megabytes', Uint8Array.of(0xff, 0xff, 0xff, 0x61)],
  ['no room for a length', Uint8Array.of(0, 0)],
  ['nothing', new Uint8Array()],
];

for (const [what, plaintext] of REFUSED) {
  test(`refused although the tag fits: ${what}`, () => {
    assert.equal(new FrameOpener(KEYS).open(raw(plaintext)), undefined);
  });
}

test('each frame has its own number: the same data never seals to the same bytes', () => {
  const sealer = new FrameSealer(KEYS);
  const opener = new FrameOpener(KEYS);
  const seen = new Set<string>();
  for (let i = 0; i < 600; i++) {
    const wire = sealer.seal(FRAME.data, utf8('x'), 128);
    seen.add(String(wire));
    assert.ok(opener.open(wire) !== undefined, `frame ${i}`);
  }
  assert.equal(seen.size, 600);
});

test('the splitter yields the same frames for pieces of any size', () => {
  const wire = concat(
    raw(new Uint8Array(3)),
    Uint8Array.of(0x11, 0, 0, 0),
    raw(new Uint8Array(90)),
  );
  for (let pieceBytes = 1; pieceBytes <= wire.length; pieceBytes++) {
    const frames: Uint8Array[] = [];
    const splitter = new FrameSplitter({
      onHeader: () => {},
      onFrame: (_, frame) => frames.push(frame.slice()),
    });
    for (let at = 0; at < wire.length; at += pieceBytes) {
      splitter.push(wire.subarray(at, at + pieceBytes));
    }
    assert.equal(frames.length, 3);
    assert.ok(splitter.isBetweenFrames);
    sameBytes(concat(...frames), wire);
  }
});
