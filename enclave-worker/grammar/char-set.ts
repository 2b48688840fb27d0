/**
 * Sets of Unicode scalar values as sorted ranges. Surrogates are in none of them: they are halves of characters, and no
 * text that is UTF-8 has them. Spec: Unicode 16 §3.9 D76.
 * @module
 */

export type Range = readonly [first: number, last: number];
/** Sorted, not overlapping, not touching. */
export type CharSet = readonly Range[];

const SURROGATES_FIRST = 0xd800;
const SURROGATES_LAST = 0xdfff;
const LAST = 0x10ffff;

export const ALL_CHARS: CharSet = [
  [0, SURROGATES_FIRST - 1],
  [SURROGATES_LAST + 1, LAST],
];

/** One UTF-16 unit each: every library counts them alike. */
export const ONE_UNIT_CHARS: CharSet = [
  [0, SURROGATES_FIRST - 1],
  [SURROGATES_LAST + 1, 0xffff],
];

export function charSet(...ranges: readonly Range[]): CharSet {
  return intersection(normal(ranges), ALL_CHARS);
}

export function charsOf(text: string): CharSet {
  return charSet(...Array.from(text, (char): Range => [codeOf(char), codeOf(char)]));
}

export function union(...sets: readonly CharSet[]): CharSet {
  return normal(sets.flat());
}

export function intersection(a: CharSet, b: CharSet): CharSet {
  const out: Range[] = [];
  let [i, j] = [0, 0];
  for (;;) {
    const [left, right] = [a[i], b[j]];
    if (left === undefined || right === undefined) return out;
    const [first, last] = [Math.max(left[0], right[0]), Math.min(left[1], right[1])];
    if (first <= last) out.push([first, last]);
    if (left[1] < right[1]) i++;
    else j++;
  }
}

export function complement(set: CharSet): CharSet {
  const out: Range[] = [];
  let next = 0;
  for (const [first, last] of set) {
    if (first > next) out.push([next, first - 1]);
    next = last + 1;
  }
  if (next <= LAST) out.push([next, LAST]);
  return intersection(out, ALL_CHARS);
}

export function has(set: CharSet, code: number): boolean {
  return set.some(([first, last]) => first <= code && code <= last);
}

export function codeOf(char: string): number {
  return char.codePointAt(0) ?? 0;
}

function normal(ranges: readonly Range[]): CharSet {
  const out: [number, number][] = [];
  for (const [first, last] of ranges.toSorted((a, b) => a[0] - b[0])) {
    const before = out.at(-1);
    if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else out.push([first, last]);
  }
  return out;
}
