/**
 * Reads a QR code as a camera's software does once it has found the modules: written from the standard's tables alone and
 * sharing nothing with the encoder, so that the two can only agree where both are right. Throws for what is no code.
 * Spec: ISO/IEC 18004:2015.
 * @module
 */

import assert from 'node:assert/strict';

export interface QrPicture {
  readonly size: number;
  isDark(x: number, y: number): boolean;
}

export interface QrRead {
  readonly version: number;
  readonly level: 'L' | 'M';
  readonly mask: number;
  readonly text: string;
}

/** Table 9: for each version and level, blocks as [count, codewords, data codewords]. */
const TABLE: readonly { readonly L: Groups; readonly M: Groups }[] = [
  { L: [[1, 26, 19]], M: [[1, 26, 16]] },
  { L: [[1, 44, 34]], M: [[1, 44, 28]] },
  { L: [[1, 70, 55]], M: [[1, 70, 44]] },
  { L: [[1, 100, 80]], M: [[2, 50, 32]] },
  { L: [[1, 134, 108]], M: [[2, 67, 43]] },
  { L: [[2, 86, 68]], M: [[4, 43, 27]] },
  { L: [[2, 98, 78]], M: [[4, 49, 31]] },
  {
    L: [[2, 121, 97]],
    M: [
      [2, 60, 38],
      [2, 61, 39],
    ],
  },
  {
    L: [[2, 146, 116]],
    M: [
      [3, 58, 36],
      [2, 59, 37],
    ],
  },
  {
    L: [
      [2, 86, 68],
      [2, 87, 69],
    ],
    M: [
      [4, 69, 43],
      [1, 70, 44],
    ],
  },
  {
    L: [[4, 101, 81]],
    M: [
      [1, 80, 50],
      [4, 81, 51],
    ],
  },
  {
    L: [
      [2, 116, 92],
      [2, 117, 93],
    ],
    M: [
      [6, 58, 36],
      [2, 59, 37],
    ],
  },
  {
    L: [[4, 133, 107]],
    M: [
      [8, 59, 37],
      [1, 60, 38],
    ],
  },
  {
    L: [
      [3, 145, 115],
      [1, 146, 116],
    ],
    M: [
      [4, 64, 40],
      [5, 65, 41],
    ],
  },
  {
    L: [
      [5, 109, 87],
      [1, 110, 88],
    ],
    M: [
      [5, 65, 41],
      [5, 66, 42],
    ],
  },
];
type Groups = readonly (readonly [count: number, codewords: number, data: number])[];

/** Annex E, Table E.1. */
const ALIGNMENT: readonly (readonly number[])[] = [
  [],
  [6, 18],
  [6, 22],
  [6, 26],
  [6, 30],
  [6, 34],
  [6, 22, 38],
  [6, 24, 42],
  [6, 26, 46],
  [6, 28, 50],
  [6, 30, 54],
  [6, 32, 58],
  [6, 34, 62],
  [6, 26, 46, 66],
  [6, 26, 48, 70],
];

/** Annex C, Table C.1: what is drawn for L and M and each mask. */
const FORMATS = {
  L: [
    '111011111000100',
    '111001011110011',
    '111110110101010',
    '111100010011101',
    '110011000101111',
    '110001100011000',
    '110110001000001',
    '110100101110110',
  ],
  M: [
    '101010000010010',
    '101000100100101',
    '101111001111100',
    '101101101001011',
    '100010111111001',
    '100000011001110',
    '100111110010111',
    '100101010100000',
  ],
} as const;

/** Annex D, Table D.1, from version 7 on. */
const VERSIONS = [
  '000111110010010100',
  '001000010110111100',
  '001001101010011001',
  '001010010011010011',
  '001011101111110110',
  '001100011101100010',
  '001101100001000111',
  '001110011000001101',
  '001111100100101000',
];

export function readQr(picture: QrPicture): QrRead {
  const { size } = picture;
  const version = (size - 17) / 4;
  const row = TABLE[version - 1];
  assert.ok(row !== undefined, 'size');
  assertPatterns(picture);
  if (version >= 7) assertVersion(picture, version);
  const { level, mask } = formatOf(picture);
  const codewords = codewordsOf(picture, version, mask);
  const text = textOf(dataOf(codewords, row[level]), version);
  return { version, level, mask, text };
}

const FINDER = ['1111111', '1000001', '1011101', '1011101', '1011101', '1000001', '1111111'];

function assertPatterns(picture: QrPicture): void {
  const { size } = picture;
  for (const [left, top] of [
    [0, 0],
    [size - 7, 0],
    [0, size - 7],
  ] as const) {
    const seen = FINDER.map((_, y) =>
      bitsAt(
        picture,
        Array.from({ length: 7 }, (__, x) => [left + x, top + y]),
      ),
    );
    assert.deepEqual(seen, FINDER, 'finder');
  }
  for (let at = 8; at < size - 8; at++) {
    assert.equal(picture.isDark(at, 6), at % 2 === 0, 'timing');
    assert.equal(picture.isDark(6, at), at % 2 === 0, 'timing');
  }
  for (let at = 0; at < 8; at++) {
    for (const [x, y] of [
      [7, at],
      [at, 7],
      [size - 8, at],
      [size - 1 - at, 7],
      [at, size - 8],
      [7, size - 1 - at],
    ] as const) {
      assert.equal(picture.isDark(x, y), false, 'separator');
    }
  }
  assert.equal(picture.isDark(8, size - 8), true, 'dark module');
}

function bitsAt(picture: QrPicture, places: readonly (readonly number[])[]): string {
  return places.map(([x = 0, y = 0]) => (picture.isDark(x, y) ? '1' : '0')).join('');
}

/** Figure 25: most significant bit first. */
function formatOf(picture: QrPicture): { readonly level: 'L' | 'M'; readonly mask: number } {
  const { size } = picture;
  const first = [
    [0, 8],
    [1, 8],
    [2, 8],
    [3, 8],
    [4, 8],
    [5, 8],
    [7, 8],
    [8, 8],
    [8, 7],
    [8, 5],
    [8, 4],
    [8, 3],
    [8, 2],
    [8, 1],
    [8, 0],
  ];
  const second = [
    ...Array.from({ length: 7 }, (_, at) => [8, size - 1 - at]),
    ...Array.from({ length: 8 }, (_, at) => [size - 8 + at, 8]),
  ];
  const bits = bitsAt(picture, first);
  assert.equal(bitsAt(picture, second), bits, 'both formats');
  for (const level of ['L', 'M'] as const) {
    const mask = FORMATS[level].findIndex((known) => known === bits);
    if (mask !== -1) return { level, mask };
  }
  throw new Error('format');
}

function assertVersion(picture: QrPicture, version: number): void {
  const { size } = picture;
  const places = Array.from({ length: 18 }, (_, at) => [
    Math.floor((17 - at) / 3),
    size - 11 + ((17 - at) % 3),
  ]);
  const want = VERSIONS[version - 7];
  assert.equal(bitsAt(picture, places), want, 'version, lower left');
  assert.equal(
    bitsAt(
      picture,
      places.map(([x = 0, y = 0]) => [y, x]),
    ),
    want,
    'version, upper right',
  );
}

/** Table 10; i is the row, j the column. */
function isMasked(mask: number, i: number, j: number): boolean {
  const conditions = [
    (i + j) % 2,
    i % 2,
    j % 3,
    (i + j) % 3,
    (Math.floor(i / 2) + Math.floor(j / 3)) % 2,
    ((i * j) % 2) + ((i * j) % 3),
    (((i * j) % 2) + ((i * j) % 3)) % 2,
    (((i + j) % 2) + ((i * j) % 3)) % 2,
  ];
  return conditions[mask] === 0;
}

function isFunction(x: number, y: number, version: number): boolean {
  const size = 17 + 4 * version;
  if (x === 6 || y === 6) return true;
  if ((x <= 8 && y <= 8) || (x >= size - 8 && y <= 8) || (x <= 8 && y >= size - 8)) return true;
  if (version >= 7 && ((y <= 5 && x >= size - 11) || (x <= 5 && y >= size - 11))) return true;
  const centres = ALIGNMENT[version - 1] ?? [];
  const last = centres.at(-1);
  return centres.some((cy) =>
    centres.some((cx) => {
      const isFinder =
        (cx === 6 && cy === 6) || (cx === 6 && cy === last) || (cx === last && cy === 6);
      return !isFinder && Math.abs(x - cx) <= 2 && Math.abs(y - cy) <= 2;
    }),
  );
}

/** Figure 19: upwards in the rightmost two columns first, right before left. */
function codewordsOf(picture: QrPicture, version: number, mask: number): readonly number[] {
  const { size } = picture;
  const columns = Array.from({ length: size }, (_, x) => size - 1 - x).filter((x) => x !== 6);
  let bits = '';
  for (let pair = 0; pair < columns.length / 2; pair++) {
    for (let step = 0; step < size; step++) {
      const y = pair % 2 === 0 ? size - 1 - step : step;
      for (const x of [columns[2 * pair] ?? 0, columns[2 * pair + 1] ?? 0]) {
        if (isFunction(x, y, version)) continue;
        bits += picture.isDark(x, y) !== isMasked(mask, y, x) ? '1' : '0';
      }
    }
  }
  return [...bits.matchAll(/[01]{8}/g)].map(([byte]) => Number.parseInt(byte, 2));
}

function dataOf(codewords: readonly number[], groups: Groups): readonly number[] {
  const sizes = groups.flatMap(([count, all, data]) =>
    Array.from({ length: count }, () => ({ all, data })),
  );
  assert.equal(
    codewords.length,
    sizes.reduce((sum, { all }) => sum + all, 0),
    'codewords',
  );
  const blocks: number[][] = sizes.map(() => []);
  let next = 0;
  const deal = (
    rounds: number,
    has: (size: { all: number; data: number }, round: number) => boolean,
  ): void => {
    for (let round = 0; round < rounds; round++) {
      for (const [at, size] of sizes.entries())
        if (has(size, round)) blocks[at]?.push(codewords[next++] ?? 0);
    }
  };
  deal(Math.max(...sizes.map(({ data }) => data)), ({ data }, round) => round < data);
  deal(
    Math.max(...sizes.map(({ all, data }) => all - data)),
    ({ all, data }, round) => round < all - data,
  );
  for (const [at, block] of blocks.entries())
    assertWord(block, (sizes[at]?.all ?? 0) - (sizes[at]?.data ?? 0));
  return blocks.flatMap((block, at) => block.slice(0, sizes[at]?.data));
}

const EXP: number[] = [];
for (let at = 0, value = 1; at < 255; at++) {
  EXP.push(value);
  value *= 2;
  if (value > 255) value ^= 285;
}

function times(a: number, b: number): number {
  return a === 0 || b === 0 ? 0 : (EXP[(EXP.indexOf(a) + EXP.indexOf(b)) % 255] ?? 0);
}

/** A word of the code is zero at each root of the generator. */
function assertWord(block: readonly number[], degree: number): void {
  for (let root = 0; root < degree; root++) {
    const value = block.reduce((sum, codeword) => times(sum, EXP[root] ?? 0) ^ codeword, 0);
    assert.equal(value, 0, 'error correction');
  }
}

function textOf(data: readonly number[], version: number): string {
  const bits = data.map((byte) => byte.toString(2).padStart(8, '0')).join('');
  assert.equal(bits.slice(0, 4), '0100', 'byte mode');
  const from = version < 10 ? 12 : 20;
  const length = Number.parseInt(bits.slice(4, from), 2);
  const bytes = [...bits.slice(from, from + 8 * length).matchAll(/[01]{8}/g)].map(([byte]) =>
    Number.parseInt(byte, 2),
  );
  assert.equal(bytes.length, length, 'length');
  const rest = bits.slice(from + 8 * length);
  assert.match(rest.slice(0, 4), /^0*$/, 'terminator');
  return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes));
}
