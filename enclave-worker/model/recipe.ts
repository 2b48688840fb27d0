/** Everything that the demo model depends on beside the code in this folder: change one number, and it is another model. @module */

import type { LlamaShape } from './gguf/llama-file.ts';

export const RECIPE = {
  name: 'veilgate-demo',
  corpus: { seed: 7, documents: 60_000 },
  /** Merges are learnt from the first documents. */
  tokenizer: { documents: 30_000, merges: 509 },
  training: { seed: 7, steps: 5000, batch: 8, rate: 0.003 },
} as const;

export const DEMO_SHAPE: LlamaShape = {
  contextLength: 192,
  width: 128,
  layers: 4,
  heads: 4,
  keyValueHeads: 2,
  feedForward: 352,
};
