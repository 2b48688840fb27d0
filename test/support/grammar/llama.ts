/** The real llama.cpp with the demo model: its own grammar parser, its own recogniser, its own sampler. @module */

import assert from 'node:assert/strict';
import {
  getLlama,
  LlamaGrammarEvaluationState,
  type Llama,
  type LlamaContextSequence,
  type LlamaGrammar,
  type LlamaModel,
} from 'node-llama-cpp';
import { DEMO_MODEL } from '../../../enclave-worker/demo-model/demo-model.ts';

export interface LlamaLab {
  readonly llama: Llama;
  readonly model: LlamaModel;
  /** What the model writes under the grammar; undefined grammar: what it likes. */
  readonly write: (options: WriteOptions) => Promise<Written>;
  readonly close: () => Promise<void>;
}

export interface WriteOptions {
  readonly grammar?: LlamaGrammar;
  readonly prompt: string;
  readonly temperature: number;
  readonly seed: number;
  readonly maxTokens?: number;
}

export interface Written {
  readonly text: string;
  readonly tokens: number;
  readonly end: 'stop' | 'length';
}

/** One thread: more starve each other on a machine with few cores. */
export async function openLlamaLab(): Promise<LlamaLab> {
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    progressLogs: false,
    maxThreads: 1,
    logger: () => undefined,
  });
  const model = await llama.loadModel({ modelPath: DEMO_MODEL.path });
  const context = await model.createContext({
    contextSize: DEMO_MODEL.contextLength + 1,
    sequences: 1,
    threads: { ideal: 1, min: 1 },
  });
  const sequence = context.getSequence();
  return {
    llama,
    model,
    write: (options) => write(model, sequence, options),
    close: async () => {
      await context.dispose();
      await model.dispose();
      await llama.dispose();
    },
  };
}

async function write(
  model: LlamaModel,
  sequence: LlamaContextSequence,
  { grammar, prompt, temperature, seed, maxTokens = Infinity }: WriteOptions,
): Promise<Written> {
  const before = model.tokenize(
    `<|im_start|>user\n${prompt}<|im_end|>\n<|im_start|>assistant\n`,
    true,
  );
  const limit = Math.min(maxTokens, DEMO_MODEL.contextLength - before.length);
  assert.ok(limit > 0);
  await sequence.clearHistory();
  const state =
    grammar === undefined ? {} : { grammarEvaluationState: evaluationOf(model, grammar) };
  const options = { temperature, seed, topK: 0, topP: 1, minP: 0, ...state };
  const tokens = [];
  for await (const token of sequence.evaluate(before, options)) {
    tokens.push(token);
    if (tokens.length >= limit) {
      return { text: model.detokenize(tokens), tokens: tokens.length, end: 'length' };
    }
  }
  return { text: model.detokenize(tokens), tokens: tokens.length, end: 'stop' };
}

function evaluationOf(model: LlamaModel, grammar: LlamaGrammar): LlamaGrammarEvaluationState {
  return new LlamaGrammarEvaluationState({ model, grammar });
}

/** llama.cpp's own recogniser, which the library has and does not offer. */
export function llamaAccepts(grammar: LlamaGrammar, text: string): boolean {
  const test: unknown = Reflect.get(grammar, '_testText');
  assert.ok(typeof test === 'function');
  return Reflect.apply(test, grammar, [text]) === true;
}
