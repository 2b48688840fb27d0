/**
 * Receipts of the last quarter of an hour, for a gateway that lost the stream that carried one. Bounded: under a flood
 * the oldest goes first. Spec: gateways-and-e2ee §7.6; overview "Once only".
 * @module
 */

import { ExpiringCache } from '../core/cache.ts';
import { toHex } from '../core/bytes.ts';
import { RECEIPT_KEEP_MS, RECEIPTS_MAX } from './limits.ts';

export class ReceiptStore {
  readonly #receipts: ExpiringCache<Uint8Array>;

  constructor(maxEntries = RECEIPTS_MAX) {
    this.#receipts = new ExpiringCache(maxEntries);
  }

  /** `payload` is signature ‖ VGR1, as in frame 0x10. */
  keep(msgId: Uint8Array, payload: Uint8Array, nowMs: number): void {
    this.#receipts.set(toHex(msgId), payload, nowMs + RECEIPT_KEEP_MS);
  }

  get(msgIdHex: string, nowMs: number): Uint8Array | undefined {
    return this.#receipts.get(msgIdHex, nowMs);
  }
}
