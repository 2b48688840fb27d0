/** Numbers in eight bits, and files that hold them. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeGguf } from '../../../enclave-worker/model/gguf/gguf.ts';
import { BLOCK, halfBits, quantised } from '../../../enclave-worker/model/gguf/q8.ts';

/** By the definition of IEEE 754 binary16. */
function halfValue(bits: number): number {
  const exponent = bits >> 10;
  const fraction = bits & 0x3ff;
  return exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
}

test('every number of half precision is its own nearest', () => {
  for (let bits = 0; bits < 0x7c00; bits++) assert.equal(halfBits(halfValue(bits)), bits);
});

test('between two numbers of half precision the nearer is taken, and of equally near the even one', () => {
  for (let bits = 0; bits < 0x7bff; bits += 7) {
    const [low, high] = [halfValue(bits), halfValue(bits + 1)];
    assert.equal(halfBits(low + (high - low) * 0.49), bits);
    assert.equal(halfBits(low + (high - low) * 0.51), bits + 1);
    assert.equal(halfBits((low + high) / 2), bits + (bits % 2));
  }
});

test('a block keeps every number within half a step', () => {
  const values = Float32Array.from({ length: 3 * BLOCK }, (_, at) => Math.sin(at * at) * (at + 1));
  values.fill(0, BLOCK, 2 * BLOCK);
  const bytes = quantised(values);
  assert.equal(bytes.length, 3 * (2 + BLOCK));
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < 3; block++) {
    const at = block * (2 + BLOCK);
    const scale = halfValue(view.getUint16(at, true));
    for (let i = 0; i < BLOCK; i++) {
      const value = values[block * BLOCK + i] ?? NaN;
      const error = Math.abs(view.getInt8(at + 2 + i) * scale - value);
      // The scale itself is rounded to eleven bits.
      assert.ok(error <= scale * 0.5 + Math.abs(value) * 2 ** -11, `${error} of ${scale}`);
    }
  }
  assert.equal(view.getUint16(2 + BLOCK, true), 0);
});

test('part of a block is refused', () => {
  assert.throws(() => quantised(new Float32Array(BLOCK + 1)), /whole blocks/);
});

test('each tensor begins at a multiple of 32 behind the head', () => {
  const values = new Float32Array(BLOCK).fill(1);
  const file = encodeGguf({
    metadata: new Map([['general.architecture', { type: 'string', value: 'llama' }]]),
    tensors: [
      { name: 'a', shape: [BLOCK], values, stored: 'q8_0' },
      { name: 'b', shape: [BLOCK], values },
    ],
  });
  assert.equal(file.length % 32, 0);
  // 34 bytes in eight bits, padded to 64, then 128 as they are.
  const view = new DataView(file.buffer, file.length - 192);
  assert.deepEqual([view.getUint16(0, true), view.getInt8(2)], [halfBits(1 / 127), 127]);
  assert.equal(view.getFloat32(64, true), 1);
});
