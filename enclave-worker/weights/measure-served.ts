/**
 * Measures what an engine beside the worker serves: its weights and the files it is configured by. Spec: docs/engines.md
 * "What is hashed".
 * @module
 */

import { resolve } from 'node:path';
import type { Bytes } from '../../core/bytes.ts';
import type { UpstreamConfig } from '../engines/openai-upstream/config.ts';
import { kindNamed } from '../engines/openai-upstream/kinds.ts';
import { measureWeights, type MeasureOptions } from './measure.ts';
import { servedModelDigest } from './served-model.ts';

export interface MeasuredModel {
  readonly digest: Bytes<32>;
  /** Throws `weights.*` when a file is no longer what was measured. */
  readonly assertUnchanged: () => Promise<void>;
}

/** Throws `weights.*`. */
export async function measureServed(
  modelPath: string,
  upstream: UpstreamConfig,
  options: MeasureOptions = {},
): Promise<MeasuredModel> {
  const { kind, prefixCache, arguments: given, conversations } = upstream;
  const weights = await measureWeights(resolve(modelPath), options);
  const measured = [weights];
  for (const path of upstream.files) measured.push(await measureWeights(resolve(path)));
  const digest = servedModelDigest({
    weights: weights.digest,
    kind,
    conversations: conversations ?? kindNamed(kind).conversations,
    prefixCache,
    arguments: given,
    files: measured.slice(1).map((file) => file.digest),
  });
  return {
    digest,
    assertUnchanged: async () => {
      for (const { assertUnchanged } of measured) await assertUnchanged();
    },
  };
}
