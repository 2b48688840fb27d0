/**
 * Which Ed25519 keys a channel may be opened with. Verifiers agree on every signature under an honest key and disagree
 * under others, so that a gateway could accept what the chain refuses: a non-canonical encoding, a point of small order
 * (anybody can sign for it), or no point at all. Arithmetic on public values, once per channel; nothing here signs or
 * verifies. Spec: RFC 8032 §5.1.3, §5.1.4; ton-settlement §3.4.
 * @module
 */

import type { Bytes } from '../core/bytes.ts';

const P = 2n ** 255n - 19n;
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;

export type PayerKeyVerdict = 'sound' | 'non_canonical' | 'not_a_point' | 'small_order';

export function appraisePayerKey(key: Bytes<32>): PayerKeyVerdict {
  const { y, sign } = coordinatesOf(key);
  if (y >= P) return 'non_canonical';
  // x² from the curve −x² + y² = 1 + d·x²·y². The denominator is never zero, because −1/d is no square.
  const y2 = mod(y * y);
  const x2 = mod((y2 - 1n) * inverse(D * y2 + 1n));
  // Zero has one root, so its sign bit says nothing: set, it is a second name for the same point.
  if (x2 === 0n && sign) return 'non_canonical';
  if (x2 !== 0n && power(x2, (P - 1n) / 2n) !== 1n) return 'not_a_point';
  return isSmallOrder(y) ? 'small_order' : 'sound';
}

/** Eight times the point is the neutral one (0, 1). Doubling needs y only: y' = (y² + x²) / (2 + x² − y²). */
function isSmallOrder(start: bigint): boolean {
  let y = start;
  for (let doubling = 0; doubling < 3; doubling++) {
    const y2 = mod(y * y);
    const x2 = mod((y2 - 1n) * inverse(D * y2 + 1n));
    y = mod((y2 + x2) * inverse(2n + x2 - y2));
  }
  return y === 1n;
}

/** Little-endian y, with the sign of x in the top bit. */
function coordinatesOf(key: Bytes<32>): { readonly y: bigint; readonly sign: boolean } {
  let value = 0n;
  for (let at = key.length - 1; at >= 0; at--) value = (value << 8n) | BigInt(key[at] ?? 0);
  return { y: BigInt.asUintN(255, value), sign: value >> 255n === 1n };
}

function mod(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, mod(base)];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

function inverse(value: bigint): bigint {
  return power(value, P - 2n);
}
