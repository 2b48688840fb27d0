/** A way on which it is counted how often a client sends, and when. @module */

import type { Way } from './way.ts';

export interface CountedWay {
  readonly way: Way;
  /** When each request was sent, in milliseconds of a clock that only rises. */
  readonly sentAtMs: readonly number[];
}

export function counted(inner: Way): CountedWay {
  const sentAtMs: number[] = [];
  const fetch: typeof globalThis.fetch = (input, init) => {
    sentAtMs.push(performance.now());
    return inner.fetch(input, init);
  };
  return { way: { ...inner, fetch }, sentAtMs };
}
