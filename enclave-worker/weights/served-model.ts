/**
 * One digest for what an engine beside the worker serves: the weights, and what makes the same weights answer otherwise. It
 * stands where the digest of the model stands in cards, statements, policies and receipts. Spec: docs/engines.md "What is
 * hashed"; openai-gateway-and-engine §6 rule 8.
 * @module
 */

import { sha256 } from '#primitives';
import { ascii, concat, toHex, utf8, type Bytes } from '../../core/bytes.ts';
import { canonicalJson } from '../../core/json.ts';

const TAG = concat(ascii('veilgate.served-model/1'), Uint8Array.of(0));

export interface ServedModel {
  readonly weights: Bytes<32>;
  readonly kind: string;
  /** How tools and forms of answers reach the model. */
  readonly conversations: 'taken' | 'written';
  readonly prefixCache: 'isolated' | 'shared';
  /** As the engine is started with them. */
  readonly arguments: readonly string[];
  /** SHA-256 of the files that the engine is configured by, in their order. */
  readonly files: readonly Bytes<32>[];
}

export function servedModelDigest({ weights, files, ...said }: ServedModel): Bytes<32> {
  const text = canonicalJson({
    ...said,
    files: files.map((digest) => toHex(digest)),
    weights: toHex(weights),
  });
  return sha256(TAG, utf8(text));
}
