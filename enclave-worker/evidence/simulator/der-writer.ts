/**
 * The few DER values that Intel's certificate extension is made of. Spec: ITU-T X.690 §8.
 * @module
 */

import { TAG } from '../../../attestation/der.ts';
import { concat } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';

const SHORT_LENGTH_MAX = 0x7f;
const ONE_BYTE_LENGTH = 0x81;
const TWO_BYTE_LENGTH = 0x82;

export function derValue(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concat(...content);
  return concat(Uint8Array.of(tag), derLength(body.length), body);
}

export function derSequence(...content: readonly Uint8Array[]): Uint8Array {
  return derValue(TAG.sequence, ...content);
}

export function derOctets(bytes: Uint8Array): Uint8Array {
  return derValue(TAG.octetString, bytes);
}

export function derBoolean(value: boolean): Uint8Array {
  return derValue(TAG.boolean, Uint8Array.of(value ? 0xff : 0));
}

/** Small and not negative. */
export function derEnumerated(value: number): Uint8Array {
  assert(Number.isInteger(value) && value >= 0 && value <= SHORT_LENGTH_MAX, 'DER ENUMERATED');
  return derValue(TAG.enumerated, Uint8Array.of(value));
}

/** 0 to 65535. From 128 on a leading zero octet keeps the number positive. */
export function derInteger(value: number): Uint8Array {
  assert(Number.isInteger(value) && value >= 0 && value <= 0xffff, 'DER INTEGER');
  const octets = value > 0xff ? [value >>> 8, value & 0xff] : [value];
  if ((octets[0] ?? 0) > 0x7f) octets.unshift(0);
  return derValue(TAG.integer, Uint8Array.from(octets));
}

/** Dotted decimal, first arc 0 to 2. */
export function derOid(dotted: string): Uint8Array {
  const [first, second, ...arcs] = dotted.split('.').map(Number);
  assert(first !== undefined && second !== undefined, 'an OID has two arcs at least');
  return derValue(TAG.oid, Uint8Array.from([first * 40 + second, ...arcs].flatMap(base128)));
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
