/** One at a time for each name; whoever comes later waits for its turn. @module */

export class Turns {
  readonly #last = new Map<string, Promise<void>>();

  /** Until the returned function is called. */
  async take(name: string): Promise<() => void> {
    const before = this.#last.get(name);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#last.set(name, promise);
    await before;
    return () => {
      if (this.#last.get(name) === promise) this.#last.delete(name);
      resolve();
    };
  }
}
