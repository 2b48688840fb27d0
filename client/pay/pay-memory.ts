/**
 * Where a payer's count is kept between runs. Losing it costs at most what was signed and not yet served; an older copy is
 * found out by our own signatures. Writes that pile up become one. Spec: ton-settlement §4.11 (merge by max).
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';

export interface PayMemory {
  /** Undefined at the first time. */
  load(): Promise<Uint8Array | undefined>;
  /** Resolves when it will be there after a crash. One call at a time. */
  save(state: Uint8Array): Promise<void>;
  /** Keeps the evidence of a fault; returns where, for people. */
  keepBill?(requestId: Bytes<16>, bill: Uint8Array): Promise<string>;
}

/** One write at a time. Whoever asks while one runs shares the next, which writes what holds when it begins. */
export class SaveQueue {
  readonly #memory: PayMemory;
  readonly #current: () => Uint8Array;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  constructor(memory: PayMemory, current: () => Uint8Array) {
    this.#memory = memory;
    this.#current = current;
  }

  /** Resolves when what holds now, or something newer, is written. */
  save(): Promise<void> {
    // Between the end of one write and the begin of the next none runs: who begins another then has two at once, and the
    // older one may be what stays.
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#begin();
    this.#next = this.#running.then(
      () => this.#begin(),
      // What failed was told to those who waited for it.
      () => this.#begin(),
    );
    return this.#next;
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    const running = this.#write().finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    this.#running = running;
    return running;
  }

  async #write(): Promise<void> {
    await this.#memory.save(this.#current());
  }

  async idle(): Promise<void> {
    // Whoever asked for the write hears of its failure.
    await (this.#next ?? this.#running)?.catch(() => undefined);
  }
}
