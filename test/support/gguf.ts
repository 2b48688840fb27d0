/**
 * Small models with random weights, so that engine tests have a real one in milliseconds and can leave out or spoil any part of it.
 * Spec: openai-gateway-and-engine §5.2.
 * @module
 */

import { BYTES } from '../../enclave-worker/engines/llama-cpp/byte-alphabet.ts';
import type { Gguf, GgufTensor } from '../../enclave-worker/model/gguf/gguf.ts';
import {
  llamaMetadata,
  llamaTensors,
  type LlamaShape,
} from '../../enclave-worker/model/gguf/llama-file.ts';
import { vocabularyOf, type Vocabulary } from '../../enclave-worker/model/tokenizer/tokenizer.ts';

export { encodeGguf, type Gguf } from '../../enclave-worker/model/gguf/gguf.ts';

export interface TinyModelShape extends LlamaShape {
  readonly seed: number;
}

export const TINY_SHAPE: TinyModelShape = {
  contextLength: 512,
  width: 64,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  feedForward: 96,
  seed: 1,
};

/** Large against everything the layers add to it. */
const STEADY = 10;

/**
 * A Llama model of random weights that chatters without end: the first dimension of every embedding is large and
 * positive, and the output rows of the control tokens are negative there and nowhere else.
 */
export function tinyModel(shape: TinyModelShape = TINY_SHAPE): Gguf {
  return randomModel(shape, { stored: 'f32', next: noise(shape.seed) });
}

const TABLE_VALUES = 1_048_573;

/** As large as asked, in eight bits, of values that repeat: for measuring, where it matters how many there are. */
export function largeModel(shape: TinyModelShape): Gguf {
  const fresh = noise(shape.seed);
  const table = Float32Array.from({ length: TABLE_VALUES }, fresh);
  let at = 0;
  const next = (): number => {
    at = at + 1 === TABLE_VALUES ? 0 : at + 1;
    return table[at] ?? 0;
  };
  return randomModel(shape, { stored: 'q8_0', next });
}

interface Randomness {
  readonly stored: 'f32' | 'q8_0';
  readonly next: () => number;
}

function randomModel(shape: TinyModelShape, { stored, next }: Randomness): Gguf {
  const file = { name: 'random', shape, vocabulary: BYTE_VOCABULARY, stored };
  return {
    metadata: llamaMetadata(file),
    tensors: tensorsOf(shape, BYTE_VOCABULARY.tokens.length, next).map((tensor) =>
      tensor.shape.length > 1 ? { ...tensor, stored } : tensor,
    ),
  };
}

/**
 * One token per byte, so that random output is full of broken characters; then the control tokens. With one merge, because an empty
 * list is refused; byte characters otherwise stay apart.
 */
const BYTE_VOCABULARY: Vocabulary = { ...vocabularyOf([]), merges: [['\u0100', '\u0101']] };

function tensorsOf(
  shape: TinyModelShape,
  vocabularySize: number,
  next: () => number,
): readonly GgufTensor[] {
  const { width } = shape;
  const values = (dims: readonly number[]): Float32Array =>
    new Float32Array(dims.reduce((product, dim) => product * dim, 1));
  const random = (dims: readonly number[]): Float32Array => values(dims).map(() => next() * 0.3);
  const tensors = llamaTensors(shape, vocabularySize).map((tensor) => ({
    ...tensor,
    values: tensor.shape.length > 1 ? random(tensor.shape) : values(tensor.shape).fill(1),
  }));
  const [embedding] = tensors;
  const output = random([width, vocabularySize]);
  for (let token = 0; token < vocabularySize; token++) {
    embedding?.values.fill(STEADY, token * width, token * width + 1);
    if (token < BYTES) output.fill(0, token * width, token * width + 1);
    else
      output
        .fill(0, token * width, (token + 1) * width)
        .fill(-STEADY, token * width, token * width + 1);
  }
  return [...tensors, { name: 'output.weight', shape: [width, vocabularySize], values: output }];
}

/** Reproducible values around 0 with variance near 1: a sum of uniform ones. */
function noise(seed: number): () => number {
  let state = seed >>> 0;
  const uniform = (): number => {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  };
  return () => {
    let sum = 0;
    for (let i = 0; i < 12; i++) sum += uniform();
    return sum - 6;
  };
}
