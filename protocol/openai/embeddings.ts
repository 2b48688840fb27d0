/**
 * Requests for embeddings and their answers. `base64` is the little-endian float32 of each number, which most SDKs ask for;
 * `float` is the same numbers in JSON, bit for bit after rounding to float32. Spec: OpenAI API reference "Create
 * embeddings"; openai-gateway-and-engine §2.8.
 * @module
 */

import { z } from 'zod';
import { toBase64 } from '../../core/bytes.ts';
import type { Usage } from '../receipt.ts';
import { decodeBody, refuse, type BodyRules, type Decision } from './decode-body.ts';
import { MODEL_ID_MAX_CHARS } from './envelope.ts';
import { hasTokensAt } from './text-request.ts';

export interface EmbeddingsRequest {
  readonly model: string;
  readonly inputs: readonly string[];
  readonly encoding: 'float' | 'base64';
}

const INPUTS_MAX = 2048;
const TEXT_MAX_CHARS = 8_388_608;
const INPUT = z.string().min(1).max(TEXT_MAX_CHARS);

const SCHEMA = z.object({
  model: z.string().min(1).max(MODEL_ID_MAX_CHARS),
  input: z.union([INPUT, z.array(INPUT).min(1).max(INPUTS_MAX)]),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  user: z.string().max(1024).nullish(),
});
type Fields = z.infer<typeof SCHEMA>;

const RULES: BodyRules<Fields> = {
  schema: SCHEMA,
  known: new Set(Object.keys(SCHEMA.shape)),
  neutralOnly: {},
  // Cutting a vector short is sound only for models that were trained for it, and no card says so.
  never: new Set(['dimensions']),
};

/** `body` is untrusted JSON. What it refuses it names, never with the value that came. */
export function decodeEmbeddingsRequest(body: unknown): Decision<EmbeddingsRequest> {
  if (hasTokensAt(body, 'input')) return refuse('unsupported_parameter', 'input');
  const decoded = decodeBody(body, RULES);
  if (decoded.outcome === 'refused') return decoded;
  const { model, input, encoding_format: encoding } = decoded.fields;
  const inputs = typeof input === 'string' ? [input] : input;
  return { outcome: 'decoded', request: { model, inputs, encoding: encoding ?? 'float' } };
}

export interface EmbeddingList {
  readonly object: 'list';
  readonly data: readonly {
    readonly object: 'embedding';
    readonly index: number;
    readonly embedding: readonly number[] | string;
  }[];
  readonly model: string;
  readonly usage: { readonly prompt_tokens: number; readonly total_tokens: number };
}

/** In the order of the inputs. */
export function embeddingList(
  { model, encoding }: Pick<EmbeddingsRequest, 'model' | 'encoding'>,
  vectors: readonly Float32Array[],
  usage: Usage,
): EmbeddingList {
  const tokens = usage.prompt + usage.cached;
  return {
    object: 'list',
    data: vectors.map((vector, index) => ({
      object: 'embedding',
      index,
      embedding: encoding === 'float' ? [...vector] : base64Of(vector),
    })),
    model,
    usage: { prompt_tokens: tokens, total_tokens: tokens },
  };
}

const FLOAT_BYTES = 4;

function base64Of(vector: Float32Array): string {
  const bytes = new Uint8Array(vector.length * FLOAT_BYTES);
  const view = new DataView(bytes.buffer);
  vector.forEach((value, index) => view.setFloat32(index * FLOAT_BYTES, value, true));
  return toBase64(bytes);
}
