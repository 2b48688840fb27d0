/**
 * What is written about a step after the step: a thousand workers change places between two requests, and a thousand lines
 * about them are written between many. In the order in which they were added.
 * @module
 */

import { setImmediate as nextTurn } from 'node:timers/promises';

/** Of one turn of the event loop; each is a line of the log and an entry of the audit log, some 50 µs. */
const TURN_MAX = 32;

export class Notices {
  #waiting: (() => void)[] = [];
  #writing: Promise<void> | undefined;

  add(notice: () => void): void {
    this.#waiting.push(notice);
  }

  /** Resolves when everything that was added is written. Never cut short: a gateway that closes waits for it. */
  async written(): Promise<void> {
    if (this.#waiting.length > 0) this.#writing ??= this.#write();
    await this.#writing;
  }

  async #write(): Promise<void> {
    try {
      while (this.#waiting.length > 0) {
        await nextTurn();
        for (const notice of this.#waiting.splice(0, TURN_MAX)) notice();
      }
    } finally {
      this.#writing = undefined;
    }
  }
}
