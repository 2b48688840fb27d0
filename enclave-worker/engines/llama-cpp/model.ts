/**
 * One model in llama.cpp, with the fixed pool that generations draw from. Runs in the engine process.
 * Spec: openai-gateway-and-engine §5.3, §5.4.
 * @module
 */

import {
  getLlama,
  JinjaTemplateChatWrapper,
  type ChatWrapper,
  type Llama,
  type LlamaContextSequence,
  type LlamaEmbeddingContext,
  type LlamaModel,
} from 'node-llama-cpp';
import { assert } from '../../../core/errors.ts';
import { engineError } from '../../errors.ts';
import type { LoadMessage } from './messages.ts';
import { SequencePool } from './sequence-pool.ts';
import { TokenBytes } from './token-bytes.ts';

export interface LoadedModel {
  readonly llama: Llama;
  readonly model: LlamaModel;
  /** Present where the model is loaded for chats. */
  readonly wrapper: ChatWrapper | undefined;
  readonly bytes: TokenBytes;
  readonly contextTokens: number;
  readonly prefillTokens: number;
  /** A sequence is never disposed, because disposal leaks or races in the library. */
  readonly pool: SequencePool;
  readonly embedder: Embedder | undefined;
}

export interface Embedder {
  readonly context: LlamaEmbeddingContext;
  /** The one evaluation that runs; it cannot be ended, and goes on when whoever asked has left. */
  running: Promise<unknown> | undefined;
  /** Of one input, with the tokens around it. */
  readonly inputTokensMax: number;
}

/** A context for embeddings evaluates an input in one piece, and memory for a piece grows with its length. */
const EMBEDDING_TOKENS_MAX = 8192;

/**
 * Throws `engine.template`, or whatever the library throws. Some broken files abort the process instead, and so does a GPU that
 * this build of llama.cpp has no code for: with its first token, so one is tried before anybody is served.
 */
export async function loadModel(path: string, options: LoadMessage): Promise<LoadedModel> {
  const llama = await getLlama({
    gpu: options.gpu,
    build: 'never',
    skipDownload: true,
    usePrebuiltBinaries: true,
    progressLogs: false,
    maxThreads: options.threads,
    // What the library has to say may quote a prompt.
    logger: () => undefined,
  });
  const model = await llama.loadModel({ modelPath: path, useMmap: true });
  const wrapper = options.serves.includes('chat') ? chatWrapperOf(model) : undefined;
  const context = await model.createContext({
    // One more than is used: the library keeps a token free and would otherwise drop the beginning of the prompt.
    contextSize: options.contextTokens + 1,
    sequences: options.sequences,
    threads: { ideal: options.threads, min: 1 },
    failedCreationRemedy: false,
  });
  assert(context.contextSize > options.contextTokens, 'the context is smaller than asked for');
  const sequences = Array.from({ length: options.sequences }, () =>
    context.getSequence({ contextShift: { strategy: refuseShift } }),
  );
  const [first] = sequences;
  assert(first !== undefined, 'a sequence for every place');
  await tryOut(first, model);
  return {
    llama,
    model,
    wrapper,
    bytes: new TokenBytes(model),
    contextTokens: options.contextTokens,
    prefillTokens: options.prefillTokens,
    pool: new SequencePool(sequences),
    embedder: options.serves.includes('embeddings') ? await embedderOf(model, options) : undefined,
  };
}

/** One token, and nothing of it is kept. */
async function tryOut(sequence: LlamaContextSequence, model: LlamaModel): Promise<void> {
  const { bos, eos } = model.tokens;
  const token = bos ?? eos ?? model.tokenize('a')[0];
  assert(token !== undefined, 'a model has tokens');
  for await (const _ of sequence.evaluate([token], { temperature: 0, yieldEogToken: true })) break;
  await sequence.clearHistory();
}

/** The library's default drops the beginning of the prompt in silence. Lengths are checked so that this is not reached. */
function refuseShift(): never {
  throw engineError('engine.failed', 'context shift');
}

function chatWrapperOf(model: LlamaModel): ChatWrapper {
  const template = model.fileInfo.metadata.tokenizer?.chat_template;
  if (template === undefined) throw engineError('engine.template', 'the file has no template');
  try {
    return new JinjaTemplateChatWrapper({
      template,
      functionCallMessageTemplate: 'noJinja',
      joinAdjacentMessagesOfTheSameType: false,
      tokenizer: model.tokenizer,
    });
  } catch (cause) {
    throw engineError('engine.template', '', { cause });
  }
}

async function embedderOf(model: LlamaModel, options: LoadMessage): Promise<Embedder> {
  const inputTokensMax = Math.min(options.contextTokens, EMBEDDING_TOKENS_MAX);
  // One more than is used, for the same reason as above.
  const size = inputTokensMax + 1;
  const context = await model.createEmbeddingContext({
    contextSize: size,
    batchSize: size,
    threads: options.threads,
  });
  return { context, running: undefined, inputTokensMax };
}
