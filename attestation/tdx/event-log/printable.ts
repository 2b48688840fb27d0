/**
 * Bytes of a hostile log as text that cannot move a terminal's cursor, change its colours, reverse its writing
 * direction or pass for the text around it: printable ASCII, the rest escaped, cut at a length.
 * @module
 */

import { toHex } from '../../../core/bytes.ts';

const CUT = '...';

const SHORT: ReadonlyMap<number, string> = new Map([
  [0x00, '\\0'],
  [0x09, '\\t'],
  [0x0a, '\\n'],
  [0x0d, '\\r'],
  [0x5c, '\\\\'],
  // Whoever puts the result between angle brackets can rely on where they end.
  [0x3c, '\\x3c'],
  [0x3e, '\\x3e'],
]);

function escapeUnit(unit: number): string {
  const short = SHORT.get(unit);
  if (short !== undefined) return short;
  if (unit >= 0x20 && unit <= 0x7e) return String.fromCharCode(unit);
  if (unit <= 0xff) return `\\x${unit.toString(16).padStart(2, '0')}`;
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}

/** Work and result are bounded by `maxChars`, however long the input is. */
function escapeUnits(length: number, unitAt: (index: number) => number, maxChars: number): string {
  let out = '';
  let kept = 0;
  for (let index = 0; index < length && out.length <= maxChars; index++) {
    out += escapeUnit(unitAt(index));
    if (out.length + CUT.length <= maxChars) kept = out.length;
  }
  return out.length <= maxChars ? out : out.slice(0, kept) + CUT;
}

/** For a name that stands before ` = `: it contains no such sign, so what follows the first one is the value. */
export function withoutEquals(printable: string): string {
  return printable.replaceAll('=', '\\x3d');
}

export function printableText(text: string, maxChars: number): string {
  return escapeUnits(text.length, (index) => text.charCodeAt(index), maxChars);
}

/** UTF-16LE, as UEFI writes names; an odd byte at the end is left out. */
export function printableUtf16(bytes: Uint8Array, maxChars: number): string {
  const unitAt = (index: number): number =>
    (bytes[2 * index] ?? 0) | ((bytes[2 * index + 1] ?? 0) << 8);
  return escapeUnits(Math.floor(bytes.length / 2), unitAt, maxChars);
}

function printableLatin(bytes: Uint8Array, maxChars: number): string {
  return escapeUnits(bytes.length, (index) => bytes[index] ?? 0, maxChars);
}

/** How much of the data is looked at to tell text from numbers. */
const SAMPLE_BYTES = 256;

function isTextByte(byte: number | undefined): boolean {
  return byte !== undefined && ((byte >= 0x20 && byte <= 0x7e) || byte === 0x0a || byte === 0x09);
}

/** The text without the zero that ends it, or undefined for data that is mostly something else. */
function latinOf(bytes: Uint8Array): Uint8Array | undefined {
  const text = bytes.at(-1) === 0 ? bytes.subarray(0, -1) : bytes;
  return text.length > 0 && text.subarray(0, SAMPLE_BYTES).every(isTextByte) ? text : undefined;
}

function utf16Of(bytes: Uint8Array): Uint8Array | undefined {
  if (bytes.length === 0 || bytes.length % 2 !== 0) return undefined;
  const hasZero = bytes.at(-1) === 0 && bytes.at(-2) === 0;
  const text = hasZero ? bytes.subarray(0, -2) : bytes;
  const sample = text.subarray(0, SAMPLE_BYTES);
  const looksSo = sample.every((byte, at) => (at % 2 === 0 ? isTextByte(byte) : byte === 0));
  return text.length > 0 && looksSo ? text : undefined;
}

/** Text where it looks like text, otherwise `0x` and hex; a text that begins like hex has its zero escaped. */
export function printableBytes(bytes: Uint8Array, maxChars: number): string {
  const text = printableIfText(bytes, maxChars);
  if (text === undefined) {
    const hex = `0x${toHex(bytes.subarray(0, maxChars))}`;
    return printableText(hex, maxChars);
  }
  return text.startsWith('0x') ? `\\x30${text.slice(1)}`.slice(0, maxChars) : text;
}

function printableIfText(bytes: Uint8Array, maxChars: number): string | undefined {
  if (bytes.length === 0) return '';
  const utf16 = utf16Of(bytes);
  if (utf16 !== undefined) return printableUtf16(utf16, maxChars);
  const latin = latinOf(bytes);
  return latin === undefined ? undefined : printableLatin(latin, maxChars);
}
