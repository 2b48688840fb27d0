/** What a terminal shows of a link reads back. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeQR } from 'qr/decode.js';
import { painted, qrLines, QR_TEXT_MAX_BYTES } from '../../core/node/qr-terminal.ts';

const SCALE = 4;

/** The picture that a camera sees: a pixel is light unless its half of the character is painted. */
function picture(lines: readonly string[]) {
  const width = (lines[0]?.length ?? 0) * SCALE;
  const height = lines.length * 2 * SCALE;
  const data = new Uint8Array(width * height * 4).fill(255);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(y / SCALE);
    for (let x = 0; x < width; x++) {
      const half = lines[row >> 1]?.[Math.floor(x / SCALE)] ?? ' ';
      if (half === '█' || half === (row % 2 === 0 ? '▀' : '▄')) {
        data.fill(0, (y * width + x) * 4, (y * width + x) * 4 + 3);
      }
    }
  }
  return { width, height, data };
}

for (const length of [1, 14, 15, 106, 230, 415, QR_TEXT_MAX_BYTES]) {
  test(`a link of ${length} characters reads back from the lines of a terminal`, () => {
    const text = 'ton://transfer/'.padEnd(length, 'aZ09-_').slice(0, length);
    const lines = qrLines(text);
    assert.ok(lines !== undefined);
    assert.ok(lines.every((line) => line.length === lines[0]?.length));
    assert.equal(decodeQR(picture(lines)), text);
  });
}

test('four light modules stand around it', () => {
  const lines = qrLines('ton://transfer') ?? [];
  assert.ok([lines[0], lines[1], lines.at(-1)].every((line) => line?.trim() === ''));
  assert.ok(lines.every((line) => line.startsWith('    ') && line.endsWith('    ')));
});

test('what is too long for a phone is not drawn', () => {
  assert.equal(qrLines('x'.repeat(QR_TEXT_MAX_BYTES + 1)), undefined);
  assert.equal(qrLines('€'.repeat(QR_TEXT_MAX_BYTES / 2)), undefined);
});

test('a file gets no colours', () => {
  assert.deepEqual(painted(['█▀']), ['█▀']);
});
