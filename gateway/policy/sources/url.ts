/**
 * Documents behind a URL: any web server, a bucket, another gateway's `/v1/publication`. Asked every second, with the
 * server's own mark of what was answered last, so that an unchanged document costs a line. Redirects are not followed.
 * @module
 */

import {
  createPinnedPool,
  fetchBytes,
  type HttpPool,
  type Trust,
} from '../../../core/node/http-client.ts';
import { pause } from '../../../core/node/lifecycle.ts';
import { publicationSourceError } from '../errors.ts';
import type { PublicationSource } from '../source.ts';

/** A revocation has to be in force within two seconds, with the way to the server and back four times. */
const INTERVAL_MS = 1000;
const TIMEOUT_MS = 5000;
const CONNECTIONS_MAX = 2;

/** Throws `publication_source.url`. */
export function urlSource(text: string): PublicationSource {
  const url = URL.parse(text);
  if (url === null || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw publicationSourceError('publication_source.url');
  }
  return new UrlSource(url);
}

class UrlSource implements PublicationSource {
  readonly #path: string;
  readonly #pool: HttpPool;
  readonly #etags = new Map<string, string>();

  constructor(url: URL) {
    this.#path = url.pathname.replace(/\/+$/, '');
    this.#pool = createPinnedPool({
      origin: url.origin,
      trust: trustOf(url),
      connectionsMax: CONNECTIONS_MAX,
      connectTimeoutMs: TIMEOUT_MS,
    });
  }

  async fetch(
    name: string,
    maxBytes: number,
    signal: AbortSignal,
  ): Promise<Uint8Array | undefined> {
    const etag = this.#etags.get(name);
    const { status, headers, body } = await fetchBytes(this.#pool, {
      method: 'GET',
      path: `${this.#path}/${name}`,
      headers: etag === undefined ? {} : { 'if-none-match': etag },
      maxBytes,
      timeoutMs: TIMEOUT_MS,
      signal,
    });
    if (status === 304 || status === 404) return undefined;
    if (status !== 200) throw publicationSourceError('publication_source.status', String(status));
    const next = headers['etag'];
    if (typeof next === 'string') this.#etags.set(name, next);
    return body;
  }

  forget(name: string): void {
    this.#etags.delete(name);
  }

  changed(signal: AbortSignal): Promise<boolean> {
    return pause(INTERVAL_MS, signal);
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** Clear text is for this machine alone; documents are signed, but who asks for what is nobody's business. */
function trustOf({ protocol, hostname }: URL): Trust {
  if (protocol === 'https:') return { kind: 'webpki' };
  const isHere = /^(127(\.\d{1,3}){3}|\[::1\])$/.test(hostname);
  if (protocol === 'http:' && isHere) return { kind: 'loopback' };
  throw publicationSourceError('publication_source.url', 'want https, or http on this machine');
}
