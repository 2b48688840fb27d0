/**
 * Eight-bit blocks: 32 numbers become a scale of half precision and 32 bytes. Spec: ggml `block_q8_0`; openai-gateway-and-engine
 * §5.2. @module
 */

import { assert } from '../../../core/errors.ts';

export const BLOCK = 32;
const BLOCK_BYTES = 2 + BLOCK;
const STEPS = 127;

export function quantised(values: Float32Array): Uint8Array {
  assert(values.length % BLOCK === 0, 'whole blocks');
  const bytes = new Uint8Array((values.length / BLOCK) * BLOCK_BYTES);
  const view = new DataView(bytes.buffer);
  for (let at = 0, to = 0; at < values.length; at += BLOCK, to += BLOCK_BYTES) {
    const block = values.subarray(at, at + BLOCK);
    const scale = block.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / STEPS;
    view.setUint16(to, halfBits(scale), true);
    for (const [i, value] of block.entries()) {
      view.setInt8(to + 2 + i, scale === 0 ? 0 : Math.round(value / scale));
    }
  }
  return bytes;
}

const HALF_FRACTION_BITS = 10;
const HALF_LEAST_EXPONENT = -14;
const HALF_BIAS = 15;
const HALF_MAX = 65_504;

/** The bits of the nearest number of half precision, of two equally near the even one. */
export function halfBits(value: number): number {
  assert(value >= 0 && value <= HALF_MAX, 'a scale');
  if (value === 0) return 0;
  const exponent = Math.max(HALF_LEAST_EXPONENT, Math.floor(Math.log2(value)));
  const fraction = roundEven(value / 2 ** (exponent - HALF_FRACTION_BITS));
  // A fraction below 2^10 is one of the least exponent; one that was rounded up to 2^11 carries into the exponent.
  return ((exponent + HALF_BIAS - 1) << HALF_FRACTION_BITS) + fraction;
}

function roundEven(value: number): number {
  const below = Math.floor(value);
  const part = value - below;
  if (part !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}
