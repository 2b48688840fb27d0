/**
 * The parent's side of one generation: a queue of events between the engine process and one reader, and the count that
 * survives every way to end. Spec: openai-gateway-and-engine §2.6.
 * @module
 */

import type { VeilError } from '../../../core/errors.ts';
import type { TokenLogprob } from '../../../protocol/openai/logprobs.ts';
import type { Usage } from '../../../protocol/receipt.ts';
import type { EngineEvent, Generation } from '../../engine.ts';
import { engineError } from '../../errors.ts';
import { WINDOW_MESSAGES, type FromChild, type TokenMessage } from './messages.ts';

const ACKNOWLEDGE_EVERY = WINDOW_MESSAGES / 4;

export class GenerationQueue implements Generation {
  readonly #taken: (count: number) => void;
  readonly #queue: EngineEvent[] = [];
  #prompt = 0;
  #cached = 0;
  #completion = 0;
  #unacknowledged = 0;
  #failure: VeilError | undefined;
  #done = false;
  #wake: (() => void) | undefined;

  constructor(taken: (count: number) => void) {
    this.#taken = taken;
  }

  readonly usage = (): Usage => ({
    prompt: this.#prompt - this.#cached,
    cached: this.#cached,
    completion: this.#completion,
    reasoning: 0,
  });

  get events(): AsyncIterable<EngineEvent> {
    return { [Symbol.asyncIterator]: () => this.#read() };
  }

  /** True when this was the last message of the generation. */
  receive(message: FromChild): boolean {
    if (message.kind === 'started') {
      this.#prompt = message.promptTokens;
      this.#cached = Math.min(message.cachedTokens, message.promptTokens);
      this.#push({ kind: 'started' });
      return false;
    }
    if (message.kind === 'text') {
      this.#completion = Math.max(this.#completion, message.completionTokens);
      const { choice, text, tokens } = message;
      if (text === '' && (tokens ?? []).length === 0) this.#acknowledge();
      else
        this.#push({ kind: 'text', choice, text, ...(tokens && { tokens: tokens.map(tokenOf) }) });
      return false;
    }
    if (message.kind === 'choice-end') {
      this.#completion = Math.max(this.#completion, message.completionTokens);
      this.#push({ kind: 'choice-end', choice: message.choice, reason: message.reason });
      return false;
    }
    if (message.kind === 'failed') {
      this.fail(engineError(message.code));
      return true;
    }
    if (message.kind !== 'end') return false;
    this.#completion = Math.max(this.#completion, message.completionTokens);
    this.#push({ kind: 'end', reason: message.reason });
    return true;
  }

  /** Text that arrived before still reaches the reader; then the iteration throws. */
  fail(error: VeilError): void {
    if (this.#done) return;
    this.#done = true;
    this.#failure = error;
    this.#rouse();
  }

  /** The reader need not wait for the engine to notice. What was not read yet is dropped. */
  abort(): void {
    if (this.#done) return;
    this.#queue.length = 0;
    this.#push({ kind: 'end', reason: 'aborted' });
  }

  #push(event: EngineEvent): void {
    if (this.#done) return;
    this.#queue.push(event);
    if (event.kind === 'end') this.#done = true;
    this.#rouse();
  }

  #rouse(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #acknowledge(): void {
    this.#unacknowledged++;
    if (this.#unacknowledged < ACKNOWLEDGE_EVERY) return;
    this.#taken(this.#unacknowledged);
    this.#unacknowledged = 0;
  }

  async *#read(): AsyncGenerator<EngineEvent, void, undefined> {
    for (;;) {
      const event = this.#queue.shift();
      if (event !== undefined) {
        if (event.kind === 'text') this.#acknowledge();
        yield event;
        if (event.kind === 'end') return;
      } else if (this.#failure !== undefined) {
        throw this.#failure;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    }
  }
}

function tokenOf({ bytes, logprob, top }: TokenMessage): TokenLogprob {
  return {
    bytes: Uint8Array.from(bytes),
    logprob,
    top: top.map((other) => ({ bytes: Uint8Array.from(other.bytes), logprob: other.logprob })),
  };
}
