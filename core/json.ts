/**
 * JSON at the border. Signed and hashed documents go through `parseStrictJson`: one text, one meaning
 * (no byte order mark, no repeated member names, no trailing text, bounded depth). Spec: RFC 8259; RFC 8785
 * for `canonicalJson`.
 * @module
 */

import { fromUtf8, utf8 } from './bytes.ts';
import { assert, defineErrors, type ErrorSpec } from './errors.ts';

const MALFORMED: ErrorSpec = {
  status: 400,
  recovery: 'fix_request',
  public: 'The document is not valid JSON of the expected form.',
};

export const jsonError = defineErrors({
  'json.size': { ...MALFORMED, status: 413, public: 'The document is too large.' },
  'json.syntax': MALFORMED,
  'json.duplicate': MALFORMED,
  'json.depth': MALFORMED,
  'json.members': MALFORMED,
  'json.number': MALFORMED,
});

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [name: string]: Json };

export function isJsonObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export interface StrictJsonOptions {
  readonly maxBytes: number;
  readonly maxDepth?: number;
  /** Of values at all levels together: a short text can spell very many. */
  readonly maxValues?: number;
  /** Refuse fractions and exponents; integers must be safe. */
  readonly numbers: 'integers' | 'any';
}

export interface StrictJson {
  readonly value: Json;
  /** For a top-level object: where each member's value stands, as byte offsets [start, end). */
  readonly spans: ReadonlyMap<string, readonly [number, number]>;
}

const DEFAULT_MAX_DEPTH = 32;
const DEFAULT_MAX_VALUES = 1_000_000;
/** Of one object. Our documents and Intel's have dozens; beyond this somebody is filling memory. */
const MEMBERS_MAX = 10_000;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Throws `json.*`. The value's objects have no prototype. */
export function parseStrictJson(bytes: Uint8Array, options: StrictJsonOptions): StrictJson {
  if (bytes.length > options.maxBytes) {
    throw jsonError('json.size', `${bytes.length} > ${options.maxBytes}`);
  }
  return new Scanner(fromUtf8(bytes), bytes.length, options).document();
}

class Scanner {
  readonly #text: string;
  readonly #isAscii: boolean;
  readonly #maxDepth: number;
  readonly #maxValues: number;
  readonly #integersOnly: boolean;
  readonly #spans = new Map<string, readonly [number, number]>();
  #at = 0;
  #values = 0;
  #countedAt = 0;
  #countedBytes = 0;

  constructor(text: string, byteLength: number, options: StrictJsonOptions) {
    this.#text = text;
    this.#isAscii = text.length === byteLength;
    this.#maxDepth = options.maxDepth ?? DEFAULT_MAX_DEPTH;
    this.#maxValues = options.maxValues ?? DEFAULT_MAX_VALUES;
    this.#integersOnly = options.numbers === 'integers';
  }

  document(): StrictJson {
    this.#space();
    const value = this.#value(0);
    this.#space();
    if (this.#at !== this.#text.length) throw this.#bad('trailing text');
    return { value, spans: this.#spans };
  }

  #bad(what: string): Error {
    return jsonError('json.syntax', `${what} at ${this.#at}`);
  }

  /** Asked in rising order only, so that every character is counted once and a long document costs linear time. */
  #byteOffset(at: number): number {
    if (this.#isAscii) return at;
    this.#countedBytes += utf8(this.#text.slice(this.#countedAt, at)).length;
    this.#countedAt = at;
    return this.#countedBytes;
  }

  #space(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.#at++;
    }
  }

  #value(depth: number): Json {
    if (depth > this.#maxDepth) throw jsonError('json.depth', `at ${this.#at}`);
    if (++this.#values > this.#maxValues) throw jsonError('json.members', `at ${this.#at}`);
    const code = this.#text.charCodeAt(this.#at);
    if (code === 0x7b) return this.#object(depth);
    if (code === 0x5b) return this.#array(depth);
    if (code === QUOTE) return this.#string();
    if (code === 0x74) return this.#word('true', true);
    if (code === 0x66) return this.#word('false', false);
    if (code === 0x6e) return this.#word('null', null);
    return this.#number();
  }

  #word<T extends Json>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) throw this.#bad('unknown word');
    this.#at += word.length;
    return value;
  }

  #object(depth: number): JsonObject {
    // No prototype: a member called __proto__ is a member, nothing else.
    const out: { [name: string]: Json } = Object.create(null);
    this.#at++;
    this.#space();
    if (this.#text.charCodeAt(this.#at) === 0x7d) {
      this.#at++;
      return out;
    }
    for (let members = 1; ; members++) {
      if (members > MEMBERS_MAX) throw jsonError('json.members', `at ${this.#at}`);
      this.#space();
      if (this.#text.charCodeAt(this.#at) !== QUOTE) throw this.#bad('member name expected');
      const name = this.#string();
      if (name in out) throw jsonError('json.duplicate', `at ${this.#at}`);
      this.#space();
      if (this.#text.charCodeAt(this.#at) !== 0x3a) throw this.#bad('colon expected');
      this.#at++;
      this.#space();
      const start = this.#at;
      out[name] = this.#value(depth + 1);
      if (depth === 0) {
        this.#spans.set(name, [this.#byteOffset(start), this.#byteOffset(this.#at)]);
      }
      if (this.#closes(0x7d)) return out;
    }
  }

  #array(depth: number): readonly Json[] {
    const out: Json[] = [];
    this.#at++;
    this.#space();
    if (this.#text.charCodeAt(this.#at) === 0x5d) {
      this.#at++;
      return out;
    }
    for (;;) {
      this.#space();
      out.push(this.#value(depth + 1));
      if (this.#closes(0x5d)) return out;
    }
  }

  /** After a member: true at the closing bracket, false at a comma; the bracket or comma is consumed. */
  #closes(bracket: number): boolean {
    this.#space();
    const code = this.#text.charCodeAt(this.#at);
    if (code !== bracket && code !== 0x2c) throw this.#bad('comma or end expected');
    this.#at++;
    return code === bracket;
  }

  #string(): string {
    const start = this.#at;
    let escaped = false;
    for (let at = start + 1; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === QUOTE) {
        this.#at = at + 1;
        if (!escaped) return this.#text.slice(start + 1, at);
        return this.#unescape(start, at + 1);
      }
      if (code < 0x20) throw this.#bad('control character');
      if (code === BACKSLASH) {
        escaped = true;
        at++;
      }
    }
    throw this.#bad('unterminated string');
  }

  #unescape(start: number, end: number): string {
    try {
      const text: unknown = JSON.parse(this.#text.slice(start, end));
      if (typeof text !== 'string') throw this.#bad('string');
      if (!text.isWellFormed()) throw this.#bad('lone surrogate');
      return text;
    } catch {
      // The parser's message quotes the document; ours says where.
      throw this.#bad('string escape');
    }
  }

  #number(): number {
    const pattern = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
    pattern.lastIndex = this.#at;
    const match = pattern.exec(this.#text);
    if (match === null) throw this.#bad('value expected');
    this.#at += match[0].length;
    const value = Number(match[0]);
    if (this.#integersOnly && (!/^-?\d+$/.test(match[0]) || !Number.isSafeInteger(value))) {
      throw jsonError('json.number', 'integers only');
    }
    if (!Number.isFinite(value)) throw jsonError('json.number', 'not finite');
    return value;
  }
}

/** Ordinary JSON of unsigned bodies, bounded in size. Never echoes the text. Throws `json.size`, `json.syntax`. */
export function parseJson(bytes: Uint8Array, maxBytes: number): unknown {
  if (bytes.length > maxBytes) throw jsonError('json.size', `${bytes.length} > ${maxBytes}`);
  try {
    return JSON.parse(fromUtf8(bytes));
  } catch {
    // The engine's message quotes the document, so neither message nor cause is kept.
    throw jsonError('json.syntax');
  }
}

/** RFC 8785 for the subset we sign: strings, safe integers, booleans, null, arrays, objects. */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') {
    return JSON.stringify(value);
  }
  if (typeof value === 'number') {
    assert(Number.isSafeInteger(value), 'canonical JSON takes integers only');
    return String(value);
  }
  if (isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`);
  return `{${members.join(',')}}`;
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
