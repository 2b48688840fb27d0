/** What an engine answered and its one reader has not taken yet, and how that ends. Spec: openai-gateway-and-engine §2.6. @module */

import type { VeilError } from '../../core/errors.ts';
import type { EngineEvent } from '../engine.ts';

export class EventQueue {
  readonly #taken: (event: EngineEvent) => void;
  readonly #queue: EngineEvent[] = [];
  #failure: VeilError | undefined;
  #isDone = false;
  #wake: (() => void) | undefined;

  /** `taken`: called with each event just before its reader has it. */
  constructor(taken: (event: EngineEvent) => void) {
    this.#taken = taken;
  }

  /** Whether nothing more is accepted. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** False where the end was before it. */
  push(event: EngineEvent): boolean {
    if (this.#isDone) return false;
    this.#queue.push(event);
    if (event.kind === 'end') this.#isDone = true;
    this.#rouse();
    return true;
  }

  /** What arrived before still reaches the reader; then the iteration throws. */
  fail(error: VeilError): void {
    if (this.#isDone) return;
    this.#isDone = true;
    this.#failure = error;
    this.#rouse();
  }

  /** The reader need not wait for the engine to notice. What was not read yet is dropped. */
  abort(): void {
    if (this.#isDone) return;
    this.#queue.length = 0;
    this.push({ kind: 'end', reason: 'aborted' });
  }

  /** For one reader. Ends with the `end` event, or throws what `fail` was given. */
  async *read(): AsyncGenerator<EngineEvent, void, undefined> {
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

  #rouse(): void {
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}
