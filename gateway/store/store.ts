/**
 * What the gateway must not forget, and nothing else: API keys by their hash, and which exchanges were begun and how
 * they ended. No content, ever. Spec: overview "Once only"; every store passes test/contract/store.contract.ts.
 * @module
 */

import type { Bytes } from '../../core/bytes.ts';

export interface ApiKeyRecord {
  /** Public name: what logs and metrics may say. */
  readonly keyId: string;
  /** SHA-256 of the key's text; the key itself is stored nowhere. */
  readonly keyHash: Bytes<32>;
  readonly label: string;
  readonly createdMs: number;
  readonly revokedMs: number | undefined;
}

export type ExchangeState =
  /** msg_id is taken; no recipient has answered. */
  | 'reserved'
  /** The first sealed frame went to the client: the worker is owed. */
  | 'relayed'
  /** The worker's verified receipt is kept. */
  | 'settled'
  /** Nobody is owed. msg_id stays taken. */
  | 'released';

export interface Reservation {
  readonly msgId: Bytes<16>;
  readonly keyId: string;
  /** Ceiling of the sender; money stays integer. */
  readonly maxAmount: bigint;
  readonly reservedMs: number;
  /** Before this the same msg_id is never taken again: issued_at + ttl + skew. */
  readonly expiresMs: number;
}

export interface ExchangeRecord extends Reservation {
  readonly state: ExchangeState;
  readonly workerId: Bytes<32> | undefined;
  /** signature ‖ VGR1. */
  readonly receipt: Uint8Array | undefined;
}

export interface Store {
  insertApiKey(record: ApiKeyRecord): void;
  findApiKey(keyHash: Bytes<32>): ApiKeyRecord | undefined;
  listApiKeys(): readonly ApiKeyRecord[];
  /** False when there is no such key or it was revoked before. */
  revokeApiKey(keyId: string, nowMs: number): boolean;

  /**
   * Resolves once the row is on disk: true when msg_id was free, false when it was taken before. Throws `gateway.busy`
   * when too many wait.
   */
  reserve(reservation: Reservation): Promise<boolean>;
  /** Best effort on the way to `settled` or `released`; written with the next group. */
  markRelayed(msgId: Bytes<16>, workerId: Bytes<32>): void;
  /** Resolves once receipt and state are on disk. Only a reserved or relayed exchange can be settled. */
  settle(msgId: Bytes<16>, workerId: Bytes<32>, receipt: Uint8Array): Promise<void>;
  release(msgId: Bytes<16>): void;
  findExchange(msgId: Bytes<16>): ExchangeRecord | undefined;
  /** Forgets reservations past their time, and receipts older than `receiptsBeforeMs`. Returns how many rows went. */
  purge(nowMs: number, receiptsBeforeMs: number): number;
  /** Writes what waits, then closes. */
  close(): Promise<void>;
}
