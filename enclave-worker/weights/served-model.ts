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

/** What was measured, and as what: a file may spell out what a folder is hashed from, and is not that folder. */
export interface ServedPart {
  readonly kind: 'file' | 'folder';
  readonly digest: Bytes<32>;
}

export interface ServedModel {
  readonly weights: ServedPart;
  readonly kind: string;
  /** As the engine lists it: where there are several, it says which of them. */
  readonly model: string;
  /** How tools and forms of answers reach the model. */
  readonly conversations: 'taken' | 'written';
  readonly prefixCache: 'isolated' | 'shared';
  /** As the engine is started with them. */
  readonly arguments: readonly string[];
  /** What the engine is configured by, in its order. */
  readonly files: readonly ServedPart[];
}

export function servedModelDigest({ weights, files, ...said }: ServedModel): Bytes<32> {
  const text = canonicalJson({
    ...said,
    files: files.map(nameOf),
    weights: nameOf(weights),
  });
  return sha256(TAG, utf8(text));
}

function nameOf({ kind, digest }: ServedPart): string {
  return `${kind}:${toHex(digest)}`;
}
