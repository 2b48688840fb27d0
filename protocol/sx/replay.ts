/**
 * Worker: every msg_id is opened once. Bounded; refuses when full; never evicts. Spec: P§8.3.
 * @module
 */

export declare class ReplaySet {
  constructor(maxEntries?: number);
  get size(): number;
  /** Remembers `msgId` until `expiresAtMs`. */
  insert(msgId: Uint8Array, expiresAtMs: number, nowMs: number): 'inserted' | 'replay' | 'full';
}
