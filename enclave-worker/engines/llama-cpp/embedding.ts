/**
 * The parent's side of one embed job: vectors as they come, and the count that survives every way to end.
 * @module
 */

import type { VeilError } from '../../../core/errors.ts';
import type { Usage } from '../../../protocol/receipt.ts';
import type { Embedding } from '../../engine.ts';
import { engineError } from '../../errors.ts';
import type { FromChild } from './messages.ts';

export class EmbeddingCollector implements Embedding {
  readonly #count: number;
  readonly #vectors: Float32Array[] = [];
  readonly #settled = Promise.withResolvers<readonly Float32Array[]>();
  #prompt = 0;

  constructor(count: number) {
    this.#count = count;
    // Whoever has left by then does not wait for it.
    this.#settled.promise.catch(() => undefined);
  }

  get vectors(): Promise<readonly Float32Array[]> {
    return this.#settled.promise;
  }

  readonly usage = (): Usage => ({
    prompt: this.#prompt,
    cached: 0,
    completion: 0,
    reasoning: 0,
  });

  /** True when this was the last message of the job. */
  receive(message: FromChild): boolean {
    if (message.kind === 'vector') {
      this.#vectors.push(Float32Array.from(message.vector));
      this.#prompt = Math.max(this.#prompt, message.promptTokens);
      return false;
    }
    if (message.kind === 'failed') {
      this.fail(engineError(message.code));
      return true;
    }
    if (message.kind !== 'end') return false;
    if (message.reason === 'aborted') this.abort();
    else if (this.#vectors.length !== this.#count) this.fail(engineError('engine.failed'));
    else this.#settled.resolve(this.#vectors);
    return true;
  }

  fail(error: VeilError): void {
    this.#settled.reject(error);
  }

  abort(): void {
    this.fail(engineError('engine.aborted'));
  }
}
