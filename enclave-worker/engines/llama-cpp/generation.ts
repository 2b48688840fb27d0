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
import { EventQueue } from '../event-queue.ts';
import { WINDOW_MESSAGES, type FromChild, type TokenMessage } from './messages.ts';

const ACKNOWLEDGE_EVERY = WINDOW_MESSAGES / 4;

export class GenerationQueue implements Generation {
  readonly #taken: (count: number) => void;
  readonly #queue: EventQueue;
  #prompt = 0;
  #cached = 0;
  #completion = 0;
  #unacknowledged = 0;

  constructor(taken: (count: number) => void) {
    this.#taken = taken;
    this.#queue = new EventQueue((event) => {
      if (event.kind === 'text') this.#acknowledge();
    });
  }

  readonly usage = (): Usage => ({
    prompt: this.#prompt - this.#cached,
    cached: this.#cached,
    completion: this.#completion,
    reasoning: 0,
  });

  get events(): AsyncIterable<EngineEvent> {
    return { [Symbol.asyncIterator]: () => this.#queue.read() };
  }

  /** True when this was the last message of the generation. */
  receive(message: FromChild): boolean {
    if (message.kind === 'started') {
      this.#prompt = message.promptTokens;
      this.#cached = Math.min(message.cachedTokens, message.promptTokens);
      this.#queue.push({ kind: 'started' });
      return false;
    }
    if (message.kind === 'text') {
      this.#completion = Math.max(this.#completion, message.completionTokens);
      const { choice, text, tokens } = message;
      if (text === '' && (tokens ?? []).length === 0) this.#acknowledge();
      else
        this.#queue.push({
          kind: 'text',
          choice,
          text,
          ...(tokens && { tokens: tokens.map(tokenOf) }),
        });
      return false;
    }
    if (message.kind === 'choice-end') {
      this.#completion = Math.max(this.#completion, message.completionTokens);
      this.#queue.push({ kind: 'choice-end', choice: message.choice, reason: message.reason });
      return false;
    }
    if (message.kind === 'failed') {
      this.fail(engineError(message.code));
      return true;
    }
    if (message.kind !== 'end') return false;
    this.#completion = Math.max(this.#completion, message.completionTokens);
    this.#queue.push({ kind: 'end', reason: message.reason });
    return true;
  }

  fail(error: VeilError): void {
    this.#queue.fail(error);
  }

  abort(): void {
    this.#queue.abort();
  }

  #acknowledge(): void {
    this.#unacknowledged++;
    if (this.#unacknowledged < ACKNOWLEDGE_EVERY) return;
    this.#taken(this.#unacknowledged);
    this.#unacknowledged = 0;
  }
}

function tokenOf({ bytes, logprob, top }: TokenMessage): TokenLogprob {
  return {
    bytes: Uint8Array.from(bytes),
    logprob,
    top: top.map((other) => ({ bytes: Uint8Array.from(other.bytes), logprob: other.logprob })),
  };
}
