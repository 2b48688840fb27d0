/**
 * Writes small GGUF files with random weights, so that engine tests have a real model in milliseconds and can leave out
 * or spoil any part of it. Spec: GGUF v3 (ggml docs/gguf.md); openai-gateway-and-engine §5.2.
 * @module
 */

import { concat, utf8 } from '../../core/bytes.ts';

export type GgufValue =
  | { readonly type: 'u32'; readonly value: number }
  | { readonly type: 'f32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'i32s'; readonly value: readonly number[] };

export interface GgufTensor {
  readonly name: string;
  /** Innermost first. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

export interface Gguf {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
}

const VERSION = 3;
const ALIGNMENT = 32;
const TYPE_IDS = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;
const TENSOR_F32 = 0;

/** Little-endian numbers of the file format. */
function scalar(size: 4 | 8, write: (view: DataView) => void): Uint8Array {
  const bytes = new Uint8Array(size);
  write(new DataView(bytes.buffer));
  return bytes;
}
const u32 = (value: number) => scalar(4, (view) => view.setUint32(0, value, true));
const i32 = (value: number) => scalar(4, (view) => view.setInt32(0, value, true));
const f32 = (value: number) => scalar(4, (view) => view.setFloat32(0, value, true));
const u64 = (value: number) => scalar(8, (view) => view.setBigUint64(0, BigInt(value), true));

function text(value: string): Uint8Array {
  const bytes = utf8(value);
  return concat(u64(bytes.length), bytes);
}

function array(elementType: number, items: readonly Uint8Array[]): Uint8Array {
  return concat(u32(TYPE_IDS.array), u32(elementType), u64(items.length), ...items);
}

function typedValue(entry: GgufValue): Uint8Array {
  if (entry.type === 'u32') return concat(u32(TYPE_IDS.u32), u32(entry.value));
  if (entry.type === 'f32') return concat(u32(TYPE_IDS.f32), f32(entry.value));
  if (entry.type === 'bool') return concat(u32(TYPE_IDS.bool), Uint8Array.of(entry.value ? 1 : 0));
  if (entry.type === 'string') return concat(u32(TYPE_IDS.string), text(entry.value));
  if (entry.type === 'strings') return array(TYPE_IDS.string, entry.value.map(text));
  return array(TYPE_IDS.i32, entry.value.map(i32));
}

function padded(bytes: Uint8Array): Uint8Array {
  const missing = (ALIGNMENT - (bytes.length % ALIGNMENT)) % ALIGNMENT;
  return missing === 0 ? bytes : concat(bytes, new Uint8Array(missing));
}

/** The file. Tensors are written as F32. */
export function encodeGguf({ metadata, tensors }: Gguf): Uint8Array {
  const data = tensors.map(({ values }) =>
    padded(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
  );
  let offset = 0;
  const infos = tensors.map(({ name, shape }, index) => {
    const info = concat(
      text(name),
      u32(shape.length),
      ...shape.map(u64),
      u32(TENSOR_F32),
      u64(offset),
    );
    offset += data[index]?.length ?? 0;
    return info;
  });
  const head = concat(
    utf8('GGUF'),
    u32(VERSION),
    u64(tensors.length),
    u64(metadata.size),
    ...[...metadata].map(([key, value]) => concat(text(key), typedValue(value))),
    ...infos,
  );
  return concat(padded(head), ...data);
}

export interface TinyModelShape {
  readonly contextLength: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly feedForward: number;
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

/** One token per byte, so that random output is full of broken characters; then the control tokens. */
const CONTROL_TOKENS = ['<|endoftext|>', '<|im_start|>', '<|im_end|>'];
const BYTE_TOKENS = 256;
/** Large against everything the layers add to it. */
const STEADY = 10;
const TOKEN_NORMAL = 1;
const TOKEN_CONTROL = 3;
const TOKEN_UNUSED = 5;

const CHATML =
  "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n" +
  '{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';

/**
 * A Llama model of random weights that chatters without end: the first dimension of every embedding is large and
 * positive, and the output rows of the control tokens are negative there and nowhere else.
 */
export function tinyModel(shape: TinyModelShape = TINY_SHAPE): Gguf {
  const vocabulary = vocabularyOf();
  return {
    metadata: metadataOf(shape, vocabulary),
    tensors: tensorsOf(shape, vocabulary.tokens.length),
  };
}

/** The byte alphabet of GPT-2: printable bytes stand for themselves, the rest moves to U+0100 and on. */
function byteAlphabet(): readonly string[] {
  let next = 256;
  return Array.from({ length: BYTE_TOKENS }, (_, byte) => {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xff && byte !== 0xad);
    return String.fromCodePoint(printable ? byte : next++);
  });
}

interface Vocabulary {
  readonly tokens: readonly string[];
  readonly kinds: readonly number[];
}

function vocabularyOf(): Vocabulary {
  const alphabet = byteAlphabet();
  const used = [...alphabet, ...CONTROL_TOKENS];
  const spare = (ALIGNMENT - (used.length % ALIGNMENT)) % ALIGNMENT;
  return {
    tokens: [...used, ...Array.from({ length: spare }, (_, index) => `<unused${index}>`)],
    kinds: [
      ...alphabet.map(() => TOKEN_NORMAL),
      ...CONTROL_TOKENS.map(() => TOKEN_CONTROL),
      ...Array.from({ length: spare }, () => TOKEN_UNUSED),
    ],
  };
}

function metadataOf(shape: TinyModelShape, { tokens, kinds }: Vocabulary): Map<string, GgufValue> {
  const count = (value: number): GgufValue => ({ type: 'u32', value });
  const word = (value: string): GgufValue => ({ type: 'string', value });
  return new Map<string, GgufValue>([
    ['general.architecture', word('llama')],
    ['general.name', word('tiny-random')],
    ['general.alignment', count(ALIGNMENT)],
    ['general.file_type', count(0)],
    ['llama.vocab_size', count(tokens.length)],
    ['llama.context_length', count(shape.contextLength)],
    ['llama.embedding_length', count(shape.width)],
    ['llama.block_count', count(shape.layers)],
    ['llama.feed_forward_length', count(shape.feedForward)],
    ['llama.attention.head_count', count(shape.heads)],
    ['llama.attention.head_count_kv', count(shape.keyValueHeads)],
    ['llama.attention.layer_norm_rms_epsilon', { type: 'f32', value: 1e-5 }],
    ['llama.rope.dimension_count', count(shape.width / shape.heads)],
    ['llama.rope.freq_base', { type: 'f32', value: 10_000 }],
    ['tokenizer.ggml.model', word('gpt2')],
    ['tokenizer.ggml.pre', word('gpt-2')],
    ['tokenizer.ggml.tokens', { type: 'strings', value: tokens }],
    ['tokenizer.ggml.token_type', { type: 'i32s', value: kinds }],
    // One merge, because an empty list is refused; byte characters otherwise stay apart.
    ['tokenizer.ggml.merges', { type: 'strings', value: ['\u0100 \u0101'] }],
    ['tokenizer.ggml.bos_token_id', count(BYTE_TOKENS)],
    ['tokenizer.ggml.eos_token_id', count(BYTE_TOKENS + 2)],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: false }],
    ['tokenizer.chat_template', word(CHATML)],
  ]);
}

function tensorsOf(shape: TinyModelShape, vocabularySize: number): readonly GgufTensor[] {
  const { width, layers, heads, keyValueHeads, feedForward } = shape;
  const next = noise(shape.seed);
  const random = (name: string, dims: readonly number[]): GgufTensor => {
    const values = new Float32Array(dims.reduce((product, dim) => product * dim, 1));
    for (let i = 0; i < values.length; i++) values[i] = next() * 0.3;
    return { name, shape: dims, values };
  };
  const ones = (name: string): GgufTensor => ({
    name,
    shape: [width],
    values: new Float32Array(width).fill(1),
  });
  const keyValueWidth = (width / heads) * keyValueHeads;
  const blocks = Array.from({ length: layers }, (_, layer) => [
    ones(`blk.${layer}.attn_norm.weight`),
    random(`blk.${layer}.attn_q.weight`, [width, width]),
    random(`blk.${layer}.attn_k.weight`, [width, keyValueWidth]),
    random(`blk.${layer}.attn_v.weight`, [width, keyValueWidth]),
    random(`blk.${layer}.attn_output.weight`, [width, width]),
    ones(`blk.${layer}.ffn_norm.weight`),
    random(`blk.${layer}.ffn_gate.weight`, [width, feedForward]),
    random(`blk.${layer}.ffn_up.weight`, [width, feedForward]),
    random(`blk.${layer}.ffn_down.weight`, [feedForward, width]),
  ]);
  const embedding = random('token_embd.weight', [width, vocabularySize]);
  const output = random('output.weight', [width, vocabularySize]);
  for (let token = 0; token < vocabularySize; token++) {
    embedding.values[token * width] = STEADY;
    if (token < BYTE_TOKENS) output.values[token * width] = 0;
    else
      output.values
        .fill(0, token * width, (token + 1) * width)
        .fill(-STEADY, token * width, token * width + 1);
  }
  return [embedding, ones('output_norm.weight'), output, ...blocks.flat()];
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
