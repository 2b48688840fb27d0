/**
 * The API keys of a gateway, by their hash. Which exchanges were begun and how they ended is in the ledger
 * (settlement/ledger/). Every store passes test/contract/store.contract.ts.
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

export interface Store {
  insertApiKey(record: ApiKeyRecord): void;
  findApiKey(keyHash: Bytes<32>): ApiKeyRecord | undefined;
  listApiKeys(): readonly ApiKeyRecord[];
  /** False when there is no such key or it was revoked before. */
  revokeApiKey(keyId: string, nowMs: number): boolean;
  close(): void;
}
