/** From a checkpoint of the trainer to the file that is shipped: trainer/checkpoint.h says how one is laid out. @module */

import { readFile } from 'node:fs/promises';
import { fromUtf8 } from '../../../core/bytes.ts';
import { assert } from '../../../core/errors.ts';
import { encodeGguf, type GgufTensor } from './gguf.ts';
import { llamaMetadata, llamaTensors, type LlamaFile, type LlamaShape } from './llama-file.ts';

const MAGIC = 'VGTRAIN1';
const SIZES_AT = 8;
const SIZES = 8;
const WEIGHTS_AT = SIZES_AT + 4 * SIZES + 16;
const FLOAT_BYTES = 4;

export interface Checkpoint {
  readonly shape: LlamaShape;
  readonly vocabularySize: number;
  readonly step: number;
  readonly weights: Float32Array;
}

export async function readCheckpoint(path: string): Promise<Checkpoint> {
  const bytes = Uint8Array.from(await readFile(path));
  assert(fromUtf8(bytes.subarray(0, MAGIC.length)) === MAGIC, 'a checkpoint');
  const view = new DataView(bytes.buffer);
  const size = (at: number): number => view.getUint32(SIZES_AT + 4 * at, true);
  const shape = {
    width: size(1),
    layers: size(2),
    heads: size(3),
    keyValueHeads: size(4),
    feedForward: size(5),
    contextLength: size(6),
  };
  const count = llamaTensors(shape, size(0)).reduce((sum, tensor) => sum + elements(tensor), 0);
  // Behind the weights are the two averages of the optimizer.
  assert(bytes.length === WEIGHTS_AT + 3 * count * FLOAT_BYTES, 'a whole checkpoint');
  return {
    shape,
    vocabularySize: size(0),
    step: size(7),
    weights: new Float32Array(bytes.buffer, WEIGHTS_AT, count),
  };
}

/** Matrices in eight bits, gains as they are. */
export function demoGguf(
  { shape, vocabularySize, weights }: Checkpoint,
  { name, vocabulary }: Pick<LlamaFile, 'name' | 'vocabulary'>,
): Uint8Array {
  assert(vocabulary.tokens.length === vocabularySize, 'the vocabulary it was trained with');
  let at = 0;
  const tensors = llamaTensors(shape, vocabularySize).map((tensor): GgufTensor => {
    const values = weights.subarray(at, at + elements(tensor));
    at += values.length;
    return { ...tensor, values, stored: tensor.shape.length > 1 ? 'q8_0' : 'f32' };
  });
  assert(at === weights.length, 'every weight has a place');
  return encodeGguf({
    metadata: llamaMetadata({ name, shape, vocabulary, stored: 'q8_0' }),
    tensors,
  });
}

function elements({ shape }: Pick<GgufTensor, 'shape'>): number {
  return shape.reduce((product, size) => product * size, 1);
}
