/**
 * Whether a public key may open a channel. The virtual machine and node:crypto accept signatures under keys that everybody
 * can sign for; vouchers under such a key would be anybody's. Checks the encoding and the small subgroup; that somebody
 * holds the secret half is shown by the first voucher. Public values only, so nothing here needs constant time.
 * Spec: RFC 8032 §5.1.3 (decoding); ton-settlement §3.4, §4.6.
 * @module
 */

import { toHex, type Bytes } from '../../../core/bytes.ts';

export type ChannelKeyProblem = 'non-canonical' | 'not-on-curve' | 'small-order';

const P = (1n << 255n) - 19n;
/** −121665/121666 of the curve equation −x² + y² = 1 + d·x²·y². */
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const Y_MASK = (1n << 255n) - 1n;

/** Undefined when the key is sound. */
export function channelKeyProblem(key: Bytes<32>): ChannelKeyProblem | undefined {
  const encoded = BigInt(`0x${toHex(Uint8Array.from(key).reverse())}`);
  const y = encoded & Y_MASK;
  const isXOdd = encoded >> 255n === 1n;
  if (y >= P) return 'non-canonical';
  const y2 = (y * y) % P;
  const denominator = (D * y2 + 1n) % P;
  const x2 = mod((y2 - 1n) * power(denominator, P - 2n));
  // x = 0 has no odd form: the same point would have two encodings.
  if (x2 === 0n && isXOdd) return 'non-canonical';
  if (x2 !== 0n && power(x2, (P - 1n) / 2n) !== 1n) return 'not-on-curve';
  return isSmallOrder(x2, y2) ? 'small-order' : undefined;
}

/** Orders 1 and 2 have x = 0, order 4 has y = 0, and of order 8 are the points that double into y = 0: x² = −y². */
function isSmallOrder(x2: bigint, y2: bigint): boolean {
  return x2 === 0n || y2 === 0n || mod(x2 + y2) === 0n;
}

function mod(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let [result, square] = [1n, mod(base)];
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
}
