/**
 * llama.cpp in a supervised process: a crash fails the generations that were running, then the process is started
 * again, ever more slowly, and given up after too many crashes in a row. Spec: openai-gateway-and-engine §5.
 * @module
 */

import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomBytes } from '#primitives';
import { assert, type VeilError } from '../../../core/errors.ts';
import type { Capability } from '../../../protocol/openai/endpoints.ts';
import type { EmbedJob, Embedding, Engine, GenerateJob, Generation, Prompt } from '../../engine.ts';
import type { EngineOffers } from '../../engine-members.ts';
import { engineError } from '../../errors.ts';
import { EmbeddingCollector } from './embedding.ts';
import { GenerationQueue } from './generation.ts';
import { SEEDS, type FromChild, type GenerateMessage, type ToChild } from './messages.ts';
import { startEngineProcess, type EngineProcess } from './process.ts';

export interface LlamaCppOptions {
  readonly modelPath: string;
  readonly modelSha256Hex: string;
  readonly contextTokens: number;
  readonly sequences: number;
  readonly threads: number;
  readonly gpu: 'auto' | false | 'cuda';
  /** Absent: chats and text completions. */
  readonly serves?: readonly Capability[];
  readonly environment: Readonly<Record<string, string>>;
  /** Where the verified private copy of the model is made; absent: memory where the system has such a place. */
  readonly copyRoot?: string;
  /** Told when a process died and when it is back. */
  readonly onState?: (state: 'crashed' | 'restarted' | 'given-up') => void;
}

const MEMORY_FILE_SYSTEM = '/dev/shm';
const PREFILL_TOKENS = 128;
const BACK_OFF_FIRST_MS = 250;
const BACK_OFF_MAX_MS = 30_000;
/** Crashes in a row, with no generation completed in between. */
const CRASHES_MAX = 8;
/** An engine that does not confirm an abort in this time is stuck, and is replaced. */
const ABORT_CONFIRM_MAX_MS = 15_000;

/** Resolves when the model is loaded. Throws `engine.digest`, `engine.copy`, `engine.load`, `engine.template`. */
export async function startLlamaCpp(options: LlamaCppOptions): Promise<Engine> {
  const engine = new LlamaCppEngine(options);
  await engine.start();
  return engine;
}

/** How much to think is a matter of templates that our own rendering does not know. */
const OFFERS: EngineOffers = {
  conversations: 'written',
  lacks: new Set(['reasoning_effort', 'chat_template_kwargs']),
};

/** What the parent keeps of a running job. */
interface Receiver {
  /** True when this was the last message of the job. */
  receive(message: FromChild): boolean;
  fail(error: VeilError): void;
  abort(): void;
}

interface Running {
  readonly receiver: Receiver;
  /** Ends the listening to the caller's signal and the wait for a confirmed abort. */
  readonly over: AbortController;
}

class LlamaCppEngine implements Engine {
  readonly name = 'llama-cpp';
  readonly capabilities: readonly Capability[];
  readonly offers = OFFERS;
  readonly contextTokens: number;
  readonly slots: number;
  readonly #options: LlamaCppOptions;
  readonly #closing = new AbortController();
  readonly #running = new Map<number, Running>();
  #process: EngineProcess | undefined;
  #restart: Promise<void> = Promise.resolve();
  #crashes = 0;
  #lastId = 0;

  constructor(options: LlamaCppOptions) {
    this.#options = options;
    this.contextTokens = options.contextTokens;
    this.slots = options.sequences;
    this.capabilities = options.serves ?? ['chat', 'completions'];
  }

  readonly healthy = (): boolean => this.#process !== undefined;

  async start(): Promise<void> {
    const { modelPath, modelSha256Hex, contextTokens, sequences, threads, gpu } = this.#options;
    this.#process = await startEngineProcess(
      {
        load: {
          modelPath,
          modelSha256Hex,
          gpu,
          threads,
          contextTokens,
          sequences,
          prefillTokens: PREFILL_TOKENS,
          serves: [...this.capabilities],
        },
        copyRoot: this.#options.copyRoot ?? defaultCopyRoot(),
        environment: this.#options.environment,
        onMessage: (message) => this.#receive(message),
        onExit: () => this.#exited(),
      },
      this.#closing.signal,
    );
  }

  generate(job: GenerateJob, signal: AbortSignal): Generation {
    assert(job.maxOutputTokens >= 1, 'a generation of no tokens');
    assert(job.prompts.length >= 1 && job.choices >= 1, 'a generation of nothing');
    const { engineProcess, id } = this.#enter();
    const queue = new GenerationQueue((count) => engineProcess.send({ kind: 'taken', id, count }));
    this.#run({ engineProcess, id, receiver: queue, signal }, generateMessage(id, job));
    return queue;
  }

  embed({ inputs, maxPromptTokens }: EmbedJob, signal: AbortSignal): Embedding {
    const { engineProcess, id } = this.#enter();
    const collector = new EmbeddingCollector(inputs.length);
    this.#run(
      { engineProcess, id, receiver: collector, signal },
      { kind: 'embed', id, inputs: [...inputs], maxPromptTokens },
    );
    return collector;
  }

  #enter(): { readonly engineProcess: EngineProcess; readonly id: number } {
    const engineProcess = this.#process;
    if (engineProcess === undefined) throw engineError('engine.down');
    if (this.#running.size >= this.slots) throw engineError('engine.busy');
    return { engineProcess, id: ++this.#lastId };
  }

  #run(
    {
      engineProcess,
      id,
      receiver,
      signal,
    }: {
      readonly engineProcess: EngineProcess;
      readonly id: number;
      readonly receiver: Receiver;
      readonly signal: AbortSignal;
    },
    message: ToChild,
  ): void {
    const over = new AbortController();
    this.#running.set(id, { receiver, over });
    const abort = (): void => {
      receiver.abort();
      engineProcess.send({ kind: 'abort', id });
      void this.#expectConfirmation(engineProcess, over.signal);
    };
    engineProcess.send(message);
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true, signal: over.signal });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#restart;
    await this.#process?.kill();
  }

  #receive(message: FromChild): void {
    if (!('id' in message)) return;
    const running = this.#running.get(message.id);
    if (running === undefined || !running.receiver.receive(message)) return;
    if (message.kind === 'end') this.#crashes = 0;
    this.#running.delete(message.id);
    running.over.abort();
  }

  #exited(): void {
    this.#process = undefined;
    for (const { receiver, over } of this.#running.values()) {
      receiver.fail(engineError('engine.crashed'));
      over.abort();
    }
    this.#running.clear();
    if (this.#closing.signal.aborted) return;
    this.#options.onState?.('crashed');
    this.#restart = this.#startAgain();
  }

  async #startAgain(): Promise<void> {
    const { signal } = this.#closing;
    while (this.#crashes < CRASHES_MAX) {
      this.#crashes++;
      const waitMs = Math.min(BACK_OFF_MAX_MS, BACK_OFF_FIRST_MS * 2 ** (this.#crashes - 1));
      try {
        await sleep(waitMs, undefined, { signal });
        await this.start();
        this.#options.onState?.('restarted');
        return;
      } catch {
        // Told to the owner by the state, not by the error: it may come from the native library.
        if (signal.aborted) return;
      }
    }
    this.#options.onState?.('given-up');
  }

  async #expectConfirmation(engineProcess: EngineProcess, confirmed: AbortSignal): Promise<void> {
    try {
      await sleep(ABORT_CONFIRM_MAX_MS, undefined, { signal: confirmed, ref: false });
    } catch {
      // Confirmed in time: the only reason for this wait to be cut short.
      return;
    }
    await engineProcess.kill();
  }
}

function generateMessage(id: number, job: GenerateJob): ToChild {
  const { prompts, choices, maxPromptTokens, maxOutputTokens, sampling, stop } = job;
  const { topLogprobs, grammar, cacheNamespace } = job;
  const { seed, logitBias, ...drawing } = sampling;
  return {
    kind: 'generate',
    id,
    prompts: prompts.map(promptMessage),
    choices,
    maxPromptTokens,
    maxOutputTokens,
    ...drawing,
    logitBias: logitBias.map(([token, bias]) => [token, bias]),
    seed: seed === undefined ? randomSeed() : seedOf(seed),
    stop: [...stop],
    ...(topLogprobs === undefined ? {} : { topLogprobs }),
    ...(grammar === undefined ? {} : { grammar }),
    ...(cacheNamespace === undefined ? {} : { namespace: cacheNamespace }),
  };
}

function promptMessage(prompt: Prompt): GenerateMessage['prompts'][number] {
  assert(prompt.kind !== 'conversation', 'tools are written into the prompt');
  return prompt.kind === 'text' ? prompt : { kind: 'chat', messages: [...prompt.messages] };
}

function randomSeed(): number {
  return seedOf(new DataView(randomBytes(4).buffer).getUint32(0));
}

/** Apps may send any integer; the engine process dies of a message that breaks its rules. */
function seedOf(seed: number): number {
  return ((seed % SEEDS) + SEEDS) % SEEDS;
}

function defaultCopyRoot(): string {
  return existsSync(MEMORY_FILE_SYSTEM) ? MEMORY_FILE_SYSTEM : tmpdir();
}
