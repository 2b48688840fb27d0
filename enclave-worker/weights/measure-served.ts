/**
 * Measures what an engine beside the worker serves: its weights and the files it is configured by. Spec: docs/engines.md
 * "What is hashed".
 * @module
 */

import { resolve } from 'node:path';
import type { Bytes } from '../../core/bytes.ts';
import type { UpstreamConfig } from '../engines/openai-upstream/config.ts';
import { kindNamed } from '../engines/openai-upstream/kinds.ts';
import { weightsError } from './errors.ts';
import { measureWeights, type MeasureOptions } from './measure.ts';
import { servedModelDigest } from './served-model.ts';

export interface MeasuredModel {
  readonly digest: Bytes<32>;
  /** Throws `weights.*` when a file is no longer what was measured. */
  readonly assertUnchanged: () => Promise<void>;
}

/** llama.cpp loads the other parts too, and nobody would have measured them: they belong into a folder of their own. */
const PART_OF_SEVERAL = /-\d{5}-of-(?!00001)\d{5}\.gguf$/i;

/** Throws `weights.*`. */
export async function measureServed(
  modelPath: string,
  upstream: UpstreamConfig,
  options: MeasureOptions = {},
): Promise<MeasuredModel> {
  const { kind, model, prefixCache, arguments: given, conversations } = upstream;
  const { signal } = options;
  if (PART_OF_SEVERAL.test(modelPath)) throw weightsError('weights.form', 'one part of several');
  const weights = await measureWeights(resolve(modelPath), options);
  const measured = [weights];
  for (const path of upstream.files) {
    measured.push(await measureWeights(resolve(path), signal === undefined ? {} : { signal }));
  }
  const digest = servedModelDigest({
    weights,
    kind,
    model,
    conversations: conversations ?? kindNamed(kind).conversations,
    prefixCache,
    arguments: given,
    files: measured.slice(1),
  });
  return {
    digest,
    assertUnchanged: async () => {
      for (const { assertUnchanged } of measured) await assertUnchanged();
    },
  };
}
