/**
 * Numbers between bounds as regular expressions. Bounds are compared digit by digit, never by rounding: every text has
 * at most 15 significant digits, so that two texts that differ are two different doubles in the same order.
 * Spec: RFC 8259 §6; IEEE 754 (15 decimal digits survive a double).
 * @module
 */

import { charSet } from './char-set.ts';
import { INTEGER_DIGITS_MAX, SIGNIFICANT_DIGITS_MAX } from './limits.ts';
import type { Bound, NumberBounds } from './nodes.ts';
import type { Expression, Regular } from './regular.ts';

/** A size without its sign, as decimal digits; the fraction does not end in a zero. */
interface Size {
  readonly whole: string;
  readonly fraction: string;
  readonly inclusive: boolean;
}

const ZERO: Size = { whole: '0', fraction: '', inclusive: true };
const BEYOND = '9'.repeat(INTEGER_DIGITS_MAX);

/** The bound that has more digits than can be compared. */
export function incomparableBound({ low, high }: NumberBounds): Bound | undefined {
  return [low, high].find((bound) => bound !== undefined && digitsOf(bound.value) === undefined);
}

/** Both bounds can be compared. An expression without any text: nothing is between. */
export function numbersBetween(regular: Regular, bounds: NumberBounds): Expression {
  const [low, high] = [boundOf(bounds.low, 'low'), boundOf(bounds.high, 'high')];
  const sizes = new Sizes(regular, bounds.whole);
  const positive =
    high?.sign === -1
      ? regular.none
      : sizes.between(low?.sign === 1 ? low.size : ZERO, high?.sign === 1 ? high.size : undefined);
  const least = high?.sign === -1 ? high.size : { ...ZERO, inclusive: false };
  const negative =
    low?.sign === 1 ? regular.none : sizes.between(least, low?.sign === -1 ? low.size : undefined);
  return regular.or([positive, regular.concat(regular.text('-'), negative)]);
}

interface Signed {
  readonly sign: 1 | -1;
  readonly size: Size;
}

/** Zero counts as positive: what is below it is written with a sign, what is not is not. */
function boundOf(bound: Bound | undefined, side: 'low' | 'high'): Signed | undefined {
  const digits = bound === undefined ? undefined : digitsOf(bound.value);
  if (bound === undefined || digits === undefined) return undefined;
  const { value, inclusive } = bound;
  const sign = value < 0 ? -1 : 1;
  if (digits !== 'beyond') return { sign, size: { ...digits, inclusive } };
  // No text is that large: it excludes nothing, or everything.
  const excludesNothing = (side === 'low') === value < 0;
  const size = { whole: BEYOND, fraction: '', inclusive: false };
  return excludesNothing ? undefined : { sign, size };
}

function digitsOf(value: number): Omit<Size, 'inclusive'> | 'beyond' | undefined {
  const size = Math.abs(value);
  if (size > Number(BEYOND)) return 'beyond';
  const [, whole, fraction = ''] = /^(\d+)(?:\.(\d+))?$/.exec(String(size)) ?? [];
  if (whole === undefined || whole.length + fraction.length > SIGNIFICANT_DIGITS_MAX)
    return undefined;
  return { whole, fraction };
}

class Sizes {
  readonly #regular: Regular;
  readonly #whole: boolean;
  readonly #digit: Expression;
  readonly #digits: Expression;
  readonly #zeros: Expression;

  constructor(regular: Regular, whole: boolean) {
    this.#regular = regular;
    this.#whole = whole;
    this.#digit = regular.set(charSet([0x30, 0x39]));
    this.#digits = regular.repeat(this.#digit, 0, Infinity);
    this.#zeros = regular.repeat(regular.text('0'), 0, Infinity);
  }

  between(low: Size, high: Size | undefined): Expression {
    const parts = [this.#form(), this.#atLeast(low)];
    if (high !== undefined) parts.push(this.#atMost(high));
    return this.#regular.and(parts);
  }

  /** JSON's way to write a number without sign and exponent, with no more digits than a double keeps. */
  #form(): Expression {
    const regular = this.#regular;
    const lead = regular.set(charSet([0x31, 0x39]));
    const more = regular.repeat(this.#digit, 0, INTEGER_DIGITS_MAX - 1);
    const whole = regular.or([regular.text('0'), regular.concat(lead, more)]);
    if (this.#whole) return whole;
    const fraction = regular.optional(this.#point(regular.concat(this.#digit, this.#digits)));
    const short = regular.repeat(regular.any, 1, SIGNIFICANT_DIGITS_MAX + 1);
    return regular.and([regular.concat(whole, fraction), short]);
  }

  #atLeast({ whole, fraction, inclusive }: Size): Expression {
    const regular = this.#regular;
    const next = String(Number(whole) + 1);
    const larger = regular.concat(this.#wholesFrom(next), this.#tail());
    return regular.or([
      larger,
      regular.concat(regular.text(whole), this.#tailFrom(fraction, inclusive)),
    ]);
  }

  #atMost({ whole, fraction, inclusive }: Size): Expression {
    const regular = this.#regular;
    const smaller =
      whole === '0'
        ? regular.none
        : regular.concat(this.#wholesTo(String(Number(whole) - 1)), this.#tail());
    return regular.or([
      smaller,
      regular.concat(regular.text(whole), this.#tailTo(fraction, inclusive)),
    ]);
  }

  /** Whatever comes after the whole part. */
  #tail(): Expression {
    return this.#regular.optional(this.#point(this.#digits));
  }

  #point(digits: Expression): Expression {
    return this.#regular.concat(this.#regular.text('.'), digits);
  }

  #tailFrom(fraction: string, inclusive: boolean): Expression {
    const from = this.#point(this.#digitsFrom(fraction, inclusive));
    return fraction === '' && inclusive ? this.#regular.optional(from) : from;
  }

  #tailTo(fraction: string, inclusive: boolean): Expression {
    const to = this.#point(this.#digitsTo(fraction, inclusive));
    return fraction !== '' || inclusive ? this.#regular.optional(to) : to;
  }

  /** Digits after the point whose value is not below those of `least`. */
  #digitsFrom(least: string, inclusive: boolean): Expression {
    const regular = this.#regular;
    const [digit] = least;
    if (digit !== undefined) {
      return this.#step(digit, '9', this.#digitsFrom(least.slice(1), inclusive));
    }
    if (inclusive) return this.#digits;
    const nonzero = regular.set(charSet([0x31, 0x39]));
    return regular.sequence([this.#zeros, nonzero, this.#digits]);
  }

  #digitsTo(most: string, inclusive: boolean): Expression {
    const regular = this.#regular;
    const [digit] = most;
    if (digit === undefined) return inclusive ? this.#zeros : regular.none;
    // To end here is to go on with zeros, which is less, because what is left of `most` is not zero.
    return regular.optional(this.#step(digit, '0', this.#digitsTo(most.slice(1), inclusive)));
  }

  /** A digit between `digit` and `end`, but not `digit`, and then anything; or `digit`, and then `rest`. */
  #step(digit: string, end: '0' | '9', rest: Expression): Expression {
    const regular = this.#regular;
    const code = digit.charCodeAt(0);
    const others = end === '9' ? charSet([code + 1, 0x39]) : charSet([0x30, code - 1]);
    const free = digit === end ? regular.none : regular.set(others);
    return regular.or([
      regular.concat(free, this.#digits),
      regular.concat(regular.text(digit), rest),
    ]);
  }

  /** Whole numbers of at least `least`: more digits, or as many that are not less. */
  #wholesFrom(least: string): Expression {
    const regular = this.#regular;
    const lead = regular.set(charSet([0x31, 0x39]));
    const longer = regular.concat(lead, regular.repeat(this.#digit, least.length, Infinity));
    return regular.or([longer, this.#sameLength(least, '9')]);
  }

  #wholesTo(most: string): Expression {
    const regular = this.#regular;
    const lead = regular.set(charSet([0x31, 0x39]));
    const shorter =
      most.length === 1
        ? regular.none
        : regular.or([
            regular.text('0'),
            regular.concat(lead, regular.repeat(this.#digit, 0, most.length - 2)),
          ]);
    return regular.or([shorter, this.#sameLength(most, '0')]);
  }

  /** Numbers of as many digits as `bound`, on the side of `end`. */
  #sameLength(bound: string, end: '0' | '9'): Expression {
    const regular = this.#regular;
    const [digit, ...rest] = bound;
    if (digit === undefined) return regular.empty;
    const code = digit.charCodeAt(0);
    const others = end === '9' ? charSet([code + 1, 0x39]) : charSet([0x30, code - 1]);
    const free = digit === end ? regular.none : regular.set(others);
    return regular.or([
      regular.concat(free, regular.repeat(this.#digit, rest.length, rest.length)),
      regular.concat(regular.text(digit), this.#sameLength(rest.join(''), end)),
    ]);
  }
}
