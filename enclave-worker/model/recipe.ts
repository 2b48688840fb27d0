/** Everything that the demo model depends on beside the code in this folder: change one number, and it is another model. @module */

import type { CorpusOptions } from './corpus/dialogue.ts';
import type { LlamaShape } from './gguf/llama-file.ts';

export interface Stage {
  readonly name: string;
  readonly corpus: CorpusOptions;
  /** How much a token counts in an answer that has to be worked out. */
  readonly workedOutWeight: number;
  readonly training: {
    readonly seed: number;
    readonly steps: number;
    readonly batch: number;
    readonly rate: number;
  };
}

/** All there is to know; merges are learnt from the first of its documents. */
export const BROAD: Stage = {
  name: 'broad',
  corpus: { seed: 7, documents: 60_000, mix: 'broad' },
  workedOutWeight: 1,
  training: { seed: 7, steps: 3000, batch: 8, rate: 0.003 },
};

export const RECIPE: {
  readonly name: string;
  readonly tokenizer: { readonly documents: number; readonly merges: number };
  /** One after another, each with the weights of the one before. */
  readonly stages: readonly Stage[];
} = {
  name: 'veilgate-demo',
  tokenizer: { documents: 30_000, merges: 509 },
  stages: [
    BROAD,
    {
      name: 'worked-out',
      corpus: { seed: 8, documents: 20_000, mix: 'worked-out' },
      workedOutWeight: 4,
      training: { seed: 8, steps: 1200, batch: 8, rate: 0.0015 },
    },
  ],
};

export const DEMO_SHAPE: LlamaShape = {
  contextLength: 192,
  width: 128,
  layers: 4,
  heads: 4,
  keyValueHeads: 2,
  feedForward: 352,
};
