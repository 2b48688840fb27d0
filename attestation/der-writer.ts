/**
 * The few DER values that certificates, revocation lists and the vendors' extensions are made of. It writes what it is
 * told, so that tests can write what no authority would. Spec: ITU-T X.690 §8 and §10.
 * @module
 */

import { TAG } from './der.ts';
import { concat, utf8 } from '../core/bytes.ts';
import { formatInstant } from '../core/clock.ts';
import { assert } from '../core/errors.ts';

const SHORT_LENGTH_MAX = 0x7f;
const ONE_BYTE_LENGTH = 0x81;
const TWO_BYTE_LENGTH = 0x82;
const CONTEXT_CONSTRUCTED = 0xa0;
const CONTEXT_NUMBER_MAX = 30;

export function derValue(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concat(...content);
  return concat(Uint8Array.of(tag), derLength(body.length), body);
}

export function derSequence(...content: readonly Uint8Array[]): Uint8Array {
  return derValue(TAG.sequence, ...content);
}

/** `[number]`, constructed: an explicit tag around its content. */
export function derContext(number: number, ...content: readonly Uint8Array[]): Uint8Array {
  assert(number >= 0 && number <= CONTEXT_NUMBER_MAX, 'DER context tag');
  return derValue(CONTEXT_CONSTRUCTED + number, ...content);
}

export function derOctets(bytes: Uint8Array): Uint8Array {
  return derValue(TAG.octetString, bytes);
}

/** A BIT STRING of whole octets. */
export function derBits(bytes: Uint8Array): Uint8Array {
  return derValue(TAG.bitString, Uint8Array.of(0), bytes);
}

export function derBoolean(value: boolean): Uint8Array {
  return derValue(TAG.boolean, Uint8Array.of(value ? 0xff : 0));
}

export function derNull(): Uint8Array {
  return Uint8Array.of(0x05, 0);
}

/** ASCII only. */
export function derIa5(text: string): Uint8Array {
  return derValue(TAG.ia5String, utf8(text));
}

/** Small and not negative. */
export function derEnumerated(value: number): Uint8Array {
  assert(Number.isInteger(value) && value >= 0 && value <= SHORT_LENGTH_MAX, 'DER ENUMERATED');
  return derValue(TAG.enumerated, Uint8Array.of(value));
}

/** 0 to 65535. */
export function derInteger(value: number): Uint8Array {
  assert(Number.isInteger(value) && value >= 0 && value <= 0xffff, 'DER INTEGER');
  return derUnsigned(Uint8Array.of(value >>> 8, value & 0xff));
}

/** The INTEGER with this big-endian magnitude. Leading zeros go; from 128 on one comes back to keep it positive. */
export function derUnsigned(magnitude: Uint8Array): Uint8Array {
  const first = magnitude.findIndex((octet) => octet !== 0);
  const octets = first === -1 ? Uint8Array.of(0) : magnitude.subarray(first);
  const sign = (octets[0] ?? 0) > 0x7f ? Uint8Array.of(0) : new Uint8Array();
  return derValue(TAG.integer, sign, octets);
}

/** Dotted decimal, first arc 0 to 2. */
export function derOid(dotted: string): Uint8Array {
  const [first, second, ...arcs] = dotted.split('.').map(Number);
  assert(first !== undefined && second !== undefined, 'an OID has two arcs at least');
  return derValue(TAG.oid, Uint8Array.from([first * 40 + second, ...arcs].flatMap(base128)));
}

/** UTCTime from 1950 to 2049, GeneralizedTime after that (RFC 5280 §4.1.2.5). Fractions of a second go. */
export function derTime(ms: number): Uint8Array {
  const digits = formatInstant(ms).replaceAll(/\D/g, '').slice(0, 14);
  const year = Number(digits.slice(0, 4));
  if (year >= 2050) return derValue(TAG.generalizedTime, utf8(`${digits}Z`));
  assert(year >= 1950, 'DER time');
  return derValue(TAG.utcTime, utf8(`${digits.slice(2)}Z`));
}

function base128(arc: number): readonly number[] {
  const digits = [arc & 0x7f];
  for (let rest = arc >>> 7; rest > 0; rest >>>= 7) digits.unshift((rest & 0x7f) | 0x80);
  return digits;
}

function derLength(size: number): Uint8Array {
  assert(size <= 0xffff, 'DER length');
  if (size <= SHORT_LENGTH_MAX) return Uint8Array.of(size);
  if (size <= 0xff) return Uint8Array.of(ONE_BYTE_LENGTH, size);
  return Uint8Array.of(TWO_BYTE_LENGTH, size >>> 8, size & 0xff);
}
