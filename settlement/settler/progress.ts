/** How far the settler has come, durable before anything relies on it. @module */

import { keyOf, type ProgressNote, type SettlerNotes } from './notes.ts';

const KEY = keyOf('progress');

export class Progress {
  readonly #notes: SettlerNotes;
  #now: ProgressNote | undefined;

  constructor(notes: SettlerNotes) {
    this.#notes = notes;
  }

  async load(): Promise<void> {
    this.#now = await this.#notes.progress.find(KEY);
  }

  /** Undefined: this settler has never looked at the chain. */
  get now(): ProgressNote | undefined {
    return this.#now;
  }

  async save(change: Partial<ProgressNote>): Promise<void> {
    const next = { lt: 0n, orderS: 0, sweptMs: 0, ...this.#now, ...change };
    await this.#notes.progress.save(KEY, next);
    this.#now = next;
  }
}
