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
import { EventQueue } from '../event-queue.ts';
import { WAITING_HIGH_BYTES, WAITING_LOW_BYTES } from './limits.ts';

const NOTHING: Usage = { prompt: 0, cached: 0, completion: 0, reasoning: 0 };
/** What an event without text costs in memory, roughly. */
const EVENT_BYTES = 64;

type Flow = Pick<StreamControl, 'pause' | 'resume'>;

export class UpstreamGeneration implements Generation {
  readonly #queue = new EventQueue((event) => this.#taken(event));
  #waitingBytes = 0;
  #flow: Flow | undefined;
  #isPaused = false;
  #counted: () => Usage = () => NOTHING;

  readonly usage = (): Usage => this.#counted();

  get events(): AsyncIterable<EngineEvent> {
    return { [Symbol.asyncIterator]: () => this.#queue.read() };
  }

  /** Whether nothing more is expected of the upstream. */
  get isDone(): boolean {
    return this.#queue.isDone;
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
    if (!this.#queue.push(event)) return;
    this.#waitingBytes += weightOf(event);
    if (this.#waitingBytes > WAITING_HIGH_BYTES && !this.#isPaused) {
      this.#isPaused = true;
      this.#flow?.pause();
    }
  }

  fail(error: VeilError): void {
    this.#queue.fail(error);
  }

  abort(): void {
    this.#queue.abort();
  }

  #taken(event: EngineEvent): void {
    this.#waitingBytes -= weightOf(event);
    if (!this.#isPaused || this.#waitingBytes > WAITING_LOW_BYTES) return;
    this.#isPaused = false;
    this.#flow?.resume();
  }
}

function weightOf(event: EngineEvent): number {
  const text = 'text' in event ? utf8(event.text).length : 0;
  const tokens = event.kind === 'text' ? (event.tokens ?? []) : [];
  return EVENT_BYTES * (1 + tokens.reduce((sum, { top }) => sum + 1 + top.length, 0)) + text;
}
