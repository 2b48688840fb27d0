/** Every engine the worker can run. To add one: write the file, add its line here. @module */

import type { Capability } from '../protocol/openai/endpoints.ts';
import type { Engine } from './engine.ts';
import { startLlamaCpp } from './engines/llama-cpp/engine.ts';

export interface EngineStart {
  readonly modelPath: string;
  readonly modelSha256Hex: string;
  readonly contextTokens: number;
  readonly slots: number;
  readonly threads: number;
  /** What the card promises. */
  readonly serves: readonly Capability[];
  readonly gpu: 'auto' | false | 'cuda';
  readonly environment: Readonly<Record<string, string>>;
  readonly copyRoot?: string;
  readonly onState: (state: 'crashed' | 'restarted' | 'given-up') => void;
}

export interface EngineKind {
  readonly name: string;
  /** Resolves when the model is loaded and verified. Throws `engine.*`. */
  readonly start: (options: EngineStart) => Promise<Engine>;
}

const llamaCpp = {
  name: 'llama-cpp',
  start: ({ slots, ...options }: EngineStart) => startLlamaCpp({ ...options, sequences: slots }),
} as const satisfies EngineKind;

export const ENGINES = [llamaCpp] as const;
export type EngineName = (typeof ENGINES)[number]['name'];
