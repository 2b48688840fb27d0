/**
 * Who signs statements. A number and a sum are decided where the ledger commits, so the signature is made there too, which
 * may be another thread: a driver is handed where the signer lives and what it needs, not the function. @module
 */

import type { Bytes } from '../../core/bytes.ts';

/** Same bytes, same signature: Ed25519 is deterministic, and replays rest on the row anyway. */
export type SignBytes = (bytes: Uint8Array) => Bytes<64>;

export interface SignerSource {
  /** A module whose `createSigner(data)` returns a `SignBytes`. */
  readonly url: string;
  /** Whatever structured clone carries: a seed, or the name of a sealed key. */
  readonly data: unknown;
}
