/**
 * Sizes as others see them. Spec: P§6.4 (requests: Padmé), P§10.4 (answers: multiples of 128).
 * @module
 */

import { assert } from '../../core/errors.ts';
import { REQUEST_PADDING_FLOOR_BYTES, RESPONSE_PADDING_BYTES } from './limits.ts';

/**
 * Padmé: keeps the top bits of the length and rounds the rest up, so a length tells O(log log n) bits and costs at most
 * 12 %. Spec: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and Communication with PURBs", PoPETs 2019, §4.
 */
export function padmeBytes(length: number): number {
  assert(Number.isSafeInteger(length) && length >= 0 && length < 2 ** 31, 'padded length');
  const floor = Math.max(length, REQUEST_PADDING_FLOOR_BYTES);
  const exponent = 31 - Math.clz32(floor);
  const kept = 32 - Math.clz32(exponent);
  const mask = 2 ** (exponent - kept) - 1;
  return Math.ceil(floor / (mask + 1)) * (mask + 1);
}

/** Size of a response frame's plaintext that holds `used` bytes. */
export function responsePlaintextBytes(used: number): number {
  return Math.ceil(used / RESPONSE_PADDING_BYTES) * RESPONSE_PADDING_BYTES;
}
