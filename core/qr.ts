/**
 * QR codes: text of up to 520 bytes to a square of dark and light. Byte mode, versions 1 to 15, levels M where the text
 * fits and L otherwise, the mask with the least penalty. Spec: ISO/IEC 18004:2015.
 * @module
 */

import { utf8 } from './bytes.ts';
import { assert, internalError } from './errors.ts';

export interface QrCode {
  /** Modules on a side, without the quiet zone of four around it. */
  readonly size: number;
  /** False outside too. */
  isDark(x: number, y: number): boolean;
}

/** How much of it may be dirty: 7 % and 15 % of the codewords. */
export type QrLevel = 'L' | 'M';

const VERSION_MAX = 15;
/** Of version 15 at level L. */
export const QR_TEXT_MAX_BYTES = 520;

/** Table 9: error correction codewords of a block, and blocks, by version from 1 on. */
const EC_CODEWORDS: Readonly<Record<QrLevel, readonly number[]>> = {
  L: [7, 10, 15, 20, 26, 18, 20, 24, 30, 18, 20, 24, 26, 30, 22],
  M: [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24],
};
const BLOCKS: Readonly<Record<QrLevel, readonly number[]>> = {
  L: [1, 1, 1, 1, 1, 2, 2, 2, 2, 4, 4, 4, 4, 4, 6],
  M: [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10],
};
/** Table 12. */
const LEVEL_BITS: Readonly<Record<QrLevel, number>> = { L: 1, M: 0 };

interface Shape {
  readonly version: number;
  readonly level: QrLevel;
  readonly ecCodewords: number;
  readonly blocks: number;
  readonly codewords: number;
  readonly dataCodewords: number;
}

function shapeOf(version: number, level: QrLevel): Shape {
  const ecCodewords = EC_CODEWORDS[level][version - 1] ?? 0;
  const blocks = BLOCKS[level][version - 1] ?? 0;
  const codewords = Math.floor(dataModules(version) / 8);
  return {
    version,
    level,
    ecCodewords,
    blocks,
    codewords,
    dataCodewords: codewords - ecCodewords * blocks,
  };
}

/** What finder, timing, alignment, format and version leave. */
function dataModules(version: number): number {
  const all = (16 * version + 128) * version + 64;
  if (version === 1) return all;
  const count = alignmentCount(version);
  return all - ((25 * count - 10) * count - 55) - (version >= 7 ? 36 : 0);
}

function alignmentCount(version: number): number {
  return version === 1 ? 0 : Math.floor(version / 7) + 2;
}

const MODE_BITS = 4;
const BYTE_MODE = 4;

function countBits(version: number): number {
  return version < 10 ? 8 : 16;
}

function holds({ version, dataCodewords }: Shape, bytes: number): boolean {
  return MODE_BITS + countBits(version) + 8 * bytes <= 8 * dataCodewords;
}

/** The smallest code for the text; of the levels the first that this size holds. */
export function encodeQr(text: string, levels: readonly QrLevel[] = ['M', 'L']): QrCode {
  const bytes = utf8(text);
  assert(bytes.length <= QR_TEXT_MAX_BYTES, 'no code of these sizes holds so much');
  for (let version = 1; version <= VERSION_MAX; version++) {
    for (const level of levels) {
      const shape = shapeOf(version, level);
      if (holds(shape, bytes.length)) return draw(shape, interleaved(shape, dataOf(shape, bytes)));
    }
  }
  throw internalError('internal.invariant', 'no version holds it at this level');
}

function dataOf({ version, dataCodewords }: Shape, bytes: Uint8Array): Uint8Array {
  const bits: number[] = [];
  const push = (value: number, count: number): void => {
    for (let at = count - 1; at >= 0; at--) bits.push((value >>> at) & 1);
  };
  push(BYTE_MODE, MODE_BITS);
  push(bytes.length, countBits(version));
  for (const byte of bytes) push(byte, 8);
  // Terminator, then up to a whole byte, then the two pad bytes in turn. §7.4.9, §7.4.10.
  push(0, Math.min(4, 8 * dataCodewords - bits.length));
  push(0, (8 - (bits.length % 8)) % 8);
  for (let pad = 0xec; bits.length < 8 * dataCodewords; pad ^= 0xec ^ 0x11) push(pad, 8);
  return Uint8Array.from({ length: dataCodewords }, (_, at) =>
    bits.slice(8 * at, 8 * at + 8).reduce((byte, bit) => (byte << 1) | bit, 0),
  );
}

/** GF(2^8) under x^8 + x^4 + x^3 + x^2 + 1. §7.5.2. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let at = 7; at >= 0; at--) {
    product = (product << 1) ^ ((product >>> 7) * 0x11d);
    product ^= ((b >>> at) & 1) * a;
  }
  return product;
}

/** The remainder of `data` by the generator of this degree. */
export function correctionOf(data: Uint8Array, degree: number): Uint8Array {
  const generator = generatorOf(degree);
  const rest = new Uint8Array(degree);
  for (const byte of data) {
    const factor = byte ^ (rest[0] ?? 0);
    rest.copyWithin(0, 1);
    rest[degree - 1] = 0;
    for (const [at, coefficient] of generator.entries()) {
      rest[at] = (rest[at] ?? 0) ^ multiply(coefficient, factor);
    }
  }
  return rest;
}

/** Product of (x − 2^i), without its leading one. */
function generatorOf(degree: number): Uint8Array {
  const result = new Uint8Array(degree);
  result[degree - 1] = 1;
  let root = 1;
  for (let i = 0; i < degree; i++) {
    for (let at = 0; at < degree; at++) {
      result[at] = multiply(result[at] ?? 0, root) ^ (result[at + 1] ?? 0);
    }
    root = multiply(root, 2);
  }
  return result;
}

/** Blocks side by side, data first: a spot hits a little of each. The last blocks are one longer. §7.6. */
function interleaved(shape: Shape, data: Uint8Array): Uint8Array {
  const { blocks, ecCodewords, codewords, dataCodewords } = shape;
  const short = Math.floor(dataCodewords / blocks);
  const longer = dataCodewords % blocks;
  const parts: { readonly data: Uint8Array; readonly correction: Uint8Array }[] = [];
  let start = 0;
  for (let block = 0; block < blocks; block++) {
    const end = start + short + (block >= blocks - longer ? 1 : 0);
    const part = data.subarray(start, end);
    parts.push({ data: part, correction: correctionOf(part, ecCodewords) });
    start = end;
  }
  const out: number[] = [];
  for (let at = 0; at <= short; at++) {
    for (const part of parts) if (at < part.data.length) out.push(part.data[at] ?? 0);
  }
  for (let at = 0; at < ecCodewords; at++)
    for (const part of parts) out.push(part.correction[at] ?? 0);
  assert(out.length === codewords, 'every codeword has its place');
  return Uint8Array.from(out);
}

const MASKS: readonly ((x: number, y: number) => boolean)[] = [
  (x, y) => (x + y) % 2 === 0,
  (_, y) => y % 2 === 0,
  (x) => x % 3 === 0,
  (x, y) => (x + y) % 3 === 0,
  (x, y) => (Math.floor(x / 3) + Math.floor(y / 2)) % 2 === 0,
  (x, y) => ((x * y) % 2) + ((x * y) % 3) === 0,
  (x, y) => (((x * y) % 2) + ((x * y) % 3)) % 2 === 0,
  (x, y) => (((x + y) % 2) + ((x * y) % 3)) % 2 === 0,
];

/** Dark is 1. `fixed` marks what no mask changes. */
class Square {
  readonly size: number;
  readonly #dark: Uint8Array;
  readonly #fixed: Uint8Array;

  constructor(size: number, from?: Square) {
    this.size = size;
    this.#dark = from === undefined ? new Uint8Array(size * size) : from.#dark.slice();
    this.#fixed = from === undefined ? new Uint8Array(size * size) : from.#fixed;
  }

  isDark(x: number, y: number): boolean {
    const isInside = x >= 0 && y >= 0 && x < this.size && y < this.size;
    return isInside && this.#dark[y * this.size + x] === 1;
  }

  isFixed(x: number, y: number): boolean {
    return this.#fixed[y * this.size + x] === 1;
  }

  set(x: number, y: number, isDark: boolean): void {
    this.#dark[y * this.size + x] = isDark ? 1 : 0;
  }

  fix(x: number, y: number, isDark: boolean): void {
    if (x < 0 || y < 0 || x >= this.size || y >= this.size) return;
    this.set(x, y, isDark);
    this.#fixed[y * this.size + x] = 1;
  }
}

function draw(shape: Shape, codewords: Uint8Array): QrCode {
  const plain = new Square(17 + 4 * shape.version);
  drawPatterns(plain, shape);
  drawCodewords(plain, codewords);
  let best: { readonly square: Square; readonly penalty: number } | undefined;
  for (const [mask, isTurned] of MASKS.entries()) {
    const square = new Square(plain.size, plain);
    for (let y = 0; y < square.size; y++) {
      for (let x = 0; x < square.size; x++) {
        if (!square.isFixed(x, y) && isTurned(x, y)) square.set(x, y, !square.isDark(x, y));
      }
    }
    drawFormat(square, shape.level, mask);
    const penalty = penaltyOf(square);
    if (best === undefined || penalty < best.penalty) best = { square, penalty };
  }
  assert(best !== undefined, 'there are masks');
  return best.square;
}

function drawPatterns(square: Square, { version, level }: Shape): void {
  const { size } = square;
  for (let at = 0; at < size; at++) {
    square.fix(6, at, at % 2 === 0);
    square.fix(at, 6, at % 2 === 0);
  }
  for (const [x, y] of [
    [3, 3],
    [size - 4, 3],
    [3, size - 4],
  ] as const) {
    drawRings(square, { x, y, reach: 4, light: [2, 4] });
  }
  const places = alignmentPlaces(version);
  const last = places.length - 1;
  for (const [row, y] of places.entries()) {
    for (const [column, x] of places.entries()) {
      const isFinder =
        (row === 0 && (column === 0 || column === last)) || (row === last && column === 0);
      if (!isFinder) drawRings(square, { x, y, reach: 2, light: [1] });
    }
  }
  drawFormat(square, level, 0);
  drawVersion(square, version);
}

interface Rings {
  readonly x: number;
  readonly y: number;
  readonly reach: number;
  readonly light: readonly number[];
}

function drawRings(square: Square, { x, y, reach, light }: Rings): void {
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const ring = Math.max(Math.abs(dx), Math.abs(dy));
      square.fix(x + dx, y + dy, !light.includes(ring));
    }
  }
}

/** Annex E. */
function alignmentPlaces(version: number): readonly number[] {
  const count = alignmentCount(version);
  if (count === 0) return [];
  const step = Math.floor((version * 8 + count * 3 + 5) / (count * 4 - 4)) * 2;
  const size = 17 + 4 * version;
  const behind = Array.from({ length: count - 1 }, (_, at) => size - 7 - at * step);
  return [6, ...behind.reverse()];
}

/** BCH: `value` and its remainder by `generator`. Annexes C and D. */
function withRemainder(value: number, bits: number, generator: number): number {
  let rest = value;
  for (let i = 0; i < bits; i++) rest = (rest << 1) ^ ((rest >>> (bits - 1)) * generator);
  return (value << bits) | rest;
}

/** 15 bits, twice. §7.9. */
function drawFormat(square: Square, level: QrLevel, mask: number): void {
  const { size } = square;
  const bits = withRemainder((LEVEL_BITS[level] << 3) | mask, 10, 0x537) ^ 0x5412;
  const bit = (at: number): boolean => ((bits >>> at) & 1) === 1;
  for (let at = 0; at <= 5; at++) square.fix(8, at, bit(at));
  square.fix(8, 7, bit(6));
  square.fix(8, 8, bit(7));
  square.fix(7, 8, bit(8));
  for (let at = 9; at < 15; at++) square.fix(14 - at, 8, bit(at));
  for (let at = 0; at < 8; at++) square.fix(size - 1 - at, 8, bit(at));
  for (let at = 8; at < 15; at++) square.fix(8, size - 15 + at, bit(at));
  square.fix(8, size - 8, true);
}

/** 18 bits, twice, from version 7 on. §7.10. */
function drawVersion(square: Square, version: number): void {
  if (version < 7) return;
  const bits = withRemainder(version, 12, 0x1f25);
  for (let at = 0; at < 18; at++) {
    const isDark = ((bits >>> at) & 1) === 1;
    const [near, far] = [Math.floor(at / 3), square.size - 11 + (at % 3)];
    square.fix(far, near, isDark);
    square.fix(near, far, isDark);
  }
}

/** In pairs of columns from the right, up and down in turn, past the timing column. §7.7.3. */
function drawCodewords(square: Square, codewords: Uint8Array): void {
  const { size } = square;
  let at = 0;
  for (let right = size - 1; right >= 1; right -= 2) {
    if (right === 6) right = 5;
    const isUp = ((right + 1) & 2) === 0;
    for (let step = 0; step < size; step++) {
      const y = isUp ? size - 1 - step : step;
      for (const x of [right, right - 1]) {
        if (square.isFixed(x, y) || at >= 8 * codewords.length) continue;
        square.set(x, y, (((codewords[at >>> 3] ?? 0) >>> (7 - (at & 7))) & 1) === 1);
        at++;
      }
    }
  }
}

/** §7.8.3. What looks like a finder, long runs, blocks and an uneven share all make a code harder to find. */
function penaltyOf(square: Square): number {
  const { size } = square;
  const rows = Array.from({ length: size }, (_, y) => lineOf(size, (x) => square.isDark(x, y)));
  const columns = Array.from({ length: size }, (_, x) => lineOf(size, (y) => square.isDark(x, y)));
  const lines = [...rows, ...columns].reduce((sum, line) => sum + linePenalty(line), 0);
  let [blocks, dark] = [0, 0];
  for (const [y, row] of rows.entries()) {
    for (let x = 0; x < size; x++) {
      if (row[x] === '1') dark++;
      const four = `${row.slice(x, x + 2)}${rows[y + 1]?.slice(x, x + 2) ?? ''}`;
      if (four === '0000' || four === '1111') blocks++;
    }
  }
  const share = Math.ceil(Math.abs(dark * 20 - size * size * 10) / (size * size)) - 1;
  return lines + 3 * blocks + 10 * Math.max(0, share);
}

function lineOf(size: number, isDark: (at: number) => boolean): string {
  let line = '';
  for (let at = 0; at < size; at++) line += isDark(at) ? '1' : '0';
  return line;
}

/** Runs of five and more; 1:1:3:1:1 with four light ones on a side, the quiet zone among them. */
function linePenalty(line: string): number {
  const runs = [...line.matchAll(/0{5,}|1{5,}/g)].reduce((sum, [run]) => sum + run.length - 2, 0);
  const quiet = `0000${line}0000`;
  const finders = [...quiet.matchAll(/(?=00001011101|10111010000)/g)].length;
  return runs + 40 * finders;
}
