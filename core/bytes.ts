/**
 * Byte strings: fixed sizes as types, hex and base64url without loose forms, and the one cursor that
 * every binary parser uses. Spec: RFC 4648 §5 (base64url), §8 (base16).
 * @module
 */

import { assert, defineErrors, type ErrorSpec, type VeilError } from './errors.ts';

/** A byte string of exactly `N` bytes. Made by `fixed`, `Reader.bytes` and the primitives only. */
export type Bytes<N extends number> = Uint8Array & { readonly __size: N };

const MALFORMED: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'The request is malformed.',
};

export const bytesError = defineErrors({
  'bytes.size': MALFORMED,
  'bytes.hex': MALFORMED,
  'bytes.base64url': MALFORMED,
  'bytes.base64': MALFORMED,
  'bytes.utf8': MALFORMED,
});

function hasSize<N extends number>(bytes: Uint8Array, size: N): bytes is Bytes<N> {
  return bytes.length === size;
}

/** Checks the size and brands. Throws `bytes.size`. */
export function fixed<N extends number>(bytes: Uint8Array, size: N, what = 'bytes'): Bytes<N> {
  if (!hasSize(bytes, size)) {
    throw bytesError('bytes.size', `${what}: want ${size}, got ${bytes.length}`);
  }
  return bytes;
}

const UTF8_ENCODER = new TextEncoder();
const UTF8_DECODER = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function utf8(text: string): Uint8Array {
  return UTF8_ENCODER.encode(text);
}

/** Strict: invalid UTF-8 throws `bytes.utf8`; a byte order mark is kept so that callers can refuse it. */
export function fromUtf8(bytes: Uint8Array): string {
  try {
    return UTF8_DECODER.decode(bytes);
  } catch (cause) {
    throw bytesError('bytes.utf8', '', { cause });
  }
}

/** ASCII label bytes, written in the source. Faster to read in specifications than utf8(). */
export function ascii(label: string): Uint8Array {
  return utf8(label);
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let size = 0;
  for (const part of parts) size += part.length;
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

const GATHER_START_BYTES = 4096;

/** Gathers what arrives in pieces. Memory follows the bytes: whoever sends them one by one gains nothing. */
export class Gatherer {
  #bytes = new Uint8Array(GATHER_START_BYTES);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(piece: Uint8Array): void {
    const size = this.#size + piece.length;
    if (size > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(size, 2 * this.#bytes.length));
      grown.set(this.#bytes.subarray(0, this.#size));
      this.#bytes = grown;
    }
    this.#bytes.set(piece, this.#size);
    this.#size = size;
  }

  /** A view of what has been gathered so far. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#size);
  }
}

/** Not constant-time: for public values only. Secrets and MACs use `constantTimeEqual` of #primitives. */
export function equalPublic(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function isZero(bytes: Uint8Array): boolean {
  for (const byte of bytes) if (byte !== 0) return false;
  return true;
}

const HEX_DIGITS = Uint8Array.from('0123456789abcdef', (digit) => digit.charCodeAt(0));
const HEX_CHUNK = 0x4000;

/** Lower case. Flat: a text put together digit by digit keeps all its pieces, twelve times its size. */
export function toHex(bytes: Uint8Array): string {
  if (bytes.length <= HEX_CHUNK) return hexOf(bytes);
  let out = '';
  for (let at = 0; at < bytes.length; at += HEX_CHUNK) {
    out += hexOf(bytes.subarray(at, at + HEX_CHUNK));
  }
  return out;
}

function hexOf(bytes: Uint8Array): string {
  const codes: number[] = [];
  for (const byte of bytes) codes.push(HEX_DIGITS[byte >> 4] ?? 0, HEX_DIGITS[byte & 15] ?? 0);
  return String.fromCharCode(...codes);
}

/** Accepts upper and lower case, nothing else. Throws `bytes.hex`. */
export function fromHex(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) throw bytesError('bytes.hex');
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; i++) out[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

const BASE64_CHUNK = 0x8000;

function toBase64Standard(bytes: Uint8Array): string {
  let binary = '';
  for (let at = 0; at < bytes.length; at += BASE64_CHUNK) {
    binary += String.fromCharCode(...bytes.subarray(at, at + BASE64_CHUNK));
  }
  return btoa(binary);
}

export function toBase64(bytes: Uint8Array): string {
  return toBase64Standard(bytes);
}

export function toBase64Url(bytes: Uint8Array): string {
  return toBase64Standard(bytes).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

function fromBinary(binary: string): Uint8Array {
  const out = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) out[i] = binary.charCodeAt(i);
  return out;
}

/** No padding, no white space, zero loose bits: one text per byte string. Throws `bytes.base64url`. */
export function fromBase64Url(text: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) throw bytesError('bytes.base64url');
  const padded = text
    .replaceAll('-', '+')
    .replaceAll('_', '/')
    .padEnd(Math.ceil(text.length / 4) * 4, '=');
  const bytes = fromBinary(atob(padded));
  if (toBase64Url(bytes) !== text) throw bytesError('bytes.base64url', 'loose bits');
  return bytes;
}

/** Value of each ASCII character in the standard alphabet; 255 elsewhere. */
const BASE64_VALUES: Uint8Array = base64Values();

function base64Values(): Uint8Array {
  const values = new Uint8Array(128).fill(0xff);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i;
  return values;
}

/** Standard alphabet with padding, canonical. Throws `bytes.base64`. */
export function fromBase64(text: string): Uint8Array {
  if (text.length % 4 !== 0) throw bytesError('bytes.base64');
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const symbols = text.length - padding;
  const out = new Uint8Array((text.length / 4) * 3 - padding);
  let [bits, held, at] = [0, 0, 0];
  for (let i = 0; i < symbols; i++) {
    const value = BASE64_VALUES[text.charCodeAt(i)] ?? 0xff;
    if (value === 0xff) throw bytesError('bytes.base64');
    bits = ((bits << 6) | value) & 0xffff;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    out[at++] = bits >>> held;
  }
  // What the last symbol holds beyond the last byte must be zero, or several texts would mean one byte string.
  if ((bits & ((1 << held) - 1)) !== 0) throw bytesError('bytes.base64', 'loose bits');
  return out;
}

export function u16be(value: number): Uint8Array {
  assert(Number.isInteger(value) && value >= 0 && value <= 0xffff, 'u16be range');
  return Uint8Array.of(value >>> 8, value & 0xff);
}

export function u32be(value: number): Uint8Array {
  assert(Number.isInteger(value) && value >= 0 && value <= 0xffffffff, 'u32be range');
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

export function u64be(value: bigint): Uint8Array {
  assert(value >= 0n && value < 1n << 64n, 'u64be range');
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, value);
  return out;
}

export function u128be(value: bigint): Uint8Array {
  assert(value >= 0n && value < 1n << 128n, 'u128be range');
  const out = new Uint8Array(16);
  const view = new DataView(out.buffer);
  view.setBigUint64(0, value >> 64n);
  view.setBigUint64(8, BigInt.asUintN(64, value));
  return out;
}

/** 4-byte big-endian length, then the bytes: `lp(x)` of the specifications. */
export function lengthPrefixed(bytes: Uint8Array): Uint8Array {
  return concat(u32be(bytes.length), bytes);
}

/** Makes the caller's error for a read past the end. */
export type TruncatedError = (field: string, offset: number) => VeilError;

/**
 * The one cursor over untrusted bytes. Every read names its field and is bounds-checked; nothing is copied
 * unless it leaves through `bytes`, which returns a view.
 */
export class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #truncated: TruncatedError;
  #at = 0;

  constructor(bytes: Uint8Array, truncated: TruncatedError) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#truncated = truncated;
  }

  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  #take(size: number, field: string): number {
    if (size > this.remaining) throw this.#truncated(field, this.#at);
    const at = this.#at;
    this.#at += size;
    return at;
  }

  bytes<N extends number>(size: N, field: string): Bytes<N> {
    const at = this.#take(size, field);
    return fixed(this.#bytes.subarray(at, at + size), size, field);
  }

  skip(size: number, field: string): void {
    this.#take(size, field);
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field));
  }

  u16le(field: string): number {
    return this.#view.getUint16(this.#take(2, field), true);
  }

  u32le(field: string): number {
    return this.#view.getUint32(this.#take(4, field), true);
  }

  u64le(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field), true);
  }

  u16be(field: string): number {
    return this.#view.getUint16(this.#take(2, field));
  }

  u24be(field: string): number {
    const at = this.#take(3, field);
    return (this.#view.getUint16(at) << 8) | this.#view.getUint8(at + 2);
  }

  u32be(field: string): number {
    return this.#view.getUint32(this.#take(4, field));
  }

  u64be(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field));
  }

  u128be(field: string): bigint {
    const at = this.#take(16, field);
    return (this.#view.getBigUint64(at) << 64n) | this.#view.getBigUint64(at + 8);
  }

  /** What is left, as a view; the cursor moves to the end. */
  rest(): Uint8Array {
    const out = this.#bytes.subarray(this.#at);
    this.#at = this.#bytes.length;
    return out;
  }
}
