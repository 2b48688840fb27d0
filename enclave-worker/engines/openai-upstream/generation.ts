/**
 * One answer between an upstream and its one reader: a bounded queue that pauses the upstream while the reader is slow, a
 * watch that ends what hangs, and a count that is right after every way to end. Spec: openai-gateway-and-engine §2.6, §6
 * rule 5.
 * @module
 */

import { utf8 } from '../../../core/bytes.ts';
import type { VeilError } from '../../../core/errors.ts';
import type { StreamControl } from '../../../core/node/http-client.ts';
import type { Usage } from '../../../protocol/receipt.ts';
import type { EngineEvent, Generation } from '../../engine.ts';
import { WAITING_HIGH_BYTES, WAITING_LOW_BYTES } from './limits.ts';

const NOTHING: Usage = { prompt: 0, cached: 0, completion: 0, reasoning: 0 };
/** What an event without text costs in memory, roughly. */
const EVENT_BYTES = 64;

type Flow = Pick<StreamControl, 'pause' | 'resume'>;

export class UpstreamGeneration implements Generation {
  readonly #queue: EngineEvent[] = [];
  #waitingBytes = 0;
  #flow: Flow | undefined;
  #isPaused = false;
  #counted: () => Usage = () => NOTHING;
  #failure: VeilError | undefined;
  #isDone = false;
  #wake: (() => void) | undefined;

  readonly usage = (): Usage => this.#counted();

  get events(): AsyncIterable<EngineEvent> {
    return { [Symbol.asyncIterator]: () => this.#read() };
  }

  /** Whether nothing more is expected of the upstream. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** A slow reader is no fault of the upstream. */
  get isPaused(): boolean {
    return this.#isPaused;
  }

  countBy(counted: () => Usage): void {
    this.#counted = counted;
  }

  flowThrough(flow: Flow): void {
    this.#flow = flow;
  }

  push(event: EngineEvent): void {
    if (this.#isDone) return;
    this.#queue.push(event);
    if (event.kind === 'end') this.#isDone = true;
    this.#waitingBytes += weightOf(event);
    if (this.#waitingBytes > WAITING_HIGH_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.#flow?.pause();
    }
    this.#rouse();
  }

  /** What arrived before still reaches the reader; then the iteration throws. */
  fail(error: VeilError): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#failure = error;
    this.#rouse();
  }

  /** The reader need not wait for the upstream. What was not read yet is dropped. */
  abort(): void {
    if (this.#isDone) return;
    this.#queue.length = 0;
    this.push({ kind: 'end', reason: 'aborted' });
  }

  #rouse(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #taken(event: EngineEvent): void {
    this.#waitingBytes -= weightOf(event);
    if (!this.#isPaused || this.#waitingBytes > WAITING_LOW_BYTES) return;
    this.#isPaused = false;
    this.#flow?.resume();
  }

  async *#read(): AsyncGenerator<EngineEvent, void, undefined> {
    for (;;) {
      const event = this.#queue.shift();
      if (event !== undefined) {
        this.#taken(event);
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

function weightOf(event: EngineEvent): number {
  return EVENT_BYTES + ('text' in event ? utf8(event.text).length : 0);
}
