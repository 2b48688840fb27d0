/** Paying again after a fault, by the app's own decision. A payer that is open goes on as it was. @module */

import type { Bytes } from '../../core/bytes.ts';
import type { PayMemory } from './pay-memory.ts';
import { decodePayState, encodePayState, resumed } from './pay-state.ts';

/** Returns the faults that are set aside. Throws `client.channel_file`. */
export async function resumePaying(
  memory: PayMemory,
  channel: Bytes<32>,
): Promise<readonly string[]> {
  const saved = await memory.load();
  if (saved === undefined) return [];
  const state = decodePayState(saved, channel);
  await memory.save(encodePayState(resumed(state)));
  return state.faults;
}
