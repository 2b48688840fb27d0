/**
 * The regular expressions of `pattern` that are regular: literals, classes, groups, alternatives, counted repetition,
 * anchors at the ends, and lookahead at the top. Everything else is refused. A pattern is searched for, so what is not
 * anchored may be surrounded by anything. Spec: ECMA-262 §22.2.1 with the flag `u`; JSON Schema 2020-12 §6.3.3, §6.4.
 * @module
 */

import {
  charSet,
  charsOf,
  complement,
  intersection,
  ONE_UNIT_CHARS,
  union,
  type CharSet,
} from './char-set.ts';
import { PATTERN_DEPTH_MAX, REPEAT_MAX } from './limits.ts';
import type { Expression, Regular } from './regular.ts';

/** Undefined: not a pattern that this compiler honours. */
export function parsePattern(regular: Regular, pattern: string): Expression | undefined {
  return new PatternReader(regular, Array.from(pattern)).whole();
}

const DIGITS = charSet([0x30, 0x39]);
const WORD = charSet([0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a]);
const SPACE = charsOf(
  '\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff',
);
const LINE_ENDS = charsOf('\n\r\u2028\u2029');

const CLASS_ESCAPES: Readonly<Record<string, CharSet>> = { d: DIGITS, w: WORD, s: SPACE };
const CHAR_ESCAPES: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  f: '\f',
  v: '\v',
};
/**
 * What a negation leaves: characters that are one UTF-16 unit. Validators disagree about the others, because many run
 * patterns without the flag `u`. A pattern that names such a character has it.
 */
function others(set: CharSet): CharSet {
  return intersection(complement(set), ONE_UNIT_CHARS);
}

/** What may stand after a backslash as itself; the hyphen because ever so many patterns have it. */
const SYNTAX = '^$\\.*+?()[]{}|/-\'"@#%&,:;<=>!~` ';
/** What ends or opens something and is no character by itself. */
const SPECIAL = '^$.*+?()[]{}|';
const LOOKAHEADS: Readonly<Record<string, boolean>> = { '(?=': true, '(?!': false };

/** Reads until something is not as it should be; from then on everything is undefined. */
class PatternReader {
  readonly #regular: Regular;
  readonly #chars: readonly string[];
  #at = 0;
  /** Whether anything was read that leaves out characters of two units, see `others`. */
  #hasLeftOut = false;

  constructor(regular: Regular, chars: readonly string[]) {
    this.#regular = regular;
    this.#chars = chars;
  }

  whole(): Expression | undefined {
    const branches = this.#branches(() => this.#searched());
    return this.#at === this.#chars.length ? branches : undefined;
  }

  #take(text: string): boolean {
    const found = this.#peek(text);
    if (found) this.#at += text.length;
    return found;
  }

  #peek(text: string): boolean {
    return Array.from(text).every((char, index) => this.#chars[this.#at + index] === char);
  }

  #branches(branch: () => Expression | undefined): Expression | undefined {
    const parts: Expression[] = [];
    do {
      const part = branch();
      if (part === undefined) return undefined;
      parts.push(part);
    } while (this.#take('|'));
    return this.#regular.or(parts);
  }

  /** One alternative at the top: anchors, lookaheads, then the parts. */
  #searched(): Expression | undefined {
    const { all } = this.#regular;
    const anchored = this.#take('^');
    const body = this.#topSequence();
    if (body === undefined) return undefined;
    return anchored ? body : this.#regular.concat(all, body);
  }

  /** A lookahead is about everything that follows it, to the end of the text. */
  #topSequence(): Expression | undefined {
    const regular = this.#regular;
    const parts: Expression[] = [];
    for (;;) {
      const lookahead = Object.keys(LOOKAHEADS).find((text) => this.#peek(text));
      if (lookahead !== undefined) {
        const ahead = this.#lookahead(lookahead);
        const rest = this.#topSequence();
        if (ahead === undefined || rest === undefined) return undefined;
        return regular.sequence([...parts, regular.and([ahead, rest])]);
      }
      if (this.#take('$')) return this.#atBranchEnd() ? regular.sequence(parts) : undefined;
      if (this.#atBranchEnd()) return regular.sequence([...parts, regular.all]);
      const part = this.#repeated(0);
      if (part === undefined) return undefined;
      parts.push(part);
    }
  }

  #lookahead(opening: string): Expression | undefined {
    this.#take(opening);
    const regular = this.#regular;
    const hadLeftOut = this.#hasLeftOut;
    this.#hasLeftOut = false;
    const inner = this.#branches(() => {
      const parts: Expression[] = [];
      while (!this.#atBranchEnd()) {
        if (this.#take('$')) return this.#atBranchEnd() ? regular.sequence(parts) : undefined;
        const part = this.#repeated(1);
        if (part === undefined) return undefined;
        parts.push(part);
      }
      return regular.sequence([...parts, regular.all]);
    });
    const leavesOut = this.#hasLeftOut;
    this.#hasLeftOut ||= hadLeftOut;
    if (inner === undefined || !this.#take(')')) return undefined;
    if (LOOKAHEADS[opening] === true) return inner;
    // What is left out of the inside would be let in here, and the texts that it forbids with it.
    return leavesOut ? regular.and([regular.not(inner), this.#oneUnitText()]) : regular.not(inner);
  }

  #oneUnitText(): Expression {
    return this.#regular.repeat(this.#regular.set(ONE_UNIT_CHARS), 0, Infinity);
  }

  #others(set: CharSet): CharSet {
    this.#hasLeftOut = true;
    return others(set);
  }

  #atBranchEnd(): boolean {
    return this.#at >= this.#chars.length || this.#peek('|') || this.#peek(')');
  }

  #repeated(depth: number): Expression | undefined {
    const atom = this.#atom(depth);
    if (atom === undefined) return undefined;
    const bounds = this.#quantifier();
    if (bounds === undefined) return undefined;
    const [min, max] = bounds;
    if (min === 1 && max === 1) return atom;
    // A lazy one finds another match of the same texts.
    this.#take('?');
    return this.#regular.repeat(atom, min, max);
  }

  #quantifier(): readonly [min: number, max: number] | undefined {
    if (this.#take('*')) return [0, Infinity];
    if (this.#take('+')) return [1, Infinity];
    if (this.#take('?')) return [0, 1];
    if (!this.#take('{')) return [1, 1];
    const min = this.#count();
    if (min === undefined) return undefined;
    if (this.#take('}')) return bounded(min, min);
    if (!this.#take(',')) return undefined;
    if (this.#take('}')) return bounded(min, Infinity);
    const max = this.#count();
    return max !== undefined && this.#take('}') ? bounded(min, max) : undefined;
  }

  #count(): number | undefined {
    const start = this.#at;
    while (/^[0-9]$/.test(this.#chars[this.#at] ?? '')) this.#at++;
    const digits = this.#chars.slice(start, this.#at).join('');
    return digits === '' || digits.length > 4 ? undefined : Number(digits);
  }

  #atom(depth: number): Expression | undefined {
    if (this.#take('.')) return this.#regular.set(this.#others(LINE_ENDS));
    if (this.#take('[')) return this.#class();
    if (this.#take('(')) return this.#group(depth);
    if (this.#take('\\')) {
      const set = this.#escape();
      return set === undefined ? undefined : this.#regular.set(set);
    }
    const char = this.#chars[this.#at];
    if (char === undefined || SPECIAL.includes(char)) return undefined;
    this.#at++;
    return this.#regular.set(charsOf(char));
  }

  #group(depth: number): Expression | undefined {
    if (depth >= PATTERN_DEPTH_MAX) return undefined;
    if (this.#peek('?') && !this.#take('?:')) return undefined;
    const inner = this.#branches(() => {
      const parts: Expression[] = [];
      while (!this.#atBranchEnd()) {
        const part = this.#repeated(depth + 1);
        if (part === undefined) return undefined;
        parts.push(part);
      }
      return this.#regular.sequence(parts);
    });
    return this.#take(')') ? inner : undefined;
  }

  /** After the backslash. */
  #escape(): CharSet | undefined {
    const char = this.#chars[this.#at++];
    if (char === undefined) return undefined;
    const name = char.toLowerCase();
    const set = Object.hasOwn(CLASS_ESCAPES, name) ? CLASS_ESCAPES[name] : undefined;
    if (set !== undefined) return char === name ? set : this.#others(set);
    if (char === 'x') return this.#hex(2);
    if (char === 'u') return this.#take('{') ? this.#bracedHex() : this.#hex(4);
    if (char === '0' && !/^[0-9]$/.test(this.#chars[this.#at] ?? '')) return charSet([0, 0]);
    const control = Object.hasOwn(CHAR_ESCAPES, char) ? CHAR_ESCAPES[char] : undefined;
    if (control !== undefined) return charsOf(control);
    return SYNTAX.includes(char) ? charsOf(char) : undefined;
  }

  #hex(digits: number): CharSet | undefined {
    const text = this.#chars.slice(this.#at, this.#at + digits).join('');
    if (text.length !== digits || !/^[0-9A-Fa-f]+$/.test(text)) return undefined;
    this.#at += digits;
    return oneChar(Number.parseInt(text, 16));
  }

  #bracedHex(): CharSet | undefined {
    const end = this.#chars.indexOf('}', this.#at);
    const text = this.#chars.slice(this.#at, end).join('');
    if (end < 0 || !/^[0-9A-Fa-f]{1,6}$/.test(text)) return undefined;
    this.#at = end + 1;
    return oneChar(Number.parseInt(text, 16));
  }

  /** After the opening bracket. */
  #class(): Expression | undefined {
    const negated = this.#take('^');
    const sets: CharSet[] = [];
    while (!this.#take(']')) {
      const set = this.#classRange();
      if (set === undefined) return undefined;
      sets.push(set);
    }
    const set = union(...sets);
    return this.#regular.set(negated ? this.#others(set) : set);
  }

  #classRange(): CharSet | undefined {
    const low = this.#classChar();
    if (low === undefined || !this.#peek('-') || this.#chars[this.#at + 1] === ']') return low;
    this.#take('-');
    const high = this.#classChar();
    const [first, last] = [single(low), high === undefined ? undefined : single(high)];
    if (first === undefined || last === undefined || first > last) return undefined;
    return charSet([first, last]);
  }

  #classChar(): CharSet | undefined {
    if (this.#take('\\')) return this.#take('b') ? charsOf('\b') : this.#escape();
    const char = this.#chars[this.#at];
    if (char === undefined || char === '[') return undefined;
    this.#at++;
    return charsOf(char);
  }
}

function bounded(min: number, max: number): readonly [number, number] | undefined {
  if (min > max || min > REPEAT_MAX || (max !== Infinity && max > REPEAT_MAX)) return undefined;
  return [min, max];
}

/** Half a character is none. */
function oneChar(code: number): CharSet | undefined {
  const set = charSet([code, code]);
  return set.length === 0 ? undefined : set;
}

function single(set: CharSet): number | undefined {
  const [range, more] = set;
  if (range === undefined || more !== undefined || range[0] !== range[1]) return undefined;
  return range[0];
}
