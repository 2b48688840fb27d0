/**
 * Where published documents are fetched: a gateway, any web server, a directory. Whoever answers can withhold them, and
 * nothing else. Spec: docs/publication.md §2, §5.
 * @module
 */

import { VeilError } from '../core/errors.ts';
import { clientError } from './errors.ts';
import { fetchBounded, type Fetch } from './fetch-bounded.ts';

/**
 * The bytes under a name of docs/publication.md §2, such as `root/2.json`; undefined when there are none. Throws `client.*`
 * when nobody can tell.
 */
export type DocumentSource = (
  name: string,
  maxBytes: number,
  signal: AbortSignal,
) => Promise<Uint8Array | undefined>;

export interface FetchDocumentsOptions {
  readonly fetch: Fetch;
  /** Without a slash at the end. */
  readonly baseUrl: string;
  readonly headers: Record<string, string>;
}

export function fetchDocuments({ fetch, baseUrl, headers }: FetchDocumentsOptions): DocumentSource {
  return async (name, maxBytes, signal) => {
    try {
      return await fetchBounded(fetch, `${baseUrl}/${name}`, { headers, maxBytes, signal });
    } catch (error) {
      if (error instanceof VeilError && error.facts['refusedStatus'] === 404) return undefined;
      throw error;
    }
  };
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Without slashes at the end. Throws `client.option`, `client.insecure_url`. */
export function plainUrlOf(text: string, what: string): string {
  const url = URL.parse(text);
  if (url === null || url.search + url.hash + url.username + url.password !== '') {
    throw clientError('client.option', what);
  }
  const secure = url.protocol === 'https:';
  if (!secure && !(url.protocol === 'http:' && LOOPBACK.test(url.hostname))) {
    throw clientError('client.insecure_url', what);
  }
  return `${url.origin}${url.pathname.replace(/\/+$/, '')}`;
}
