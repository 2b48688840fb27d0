/**
 * A Llama with a byte-level vocabulary as a GGUF file: names, sizes and the chat template. Spec: openai-gateway-and-engine §5.2.
 * @module
 */

import type { Vocabulary } from '../tokenizer/tokenizer.ts';
import { ALIGNMENT, type GgufTensor, type GgufValue } from './gguf.ts';

export interface LlamaShape {
  readonly contextLength: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly feedForward: number;
}

export const CHATML =
  "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n" +
  '{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}';

const TOKEN_NORMAL = 1;
const TOKEN_CONTROL = 3;
const TOKEN_UNUSED = 5;
const FILE_TYPES = { f32: 0, q8_0: 7 } as const;
const QUANTISATION_VERSION = 2;

export interface LlamaFile {
  readonly name: string;
  readonly shape: LlamaShape;
  readonly vocabulary: Vocabulary;
  readonly stored: keyof typeof FILE_TYPES;
}

export function llamaMetadata({
  name,
  shape,
  vocabulary,
  stored,
}: LlamaFile): Map<string, GgufValue> {
  const count = (value: number): GgufValue => ({ type: 'u32', value });
  const word = (value: string): GgufValue => ({ type: 'string', value });
  const { tokens, merges, controlStart } = vocabulary;
  return new Map<string, GgufValue>([
    ['general.architecture', word('llama')],
    ['general.name', word(name)],
    ['general.alignment', count(ALIGNMENT)],
    ['general.file_type', count(FILE_TYPES[stored])],
    ['general.quantization_version', count(QUANTISATION_VERSION)],
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
    ['tokenizer.ggml.token_type', { type: 'i32s', value: kindsOf(vocabulary) }],
    ['tokenizer.ggml.merges', { type: 'strings', value: merges.map((pair) => pair.join(' ')) }],
    ['tokenizer.ggml.bos_token_id', count(controlStart)],
    ['tokenizer.ggml.eos_token_id', count(controlStart + 2)],
    ['tokenizer.ggml.padding_token_id', count(controlStart)],
    ['tokenizer.ggml.add_bos_token', { type: 'bool', value: false }],
    ['tokenizer.chat_template', word(CHATML)],
  ]);
}

function kindsOf({ tokens, controlStart, unusedStart }: Vocabulary): readonly number[] {
  return tokens.map((_, id) => {
    if (id >= unusedStart) return TOKEN_UNUSED;
    return id >= controlStart ? TOKEN_CONTROL : TOKEN_NORMAL;
  });
}

/** Every tensor but an output of its own, in the order in which the trainer keeps them. */
export function llamaTensors(
  { width, layers, heads, keyValueHeads, feedForward }: LlamaShape,
  vocabularySize: number,
): readonly Omit<GgufTensor, 'values'>[] {
  const narrow = (width / heads) * keyValueHeads;
  const blocks = Array.from({ length: layers }, (_, layer) => [
    { name: `blk.${layer}.attn_norm.weight`, shape: [width] },
    { name: `blk.${layer}.attn_q.weight`, shape: [width, width] },
    { name: `blk.${layer}.attn_k.weight`, shape: [width, narrow] },
    { name: `blk.${layer}.attn_v.weight`, shape: [width, narrow] },
    { name: `blk.${layer}.attn_output.weight`, shape: [width, width] },
    { name: `blk.${layer}.ffn_norm.weight`, shape: [width] },
    { name: `blk.${layer}.ffn_gate.weight`, shape: [width, feedForward] },
    { name: `blk.${layer}.ffn_up.weight`, shape: [width, feedForward] },
    { name: `blk.${layer}.ffn_down.weight`, shape: [feedForward, width] },
  ]);
  return [
    { name: 'token_embd.weight', shape: [width, vocabularySize] },
    { name: 'output_norm.weight', shape: [width] },
    ...blocks.flat(),
  ];
}
