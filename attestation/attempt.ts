/** What a reader made of untrusted bytes: a value, or why there is none. @module */

import { VeilError } from '../core/errors.ts';

export type Attempt<Value> =
  | { readonly outcome: 'read'; readonly value: Value }
  | { readonly outcome: 'malformed'; readonly reason: string };

/** Runs a reader; its coded errors become an answer, anything else is a bug and goes on. */
export function attempt<Value>(read: () => Value): Attempt<Value> {
  try {
    return { outcome: 'read', value: read() };
  } catch (error) {
    if (!(error instanceof VeilError) || error.code === 'internal.invariant') throw error;
    return { outcome: 'malformed', reason: error.message };
  }
}
