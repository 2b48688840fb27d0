/** The engines that conformance runs over: the demo model, and a tiny one of random weights with room for tools. @module */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '#primitives';
import { toHex, type Bytes } from '../../../core/bytes.ts';
import { DEMO_MODEL } from '../../../enclave-worker/demo-model/demo-model.ts';
import type { Engine } from '../../../enclave-worker/engine.ts';
import { startLlamaCpp } from '../../../enclave-worker/engines/llama-cpp/engine.ts';
import { encodeGguf, TINY_SHAPE, tinyModel } from '../gguf.ts';

export interface LabEngine {
  readonly engine: Engine;
  readonly weights: Bytes<32>;
  /** After the engine was closed. */
  cleanUp(): Promise<void>;
}

const SLOTS = 4;
const COMMON = { sequences: SLOTS, threads: 1, gpu: false, environment: {} } as const;

export async function demoEngine(): Promise<LabEngine> {
  const engine = await startLlamaCpp({
    ...COMMON,
    modelPath: DEMO_MODEL.path,
    modelSha256Hex: toHex(DEMO_MODEL.sha256),
    contextTokens: DEMO_MODEL.contextLength,
    serves: ['chat', 'completions', 'embeddings'],
  });
  return { engine, weights: DEMO_MODEL.sha256, cleanUp: () => Promise.resolve() };
}

const TINY_CONTEXT = 4096;

/** What it says is noise, but under a grammar it is noise of the grammar's form. */
export async function tinyEngine(): Promise<LabEngine> {
  const dir = await mkdtemp(join(tmpdir(), 'veilgate-conformance-'));
  const cleanUp = (): Promise<void> => rm(dir, { recursive: true, force: true });
  const bytes = encodeGguf(tinyModel({ ...TINY_SHAPE, contextLength: TINY_CONTEXT }));
  const modelPath = join(dir, 'tiny.gguf');
  await writeFile(modelPath, bytes);
  const weights = sha256(bytes);
  try {
    const engine = await startLlamaCpp({
      ...COMMON,
      modelPath,
      modelSha256Hex: toHex(weights),
      contextTokens: TINY_CONTEXT,
      serves: ['chat', 'completions'],
      copyRoot: dir,
    });
    return { engine, weights, cleanUp };
  } catch (error) {
    await cleanUp();
    throw error;
  }
}
