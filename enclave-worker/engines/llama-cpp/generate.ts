/**
 * node-llama-cpp, the calls that were proven, and nothing else of it. Runs in the engine process.
 * Every generation starts from an empty sequence: no prefix of another request is ever reused, because the time that
 * reuse saves tells others what was asked before. Spec: openai-gateway-and-engine §5.3, §5.4.
 * @module
 */

import {
  getLlama,
  JinjaTemplateChatWrapper,
  type ChatHistoryItem,
  type ChatWrapper,
  type LlamaContextSequence,
  type LlamaModel,
  type Token,
} from 'node-llama-cpp';
import { assert } from '../../../core/errors.ts';
import { engineError } from '../../errors.ts';
import {
  WINDOW_MESSAGES,
  type FromChild,
  type GenerateMessage,
  type LoadMessage,
} from './messages.ts';
import { StopScanner, TokenText } from './text-stream.ts';

export interface LoadedModel {
  readonly model: LlamaModel;
  readonly wrapper: ChatWrapper;
  readonly contextTokens: number;
  readonly prefillTokens: number;
  /** The fixed pool; a sequence is never disposed, because disposal leaks or races in the library. */
  readonly free: LlamaContextSequence[];
}

export interface RunningJob {
  aborted: boolean;
  /** Text messages that were sent and not yet taken. */
  unread: number;
  wake: (() => void) | undefined;
}

type Send = (message: FromChild) => void;

/** Throws `engine.template`, or whatever the library throws. Some broken files abort the process instead. */
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
  const wrapper = chatWrapperOf(model);
  const context = await model.createContext({
    // One more than is used: the library keeps a token free and would otherwise drop the beginning of the prompt.
    contextSize: options.contextTokens + 1,
    sequences: options.sequences,
    threads: { ideal: options.threads, min: 1 },
    failedCreationRemedy: false,
  });
  assert(context.contextSize > options.contextTokens, 'the context is smaller than asked for');
  const free = Array.from({ length: options.sequences }, () =>
    context.getSequence({ contextShift: { strategy: refuseShift } }),
  );
  return {
    model,
    wrapper,
    contextTokens: options.contextTokens,
    prefillTokens: options.prefillTokens,
    free,
  };
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

function historyOf(message: GenerateMessage): ChatHistoryItem[] {
  const items = message.messages.map(({ role, content }): ChatHistoryItem => {
    if (role === 'assistant') return { type: 'model', response: [content] };
    if (role === 'system') return { type: 'system', text: content };
    return { type: 'user', text: content };
  });
  return [...items, { type: 'model', response: [] }];
}

/** Template parts become control tokens, everything a user wrote becomes text tokens. */
function promptTokens(loaded: LoadedModel, message: GenerateMessage): Token[] {
  const { contextText } = loaded.wrapper.generateContextState({ chatHistory: historyOf(message) });
  const tokens = contextText.tokenize(loaded.model.tokenizer);
  const { bos, shouldPrependBosToken } = loaded.model.tokens;
  return shouldPrependBosToken && bos !== null && tokens[0] !== bos ? [bos, ...tokens] : tokens;
}

/**
 * No vocabulary that we know has a longer token (the longest are runs of spaces). A text with more bytes than this per
 * allowed token cannot fit, and tokenising it to find out would hold up every other generation: 0.2 s a megabyte.
 */
const TOKEN_BYTES_MAX = 1024;

function assertCanFit(loaded: LoadedModel, { messages, maxPromptTokens }: GenerateMessage): void {
  const tokensMax = Math.min(loaded.contextTokens, maxPromptTokens);
  let bytes = 0;
  for (const { content } of messages) bytes += Buffer.byteLength(content);
  if (bytes > tokensMax * TOKEN_BYTES_MAX) throw engineError('engine.prompt_too_long', 'bytes');
}

/** One generation. Throws `engine.prompt_too_long` before anything runs. */
export async function generate(
  loaded: LoadedModel,
  message: GenerateMessage,
  job: RunningJob,
  send: Send,
): Promise<void> {
  assertCanFit(loaded, message);
  const prompt = promptTokens(loaded, message);
  const room = loaded.contextTokens - prompt.length;
  if (room < 1 || prompt.length > message.maxPromptTokens) {
    throw engineError('engine.prompt_too_long', '', { facts: { tokens: prompt.length } });
  }
  const sequence = loaded.free.pop();
  if (sequence === undefined) throw engineError('engine.failed', 'no free sequence');
  try {
    send({ kind: 'started', id: message.id, promptTokens: prompt.length });
    const limit = Math.min(room, message.maxOutputTokens);
    await generateOn(loaded, { sequence, prompt, limit, message, job, send });
  } finally {
    await sequence.clearHistory();
    loaded.free.push(sequence);
  }
}

interface Run {
  readonly sequence: LlamaContextSequence;
  readonly prompt: readonly Token[];
  readonly limit: number;
  readonly message: GenerateMessage;
  readonly job: RunningJob;
  readonly send: Send;
}

async function generateOn(loaded: LoadedModel, run: Run): Promise<void> {
  const { sequence, limit, message, job, send } = run;
  const { id } = message;
  const text = new TokenText<Token>((tokens, before) =>
    loaded.model.detokenize(tokens, false, before),
  );
  const stops = new StopScanner(message.stop);
  let completionTokens = 0;
  const end = (reason: 'stop' | 'length' | 'aborted', rest: string): void => {
    if (rest !== '') send({ kind: 'text', id, text: rest, completionTokens });
    send({ kind: 'end', id, reason, completionTokens });
  };

  const tail = await prefill(loaded, run);
  if (job.aborted) return end('aborted', '');
  const tokens = sequence.evaluate(tail, {
    temperature: message.temperature,
    topP: message.topP,
    topK: 0,
    minP: 0,
    seed: message.seed,
  });
  for await (const token of tokens) {
    if (job.aborted) return end('aborted', '');
    completionTokens++;
    const { text: fresh, stopped } = stops.push(text.push(token));
    if (stopped) return end('stop', fresh);
    if (completionTokens >= limit) {
      const last = stops.push(text.end());
      const rest = fresh + last.text + (last.stopped ? '' : stops.end());
      return end(last.stopped ? 'stop' : 'length', rest);
    }
    job.unread++;
    send({ kind: 'text', id, text: fresh, completionTokens });
    await untilRead(job);
  }
  const last = stops.push(text.end());
  return end('stop', last.text + (last.stopped ? '' : stops.end()));
}

/** Evaluates all but the last slice of the prompt, in slices, so that an abort is noticed in between. */
async function prefill(loaded: LoadedModel, run: Run): Promise<Token[]> {
  const { sequence, prompt, job } = run;
  await sequence.clearHistory();
  let at = 0;
  while (!job.aborted && prompt.length - at > loaded.prefillTokens) {
    await sequence.evaluateWithoutGeneratingNewTokens(prompt.slice(at, at + loaded.prefillTokens));
    at += loaded.prefillTokens;
  }
  return prompt.slice(at);
}

async function untilRead(job: RunningJob): Promise<void> {
  while (!job.aborted && job.unread >= WINDOW_MESSAGES) {
    await new Promise<void>((resolve) => {
      job.wake = resolve;
    });
  }
}
