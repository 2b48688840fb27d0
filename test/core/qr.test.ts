/** QR codes, by the standard's own examples and by an independent reader. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { correctionOf, encodeQr, QR_TEXT_MAX_BYTES, type QrLevel } from '../../core/qr.ts';
import { qrColumns, qrLines } from '../../core/node/qr-terminal.ts';
import { readQr } from '../support/qr-reader.ts';

test('the error correction of the example in Annex I of the standard', () => {
  // "01234567" at 1-M.
  const data = [
    0x10, 0x20, 0x0c, 0x56, 0x61, 0x80, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11, 0xec, 0x11,
  ];
  const want = [0xa5, 0x24, 0xd4, 0xc1, 0xed, 0x36, 0xc7, 0x87, 0x2c, 0x55];
  assert.deepEqual([...correctionOf(Uint8Array.from(data), 10)], want);
});

/** The most bytes that each version holds. Table 7. */
const CAPACITY = {
  L: [17, 32, 53, 78, 106, 134, 154, 192, 230, 271, 321, 367, 425, 458, 520],
  M: [14, 26, 42, 62, 84, 106, 122, 152, 180, 213, 251, 287, 331, 362, 412],
} as const;

for (const [at, most] of CAPACITY.L.entries()) {
  test(`version ${at + 1} holds what the standard says, at both levels, and reads back`, () => {
    const version = at + 1;
    const long = 'x'.repeat(most);
    assert.deepEqual(pick(long, ['L']), { version, level: 'L', text: long });
    const medium = 'ton://'.padEnd(CAPACITY.M[at] ?? 0, 'aZ09-_');
    assert.deepEqual(pick(medium, ['M']), { version, level: 'M', text: medium });
    // One byte more than the level before holds, so that both pads and every length of the last block occur.
    const short = 'y'.repeat((CAPACITY.L[at - 1] ?? 0) + 1);
    assert.equal(pick(short).text, short);
  });
}

function pick(text: string, levels?: readonly QrLevel[]) {
  const { version, level, text: read } = readQr(encodeQr(text, levels));
  return { version, level, text: read };
}

test('texts of every length and of other alphabets read back, and every mask is used', () => {
  const masks = new Set<number>();
  for (let length = 0; length <= QR_TEXT_MAX_BYTES; length += 7) {
    const text = 'Grüße €'.repeat(80).slice(0, Math.floor(length / 1.6));
    const read = readQr(encodeQr(text));
    assert.equal(read.text, text);
    masks.add(read.mask);
  }
  assert.ok(masks.size >= 6, [...masks].join());
});

test('of two levels in one size the better one is taken', () => {
  assert.deepEqual(pick('x'.repeat(14)), { version: 1, level: 'M', text: 'x'.repeat(14) });
  assert.deepEqual(pick('x'.repeat(15)), { version: 1, level: 'L', text: 'x'.repeat(15) });
});

test('what no version here holds is not drawn', () => {
  assert.throws(() => encodeQr('x'.repeat(QR_TEXT_MAX_BYTES + 1)), { code: 'internal.invariant' });
});

test('the reader finds a wrong module: it would find a wrong encoder', () => {
  const code = encodeQr('ton://transfer');
  const spoilt = {
    size: code.size,
    isDark: (x: number, y: number) => code.isDark(x, y) !== (x === 12 && y === 12),
  };
  assert.throws(() => readQr(spoilt), /error correction/);
});

test('in a terminal two rows share a line, and four light modules stand around', () => {
  const code = encodeQr('ton://transfer');
  const lines = qrLines(code);
  assert.equal(qrColumns(code), code.size + 8);
  assert.ok(lines.every((line) => line.length === qrColumns(code)));
  const picture = {
    size: code.size,
    isDark: (x: number, y: number) => {
      const half = lines[(y + 4) >> 1]?.[x + 4] ?? '';
      return half === '█' || half === ((y + 4) % 2 === 0 ? '▀' : '▄');
    },
  };
  assert.equal(readQr(picture).text, 'ton://transfer');
  assert.ok([lines[0], lines[1]].every((line) => line?.trim() === ''));
});
