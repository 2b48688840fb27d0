/**
 * What the store needs from the outside: network, disk, time and chance. All of it is handed in, so that this room
 * stays free of I/O and tests decide when time passes.
 * @module
 */

import type { Clock } from '../../core/clock.ts';

export interface FetchRequest {
  /** One of the configured origins, spelled as there. */
  readonly origin: string;
  readonly path: string;
  readonly maxBytes: number;
  /** For the whole exchange; connecting has its own, shorter limit. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface FetchAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  readonly body: Uint8Array;
}

/** GET. Follows no redirect, sends no credentials, refuses other origins. Rejects with a coded error. */
export type FetchBytes = (request: FetchRequest) => Promise<FetchAnswer>;

/** Keys as in items.ts; a damaged blob reads as absent. */
export interface BlobStore {
  get(key: string): Promise<Uint8Array | undefined>;
  put(key: string, bytes: Uint8Array): Promise<void>;
  delete(key: string): Promise<void>;
  list(): Promise<readonly string[]>;
}

/** Resolves to false when the signal ended it early. */
export type Pause = (ms: number, signal: AbortSignal) => Promise<boolean>;

export interface Ports {
  readonly now: Clock;
  readonly pause: Pause;
  /** At least 0, below 1; spreads retries. Predictable is harmless. */
  readonly random: () => number;
  /** Absent: what is known ends with the process. */
  readonly blobs?: BlobStore;
  /** Absent: offline. */
  readonly fetch?: FetchBytes;
}
