/**
 * From a configuration to an engine: the weights are measured first, and what is measured is what the card promises, or
 * nothing starts. Spec: openai-gateway-and-engine §6 rule 8; docs/engines.md "What is hashed".
 * @module
 */

import { toHex } from '../../../core/bytes.ts';
import type { Capability } from '../../../protocol/openai/endpoints.ts';
import type { Engine } from '../../engine.ts';
import { engineError, workerError } from '../../errors.ts';
import { measureServed } from '../../weights/measure-served.ts';
import type { UpstreamConfig } from './config.ts';
import { startOpenAiUpstream } from './engine.ts';

export interface UpstreamStart {
  readonly upstream: UpstreamConfig;
  readonly modelPath?: string;
  readonly modelSha256Hex: string;
  readonly evidence: 'real' | 'simulated';
  readonly contextTokens: number;
  readonly slots: number;
  readonly serves: readonly Capability[];
  readonly signal: AbortSignal;
  readonly onState: (state: 'crashed' | 'restarted' | 'given-up') => void;
  readonly onProblem: (problem: string) => void;
  readonly onMeasured: (doneBytes: bigint, totalBytes: bigint) => void;
}

/** Throws `weights.*`, `engine.digest`, `engine.probe`, `worker.config`. */
export async function startMeasuredUpstream(start: UpstreamStart): Promise<Engine> {
  const { upstream: config, contextTokens, slots, serves, signal, onState, onProblem } = start;
  const assertWeights = await measured(start);
  return startOpenAiUpstream({
    config,
    contextTokens,
    slots,
    serves,
    assertWeights,
    onState,
    onProblem,
    signal,
  });
}

async function measured(start: UpstreamStart): Promise<() => Promise<void>> {
  const { modelPath, modelSha256Hex: want, upstream, evidence, signal, onMeasured } = start;
  if (modelPath === undefined) {
    // A statement about weights that nobody has seen would be a lie with a signature.
    if (evidence === 'real') {
      throw workerError('worker.config', 'engine.modelPath: the weights have to be measured');
    }
    return () => Promise.resolve();
  }
  const model = await measureServed(modelPath, upstream, { signal, onProgress: onMeasured });
  const got = toHex(model.digest);
  if (got !== want) throw engineError('engine.digest', '', { facts: { want, got } });
  return model.assertUnchanged;
}
