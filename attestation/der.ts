/**
 * One strict reader for DER. Definite, minimal lengths; low tag numbers; bounded depth and size; every structure is
 * read to its end. Whatever another encoder would have written differently is refused, so one value has one form.
 * Spec: ITU-T X.690 §8 and §10; RFC 5280 §4.1.2.5 (times).
 * @module
 */

import { toHex } from '../core/bytes.ts';
import { defineErrors, type ErrorSpec, type VeilError } from '../core/errors.ts';

const REJECTED: ErrorSpec = {
  status: 502,
  recovery: 'try_other_worker',
  public: 'No worker could prove its integrity.',
};

export const derError = defineErrors({
  'der.size': REJECTED,
  'der.malformed': REJECTED,
});

/** X.690 tags (class and constructed bit included) that the certificate profiles use. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
  context0: 0xa0,
  context3: 0xa3,
} as const;

const DEPTH_MAX = 16;
const LENGTH_BYTES_MAX = 4;
/** KeyUsage, the one such list that is read, names nine bits. */
const NAMED_BITS_MAX_BYTES = 2;

export interface DerElement {
  readonly tag: number;
  /** Tag, length and content, as a view. */
  readonly raw: Uint8Array;
  /** Content octets, as a view. */
  readonly content: Uint8Array;
}

/** A cursor over the content of one constructed value. Offsets in messages count from the start of the document. */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  readonly #depth: number;
  #at: number;

  private constructor(bytes: Uint8Array, start: number, end: number, depth: number) {
    if (depth > DEPTH_MAX) throw derError('der.malformed', `nested deeper than ${DEPTH_MAX}`);
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
    this.#depth = depth;
  }

  /** Throws `der.size`. */
  static over(bytes: Uint8Array, maxBytes: number): DerReader {
    if (bytes.length > maxBytes) throw derError('der.size', `${bytes.length} > ${maxBytes}`);
    return new DerReader(bytes, 0, bytes.length, 0);
  }

  get done(): boolean {
    return this.#at === this.#end;
  }

  /** Throws unless everything was read. */
  end(what: string): void {
    if (!this.done) throw this.#bad(what, 'trailing bytes');
  }

  #bad(what: string, why: string): VeilError {
    return derError('der.malformed', `${what}: ${why} at ${this.#at}`);
  }

  /** True when the next element has this tag; false at the end. */
  nextIs(tag: number): boolean {
    return this.#at < this.#end && this.#bytes[this.#at] === tag;
  }

  /** Steps over one element of the tag and returns where its content starts; the end is the new position. */
  #header(tag: number, what: string): number {
    const got = this.#byte(what);
    if (got !== tag) throw this.#bad(what, `tag ${got}, want ${tag}`);
    const length = this.#length(what);
    const start = this.#at;
    if (length > this.#end - start) throw this.#bad(what, 'length past the end');
    this.#at = start + length;
    return start;
  }

  #byte(what: string): number {
    const value = this.#at < this.#end ? this.#bytes[this.#at] : undefined;
    if (value === undefined) throw this.#bad(what, 'truncated');
    this.#at++;
    return value;
  }

  #length(what: string): number {
    const first = this.#byte(what);
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (count === 0) throw this.#bad(what, 'indefinite length');
    if (count > LENGTH_BYTES_MAX) throw this.#bad(what, 'length of lengths');
    let length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + this.#byte(what);
    // Minimal: no leading zero, and the short form where it fits.
    if (length < 0x80 || length < 256 ** (count - 1)) throw this.#bad(what, 'length not minimal');
    return length;
  }

  element(tag: number, what: string): DerElement {
    const before = this.#at;
    const start = this.#header(tag, what);
    return {
      tag,
      raw: this.#bytes.subarray(before, this.#at),
      content: this.#bytes.subarray(start, this.#at),
    };
  }

  /** Steps over one element of any tag and returns it; for parts that a profile carries but does not read. */
  any(what: string): DerElement {
    const tag = this.#bytes[this.#at];
    if (this.done || tag === undefined) throw this.#bad(what, 'truncated');
    if ((tag & 0x1f) === 0x1f) throw this.#bad(what, 'high tag number');
    return this.element(tag, what);
  }

  /** Enters a constructed value. */
  enter(tag: number, what: string): DerReader {
    const start = this.#header(tag, what);
    return new DerReader(this.#bytes, start, this.#at, this.#depth + 1);
  }

  sequence(what: string): DerReader {
    return this.enter(TAG.sequence, what);
  }

  octets(what: string): Uint8Array {
    return this.element(TAG.octetString, what).content;
  }

  /** Content octets of the OBJECT IDENTIFIER as hex. */
  oid(what: string): string {
    const { content } = this.element(TAG.oid, what);
    // X.690 §8.19.2: the octets of one number go on while bit 8 is set, and the first is not an empty 0x80.
    let startsNumber = true;
    for (const octet of content) {
      if (startsNumber && octet === 0x80) throw this.#bad(what, 'padded object identifier');
      startsNumber = octet < 0x80;
    }
    if (content.length === 0 || !startsNumber) throw this.#bad(what, 'object identifier');
    return toHex(content);
  }

  boolean(what: string): boolean {
    const { content } = this.element(TAG.boolean, what);
    const value = content[0];
    if (content.length !== 1 || (value !== 0x00 && value !== 0xff))
      throw this.#bad(what, 'boolean');
    return value === 0xff;
  }

  /** A non-negative INTEGER as its magnitude, without the sign octet. Zero is one zero byte. */
  unsigned(what: string): Uint8Array {
    return this.#magnitude(this.element(TAG.integer, what).content, what);
  }

  /** A non-negative INTEGER of at most `max`. */
  small(max: number, what: string): number {
    return this.#smallFrom(this.unsigned(what), max, what);
  }

  enumerated(max: number, what: string): number {
    const content = this.element(TAG.enumerated, what).content;
    return this.#smallFrom(this.#magnitude(content, what), max, what);
  }

  #magnitude(content: Uint8Array, what: string): Uint8Array {
    const [first, second] = content;
    if (first === undefined) throw this.#bad(what, 'empty integer');
    if (first >= 0x80) throw this.#bad(what, 'negative integer');
    if (first !== 0 || second === undefined) return content;
    if (second < 0x80) throw this.#bad(what, 'integer not minimal');
    return content.subarray(1);
  }

  #smallFrom(magnitude: Uint8Array, max: number, what: string): number {
    if (magnitude.length > LENGTH_BYTES_MAX) throw this.#bad(what, 'integer too large');
    let value = 0;
    for (const byte of magnitude) value = value * 256 + byte;
    if (value > max) throw this.#bad(what, `integer above ${max}`);
    return value;
  }

  /** A BIT STRING without unused bits. */
  wholeBits(what: string): Uint8Array {
    const { content } = this.element(TAG.bitString, what);
    if (content[0] !== 0) throw this.#bad(what, 'unused bits');
    return content.subarray(1);
  }

  /**
   * A named-bit list such as KeyUsage: bit 0 is the most significant of the first octet. DER leaves out trailing zero
   * bits; `isMinimal` says whether the writer did (X.690 §11.2.2). AMD's CA certificates keep them.
   */
  namedBits(what: string): { readonly bits: ReadonlySet<number>; readonly isMinimal: boolean } {
    const { content } = this.element(TAG.bitString, what);
    const unused = content[0];
    const last = content[content.length - 1];
    if (unused === undefined || unused > 7 || last === undefined) throw this.#bad(what, 'bits');
    if (content.length > 1 + NAMED_BITS_MAX_BYTES) throw this.#bad(what, 'too many bits');
    const bits = new Set<number>();
    if (content.length === 1) {
      if (unused !== 0) throw this.#bad(what, 'bits');
      return { bits, isMinimal: true };
    }
    if ((last & ((1 << unused) - 1)) !== 0) throw this.#bad(what, 'unused bits are set');
    content.subarray(1).forEach((byte, at) => {
      for (let bit = 0; bit < 8; bit++) if ((byte & (0x80 >> bit)) !== 0) bits.add(at * 8 + bit);
    });
    return { bits, isMinimal: (last & (1 << unused)) !== 0 };
  }

  /** UTCTime or GeneralizedTime in the only form that certificates may use; Unix ms. */
  time(what: string): number {
    const isUtc = this.nextIs(TAG.utcTime);
    const { content } = this.element(isUtc ? TAG.utcTime : TAG.generalizedTime, what);
    const yearDigits = isUtc ? 2 : 4;
    if (content.length !== yearDigits + 11 || content[yearDigits + 10] !== ASCII_Z) {
      throw this.#bad(what, 'time form');
    }
    const century = isUtc ? 0 : this.#twoDigits(content, 0, what) * 100;
    const short = century + this.#twoDigits(content, yearDigits - 2, what);
    // RFC 5280 §4.1.2.5: two digits mean 1950 to 2049, and only later years take four.
    if (!isUtc && short < 2050) throw this.#bad(what, 'time form');
    const year = isUtc ? short + (short < 50 ? 2000 : 1900) : short;
    const month = this.#twoDigits(content, yearDigits, what);
    const day = this.#twoDigits(content, yearDigits + 2, what);
    const hour = this.#twoDigits(content, yearDigits + 4, what);
    const minute = this.#twoDigits(content, yearDigits + 6, what);
    const second = this.#twoDigits(content, yearDigits + 8, what);
    const isDay = month >= 1 && month <= 12 && day >= 1 && day <= lastDay(year, month);
    if (!isDay || hour > 23 || minute > 59 || second > 59) throw this.#bad(what, 'time range');
    return Date.UTC(year, month - 1, day, hour, minute, second);
  }

  #twoDigits(content: Uint8Array, at: number, what: string): number {
    const tens = (content[at] ?? 0) - ASCII_0;
    const ones = (content[at + 1] ?? 0) - ASCII_0;
    if (tens < 0 || tens > 9 || ones < 0 || ones > 9) throw this.#bad(what, 'time digits');
    return tens * 10 + ones;
  }
}

const ASCII_0 = 0x30;
const ASCII_Z = 0x5a;

function lastDay(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

const SIGNATURE_HALF = 32;

/** ECDSA-Sig-Value (RFC 3279 §2.2.3) to r‖s of 64 bytes. Throws `der.malformed`. */
export function signatureToRaw(der: Uint8Array): Uint8Array {
  const outer = DerReader.over(der, 80);
  const pair = outer.sequence('signature');
  outer.end('signature');
  const out = new Uint8Array(2 * SIGNATURE_HALF);
  for (const end of [SIGNATURE_HALF, 2 * SIGNATURE_HALF]) {
    const value = pair.unsigned('signature half');
    if (value.length > SIGNATURE_HALF) throw derError('der.malformed', 'signature half too long');
    out.set(value, end - value.length);
  }
  pair.end('signature halves');
  return out;
}
