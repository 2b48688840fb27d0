/**
 * Binary HTTP, strict: the known-length request and the indeterminate-length response, one byte string per message (shortest
 * integers, lower-case names once each, no trailers, no padding, nothing truncated).
 * Spec: RFC 9292 §3; RFC 9000 §16 (integers); P§7. The allow-lists are in sx/inner.ts.
 * @module
 */

import { concat, utf8 } from '../core/bytes.ts';
import { assert, type VeilError } from '../core/errors.ts';

export type Fields = readonly (readonly [string, string])[];

/** Makes the error of the side that reads. */
export type Malformed = (what: string) => VeilError;

const KNOWN_LENGTH_REQUEST = 0;
const INDETERMINATE_RESPONSE = 3;
const END = Uint8Array.of(0);
/** No length of ours needs the 8-byte form. */
const INTEGER_MAX = 2 ** 30 - 1;

export function encodeInteger(value: number): Uint8Array {
  assert(Number.isInteger(value) && value >= 0 && value <= INTEGER_MAX, 'BHTTP integer');
  if (value < 0x40) return Uint8Array.of(value);
  if (value < 0x4000) return Uint8Array.of(0x40 | (value >>> 8), value & 0xff);
  return Uint8Array.of(
    0x80 | (value >>> 24),
    (value >>> 16) & 0xff,
    (value >>> 8) & 0xff,
    value & 0xff,
  );
}

/** A cursor that knows BHTTP's integers and strings. */
class Cursor {
  readonly #bytes: Uint8Array;
  readonly #malformed: Malformed;
  #at = 0;

  constructor(bytes: Uint8Array, malformed: Malformed) {
    this.#bytes = bytes;
    this.#malformed = malformed;
  }

  get isAtEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  take(size: number): Uint8Array {
    if (size > this.#bytes.length - this.#at) throw this.#malformed('cut');
    this.#at += size;
    return this.#bytes.subarray(this.#at - size, this.#at);
  }

  integer(): number {
    const [first = 0] = this.take(1);
    const form = first >>> 6;
    if (form === 0) return first;
    if (form === 3) throw this.#malformed('integer');
    let value = first & 0x3f;
    for (const byte of this.take(form === 1 ? 1 : 3)) value = value * 256 + byte;
    if (value < (form === 1 ? 0x40 : 0x4000)) throw this.#malformed('integer');
    return value;
  }

  sized(): Uint8Array {
    return this.take(this.integer());
  }

  /** Visible ASCII and inner spaces. */
  text(bytes: Uint8Array, maxBytes: number): string {
    if (bytes.length === 0 || bytes.length > maxBytes) throw this.#malformed('text');
    const text = String.fromCharCode(...bytes);
    if (!/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(text)) throw this.#malformed('text');
    return text;
  }

  expectEnd(): void {
    if (!this.isAtEnd) throw this.#malformed('trailing');
  }
}

const FIELD_NAME_MAX_BYTES = 64;

export interface FieldLimits {
  readonly countMax: number;
  readonly valueMaxBytes: number;
}

function fieldLine(name: string, value: string): Uint8Array {
  const nameBytes = utf8(name);
  const valueBytes = utf8(value);
  return concat(
    encodeInteger(nameBytes.length),
    nameBytes,
    encodeInteger(valueBytes.length),
    valueBytes,
  );
}

/** Field lines of a reader already placed behind the section's length, or up to a zero name length. */
function readFieldLine(
  cursor: Cursor,
  nameBytes: Uint8Array,
  limits: FieldLimits,
): readonly [string, string] {
  return [
    cursor.text(nameBytes, FIELD_NAME_MAX_BYTES),
    cursor.text(cursor.sized(), limits.valueMaxBytes),
  ];
}

function addField(
  fields: (readonly [string, string])[],
  line: readonly [string, string],
  limits: FieldLimits,
  malformed: Malformed,
): void {
  if (fields.length === limits.countMax) throw malformed('too many fields');
  if (!/^[a-z0-9-]+$/.test(line[0])) throw malformed('field name');
  if (fields.some(([name]) => name === line[0])) throw malformed('repeated field');
  fields.push(line);
}

export interface BinaryRequest {
  readonly method: string;
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
  readonly fields: Fields;
  readonly content: Uint8Array;
}

export function encodeRequest(request: BinaryRequest): Uint8Array {
  const control = [request.method, request.scheme, request.authority, request.path].flatMap(
    (part) => [encodeInteger(utf8(part).length), utf8(part)],
  );
  const section = concat(...request.fields.map(([name, value]) => fieldLine(name, value)));
  return concat(
    encodeInteger(KNOWN_LENGTH_REQUEST),
    ...control,
    encodeInteger(section.length),
    section,
    encodeInteger(request.content.length),
    request.content,
    END, // trailer section of length 0
  );
}

const CONTROL_MAX_BYTES = 256;

/** `content` is a view of `bytes`. */
export function decodeRequest(
  bytes: Uint8Array,
  limits: FieldLimits,
  malformed: Malformed,
): BinaryRequest {
  const cursor = new Cursor(bytes, malformed);
  if (cursor.integer() !== KNOWN_LENGTH_REQUEST) throw malformed('framing');
  const method = cursor.text(cursor.sized(), CONTROL_MAX_BYTES);
  const scheme = cursor.text(cursor.sized(), CONTROL_MAX_BYTES);
  const authority = cursor.text(cursor.sized(), CONTROL_MAX_BYTES);
  const path = cursor.text(cursor.sized(), CONTROL_MAX_BYTES);
  const section = new Cursor(cursor.sized(), malformed);
  const fields: (readonly [string, string])[] = [];
  while (!section.isAtEnd) {
    addField(fields, readFieldLine(section, section.sized(), limits), limits, malformed);
  }
  const content = cursor.sized();
  if (cursor.integer() !== 0) throw malformed('trailers');
  cursor.expectEnd();
  return { method, scheme, authority, path, fields, content };
}

export interface ResponseHead {
  readonly status: number;
  readonly fields: Fields;
}

export function encodeResponseHead(head: ResponseHead): Uint8Array {
  return concat(
    encodeInteger(INDETERMINATE_RESPONSE),
    encodeInteger(head.status),
    ...head.fields.map(([name, value]) => fieldLine(name, value)),
    END,
  );
}

export function encodeContentChunk(content: Uint8Array): Uint8Array {
  assert(content.length > 0, 'a chunk has content');
  return concat(encodeInteger(content.length), content);
}

/** Ends the content and the (empty) trailer section. */
export const RESPONSE_END: Uint8Array = Uint8Array.of(0, 0);

export interface ResponsePiece {
  /** In the first piece only. */
  readonly head?: ResponseHead;
  readonly content: readonly Uint8Array[];
}

/**
 * Reads an indeterminate-length response that arrives in pieces: the head whole in the first one, and no chunk split between
 * two (P§7.4), so that nothing has to be kept.
 */
export class ResponseDecoder {
  readonly #limits: FieldLimits;
  readonly #malformed: Malformed;
  #state: 'head' | 'content' | 'ended' = 'head';

  constructor(limits: FieldLimits, malformed: Malformed) {
    this.#limits = limits;
    this.#malformed = malformed;
  }

  get isComplete(): boolean {
    return this.#state === 'ended';
  }

  push(piece: Uint8Array): ResponsePiece {
    const cursor = new Cursor(piece, this.#malformed);
    if (this.#state === 'head') {
      const head = this.#head(cursor);
      this.#state = 'content';
      return { head, content: this.#content(cursor) };
    }
    return { content: this.#content(cursor) };
  }

  #head(cursor: Cursor): ResponseHead {
    if (cursor.integer() !== INDETERMINATE_RESPONSE) throw this.#malformed('framing');
    const status = cursor.integer();
    // No informational responses: the first status is the answer.
    if (status < 200 || status > 599) throw this.#malformed('status');
    const fields: (readonly [string, string])[] = [];
    for (;;) {
      const nameLength = cursor.integer();
      if (nameLength === 0) return { status, fields };
      const line = readFieldLine(cursor, cursor.take(nameLength), this.#limits);
      addField(fields, line, this.#limits, this.#malformed);
    }
  }

  #content(cursor: Cursor): readonly Uint8Array[] {
    const content: Uint8Array[] = [];
    while (!cursor.isAtEnd) {
      if (this.#state === 'ended') throw this.#malformed('trailing');
      const length = cursor.integer();
      if (length > 0) {
        content.push(cursor.take(length));
        continue;
      }
      if (cursor.integer() !== 0) throw this.#malformed('trailers');
      this.#state = 'ended';
    }
    return content;
  }
}
