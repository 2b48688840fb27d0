/** An order that a gateway cannot guess, so that it cannot choose for the client. @module */

import { Reader } from '../core/bytes.ts';
import { internalError } from '../core/errors.ts';
import { randomBytes } from '#primitives';

/** Fisher–Yates; 32 random bits for at most some dozens of places: the bias is below one in ten million. */
export function shuffled<Item>(items: readonly Item[]): Item[] {
  const out: Item[] = [];
  const random = new Reader(randomBytes(4 * items.length), (field) =>
    internalError('internal.invariant', field),
  );
  for (const item of items) {
    const at = random.u32be('place') % (out.length + 1);
    const displaced = out[at];
    if (displaced !== undefined) out.push(displaced);
    out[at] = item;
  }
  return out;
}
