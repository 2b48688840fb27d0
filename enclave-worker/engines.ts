/** Every engine the worker can run. To add one: write the file, add its line here. @module */

import type { Capability } from '../protocol/openai/endpoints.ts';
import type { Engine } from './engine.ts';
import { startLlamaCpp } from './engines/llama-cpp/engine.ts';
import type { UpstreamConfig } from './engines/openai-upstream/config.ts';
import { startMeasuredUpstream } from './engines/openai-upstream/start.ts';
import { workerError } from './errors.ts';

export interface EngineStart {
  /** Absolute: a file, or for engines that take one a folder. */
  readonly modelPath?: string;
  /** What the card promises: of the file, or of what the engine is said to serve. */
  readonly modelSha256Hex: string;
  readonly upstream?: UpstreamConfig;
  /** Whether anybody relies on what this machine says of itself. */
  readonly evidence: 'real' | 'simulated';
  readonly contextTokens: number;
  readonly slots: number;
  readonly threads: number;
  /** What the card promises. */
  readonly serves: readonly Capability[];
  readonly gpu: 'auto' | false | 'cuda';
  readonly environment: Readonly<Record<string, string>>;
  readonly copyRoot?: string;
  readonly signal: AbortSignal;
  readonly onState: (state: 'crashed' | 'restarted' | 'given-up') => void;
  /** What an engine did wrong in an answer, by a word of its own. */
  readonly onProblem: (problem: string) => void;
  /** While weights are measured. */
  readonly onMeasured: (doneBytes: bigint, totalBytes: bigint) => void;
}

export interface EngineKind {
  readonly name: string;
  /** Resolves when the model is loaded and verified. Throws `engine.*`, `weights.*`, `worker.config`. */
  readonly start: (options: EngineStart) => Promise<Engine>;
}

const llamaCpp = {
  name: 'llama-cpp',
  start: ({ modelPath, slots, upstream, ...options }: EngineStart) => {
    if (modelPath === undefined) throw workerError('worker.config', 'engine.modelPath');
    if (upstream !== undefined) throw workerError('worker.config', 'engine.upstream');
    return startLlamaCpp({ ...options, modelPath, sequences: slots });
  },
} as const satisfies EngineKind;

const openaiUpstream = {
  name: 'openai-upstream',
  start: ({ upstream, ...options }: EngineStart) => {
    if (upstream === undefined) throw workerError('worker.config', 'engine.upstream');
    return startMeasuredUpstream({ ...options, upstream });
  },
} as const satisfies EngineKind;

export const ENGINES = [llamaCpp, openaiUpstream] as const;
export type EngineName = (typeof ENGINES)[number]['name'];
