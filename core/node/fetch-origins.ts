/**
 * GET from a closed set of origins. Whom to believe at each is settled when the set is made, and a request can name no
 * other, so nothing that a request is made of can send it elsewhere. Redirects are answers like any other.
 * @module
 */

import {
  createPinnedPool,
  fetchBytes,
  httpError,
  type FetchedBytes,
  type HttpPool,
  type Trust,
} from './http-client.ts';

export interface TrustedOrigin {
  /** `https://host[:port]`, or `http://` on this machine with `loopback` trust. */
  readonly origin: string;
  readonly trust: Trust;
}

export interface OriginRequest {
  /** One of the set, spelled as there. */
  readonly origin: string;
  /** Absolute, with query. */
  readonly path: string;
  readonly maxBytes: number;
  /** For the whole exchange. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface OriginFetcher {
  /** Throws `http.*`; `http.origin` for an origin outside the set. */
  fetch(request: OriginRequest): Promise<FetchedBytes>;
  /** Cuts what is under way. */
  destroy(): Promise<void>;
}

export interface OriginFetcherOptions {
  readonly connectTimeoutMs: number;
  readonly connectionsMax: number;
}

/** Throws `http.origin` when an origin is not one, or stands twice: which trust holds must not be a question of order. */
export function createOriginFetcher(
  origins: readonly TrustedOrigin[],
  options: OriginFetcherOptions,
): OriginFetcher {
  const pools = new Map<string, HttpPool>();
  for (const { origin, trust } of origins) {
    if (pools.has(origin)) throw httpError('http.origin', 'an origin stands twice');
    pools.set(origin, createPinnedPool({ origin, trust, ...options }));
  }
  return {
    fetch: async ({ origin, ...request }) => {
      const pool = pools.get(origin);
      if (pool === undefined) throw httpError('http.origin', 'not one of the configured origins');
      if (!request.path.startsWith('/')) throw httpError('http.origin', 'not a path');
      return await fetchBytes(pool, { ...request, method: 'GET', headers: {} });
    },
    destroy: async () => {
      await Promise.all([...pools.values()].map((pool) => pool.destroy()));
    },
  };
}
