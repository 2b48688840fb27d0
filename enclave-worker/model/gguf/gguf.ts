/**
 * Writes GGUF files: what the demo model is shipped in, and what tests leave parts out of. Spec: GGUF v3 (ggml docs/gguf.md);
 * openai-gateway-and-engine §5.2.
 * @module
 */

import { concat, utf8 } from '../../../core/bytes.ts';
import { quantised } from './q8.ts';

export type GgufValue =
  | { readonly type: 'u32'; readonly value: number }
  | { readonly type: 'f32'; readonly value: number }
  | { readonly type: 'bool'; readonly value: boolean }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'i32s'; readonly value: readonly number[] };

export interface GgufTensor {
  readonly name: string;
  /** Innermost first: a matrix of `out` rows of `in` numbers is [in, out]. */
  readonly shape: readonly number[];
  readonly values: Float32Array;
  /** Absent: as they are. */
  readonly stored?: 'f32' | 'q8_0';
}

export interface Gguf {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: readonly GgufTensor[];
}

const VERSION = 3;
export const ALIGNMENT = 32;
const TYPE_IDS = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const;
const TENSOR_TYPES = { f32: 0, q8_0: 8 } as const;

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

function tensorBytes({ values, stored = 'f32' }: GgufTensor): Uint8Array {
  if (stored === 'q8_0') return quantised(values);
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** The file. */
export function encodeGguf({ metadata, tensors }: Gguf): Uint8Array {
  const data = tensors.map((tensor) => padded(tensorBytes(tensor)));
  let offset = 0;
  const infos = tensors.map(({ name, shape, stored = 'f32' }, index) => {
    const info = concat(
      text(name),
      u32(shape.length),
      ...shape.map(u64),
      u32(TENSOR_TYPES[stored]),
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
