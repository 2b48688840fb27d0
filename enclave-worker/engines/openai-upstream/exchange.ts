/**
 * Asks an upstream for one answer and reads it to its end: count, send, read, whatever happens on the way. Nothing is sent
 * twice. Spec: openai-gateway-and-engine §6.
 * @module
 */

import { concat, utf8 } from '../../../core/bytes.ts';
import { assert, VeilError } from '../../../core/errors.ts';
import type { ReadHeaders, StreamControl } from '../../../core/node/http-client.ts';
import type { EngineEvent, GenerateJob, Generation } from '../../engine.ts';
import { engineError } from '../../errors.ts';
import { AnswerReader } from './answer-reader.ts';
import { brokenBy, upstreamError, type UsageProblem } from './errors.ts';
import { UpstreamGeneration } from './generation.ts';
import { COUNT_SLACK, STATUS_MAX_BYTES } from './limits.ts';
import { countPrompt, type PromptCount } from './prompt-count.ts';
import { refusalOf } from './refusal.ts';
import { requestOf } from './request-body.ts';
import { Spent } from './spent.ts';
import { SseReader } from './sse-reader.ts';
import type { Upstream } from './upstream.ts';
import { watch, type Watch } from './watch.ts';

export interface ExchangeContext {
  readonly upstream: Upstream;
  readonly contextTokens: number;
  /** How the upstream names the model in its answers, once that was heard. */
  readonly echo: string | undefined;
  readonly onUsageProblem: (problem: UsageProblem) => void;
  /** Once, with what was heard: the answer is whole, was aborted, or broke. */
  readonly onOver: (over: ExchangeOver) => void;
}

export type ExchangeOver =
  | {
      readonly outcome: 'whole';
      readonly echo: string | undefined;
      readonly isCounted: boolean;
      /** Of the prompt, by the upstream's own word. */
      readonly cachedSaid: number;
    }
  | { readonly outcome: 'aborted' }
  | { readonly outcome: 'failed'; readonly error: VeilError };

/** Never throws; what goes wrong is thrown where the events are read. */
export function startExchange(
  context: ExchangeContext,
  job: GenerateJob,
  signal: AbortSignal,
): Generation {
  const generation = new UpstreamGeneration();
  void new Exchange(context, { job, generation, signal }).run();
  return generation;
}

interface Parts {
  readonly job: GenerateJob;
  readonly generation: UpstreamGeneration;
  readonly signal: AbortSignal;
}

class Exchange {
  readonly #context: ExchangeContext;
  readonly #parts: Parts;
  readonly #over = new AbortController();
  #control: { abort(): void } | undefined;
  #isOver = false;

  constructor(context: ExchangeContext, parts: Parts) {
    this.#context = context;
    this.#parts = parts;
  }

  async run(): Promise<void> {
    const { signal, generation } = this.#parts;
    const abort = (): void => {
      generation.abort();
      this.#finish({ outcome: 'aborted' });
      this.#control?.abort();
    };
    if (signal.aborted) {
      abort();
      return;
    }
    signal.addEventListener('abort', abort, { once: true, signal: this.#over.signal });
    try {
      const count = await this.#count();
      if (!this.#isOver) this.#send(count);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Throws `engine.prompt_too_long` before anything runs. */
  async #count(): Promise<PromptCount> {
    const { upstream, contextTokens } = this.#context;
    const { job, signal } = this.#parts;
    const count = await countPrompt(upstream, job, signal);
    // Whoever counts by bytes cannot say that a prompt is too long for what was signed, only for the context.
    const promptMax = count.counted === undefined ? contextTokens : job.maxPromptTokens;
    if (count.atMost > promptMax || count.atMost >= contextTokens * job.prompts.length) {
      throw engineError('engine.prompt_too_long');
    }
    return count;
  }

  #send(count: PromptCount): void {
    const { upstream, contextTokens } = this.#context;
    const { job, generation } = this.#parts;
    const longest =
      job.prompts.length === 1 ? count.atMost : Math.min(count.atMost, contextTokens - 1);
    const room = Math.max(1, contextTokens - longest);
    const maxTokens = Math.min(job.maxOutputTokens, room);
    const answer = this.#answer(count, maxTokens);
    const { path, body } = requestOf(upstream, job, maxTokens);
    const control = upstream.pool.stream(
      {
        method: 'POST',
        path,
        headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
        body: utf8(JSON.stringify(body)),
      },
      {
        onHead: (status, headers, flow) => {
          generation.flowThrough(flow);
          answer.onHead(status, headers, flow);
        },
        onData: (chunk) => this.#guarded(() => answer.onData(chunk)),
        onEnd: () => this.#guarded(() => answer.onEnd()),
        onError: (error) => this.#fail(brokenBy(error)),
      },
    );
    this.#control = control;
  }

  #answer(count: PromptCount, maxTokens: number): Answer {
    const { upstream, echo, onUsageProblem } = this.#context;
    const { job, generation } = this.#parts;
    const choices = job.prompts.length * job.choices;
    const { counted, atMost } = count;
    const spent = new Spent({
      promptMax: Math.min(job.maxPromptTokens, atMost + COUNT_SLACK),
      promptCounted: counted,
      outputMax: maxTokens * choices,
      usageOf: choices === 1 ? 'answer' : upstream.kind.usageOf,
      cache: hasOwnCache(upstream, job) ? 'own' : 'none',
      onProblem: onUsageProblem,
    });
    const reader = new AnswerReader({
      choices,
      outputMax: maxTokens * choices,
      echo,
      logprobs: job.topLogprobs !== undefined,
      spent,
    });
    const { queueMs, idleMs } = upstream.config;
    const late = watch({
      firstMs: queueMs,
      nextMs: idleMs,
      isExcused: () => generation.isPaused,
      onLate: () => this.#fail(upstreamError('timeout')),
    });
    this.#over.signal.addEventListener('abort', () => late.stop(), { once: true });
    return new Answer({
      reader,
      late,
      push: (event) => {
        if (event.kind === 'started') generation.countBy(() => spent.usage());
        generation.push(event);
      },
      refuse: (error) => this.#fail(error),
      whole: () =>
        this.#finish({
          outcome: 'whole',
          echo: reader.echo,
          isCounted: spent.hasReport,
          cachedSaid: spent.cachedSaid,
        }),
    });
  }

  #guarded(work: () => void): void {
    if (this.#isOver) return;
    try {
      work();
    } catch (error) {
      this.#fail(error);
    }
  }

  #fail(error: unknown): void {
    const failure =
      error instanceof VeilError ? error : engineError('engine.failed', '', { cause: error });
    this.#parts.generation.fail(failure);
    this.#finish({ outcome: 'failed', error: failure });
    this.#control?.abort();
  }

  #finish(over: ExchangeOver): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#over.abort();
    this.#context.onOver(over);
  }
}

interface AnswerPorts {
  readonly reader: AnswerReader;
  readonly late: Watch;
  readonly push: (event: EngineEvent) => void;
  readonly refuse: (error: VeilError) => void;
  readonly whole: () => void;
}

/** What comes back, whichever of the two it is: a stream, or words of refusal. */
class Answer {
  readonly #ports: AnswerPorts;
  readonly #events = new SseReader();
  readonly #words: Uint8Array[] = [];
  #wordBytes = 0;
  #status = 0;
  #control: StreamControl | undefined;
  #hasStarted = false;
  #isComplete = false;

  constructor(ports: AnswerPorts) {
    this.#ports = ports;
  }

  onHead(status: number, headers: ReadHeaders, control: StreamControl): void {
    this.#status = status;
    this.#control = control;
    const type = headers['content-type'];
    const isStream = typeof type === 'string' && /^text\/event-stream\b/i.test(type);
    if (status === 200 && !isStream) this.#ports.refuse(upstreamError('not-a-stream'));
  }

  onData(chunk: Uint8Array): void {
    if (this.#isComplete) return;
    if (this.#status !== 200) {
      this.#hear(chunk);
      return;
    }
    const { reader, late, push } = this.#ports;
    for (const event of this.#events.push(chunk)) {
      late.heard();
      if (!this.#hasStarted) push({ kind: 'started' });
      this.#hasStarted = true;
      for (const said of reader.push(event)) push(said);
      if (!reader.isDone) continue;
      this.#complete();
      return;
    }
  }

  onEnd(): void {
    if (this.#isComplete) return;
    if (this.#status === 200) this.#complete();
    else this.#ports.refuse(refusalOf(this.#status, concat(...this.#words)));
  }

  #hear(chunk: Uint8Array): void {
    this.#wordBytes += chunk.length;
    if (this.#wordBytes <= STATUS_MAX_BYTES) {
      this.#words.push(chunk.slice());
      return;
    }
    this.#ports.refuse(refusalOf(this.#status, new Uint8Array()));
  }

  #complete(): void {
    assert(!this.#isComplete, 'an answer ends once');
    const { reader, push, whole } = this.#ports;
    const ends = reader.end();
    this.#isComplete = true;
    for (const event of ends) push(event);
    whole();
    // Behind the mark of the end an upstream has nothing to say; what it says all the same is not waited for.
    if (reader.isDone) this.#control?.resume();
  }
}

/** Whether what is told of a cache is this tenant's own doing. */
function hasOwnCache({ kind, config }: Upstream, { cacheNamespace }: GenerateJob): boolean {
  const isApart = kind.isolation === 'salt' && config.prefixCache === 'isolated';
  return isApart && cacheNamespace !== undefined;
}
