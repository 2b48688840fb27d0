/**
 * `fetch` over one pool of the HTTP client, so that every request runs on a connection that the pool's own trust let
 * through. No redirects, no cookies, no decompression. A body that breaks off errors its stream. Spec: WHATWG Fetch.
 * @module
 */

import { concat } from '../../core/bytes.ts';
import { deferred } from '../../core/deferred.ts';
import type {
  HttpPool,
  ReadHeaders,
  StreamControl,
  StreamRequest,
} from '../../core/node/http-client.ts';
import { clientError } from '../errors.ts';
import type { Fetch } from '../fetch-bounded.ts';
import { READ_AHEAD_BYTES } from '../limits.ts';

export interface PoolRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | undefined;
  readonly signal: AbortSignal;
}

export interface PoolAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: ReadableStream<Uint8Array>;
}

const METHODS = ['GET', 'POST', 'DELETE'] as const;

/** Rejects with `http.*` before an answer begins; afterwards its stream errors. */
export async function fetchOver(pool: HttpPool, request: PoolRequest): Promise<PoolAnswer> {
  const method = METHODS.find((known) => known === request.method);
  if (method === undefined) throw clientError('client.request', 'method');
  request.signal.throwIfAborted();
  const { path, headers, body, signal } = request;
  const asked: StreamRequest = { method, path, headers, ...(body === undefined ? {} : { body }) };
  const started = deferred<PoolAnswer>();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let reading: StreamControl | undefined;
  let isOver = false;
  const onAbort = (): void => running.abort();
  const finish = (): boolean => {
    signal.removeEventListener('abort', onAbort);
    const wasOver = isOver;
    isOver = true;
    return wasOver;
  };
  const stream = new ReadableStream<Uint8Array>(
    {
      start: (given) => {
        controller = given;
      },
      pull: () => reading?.resume(),
      cancel: () => {
        if (!finish()) running.abort();
      },
    },
    new ByteLengthQueuingStrategy({ highWaterMark: READ_AHEAD_BYTES }),
  );
  const running = pool.stream(asked, {
    onHead: (status, read, control) => {
      reading = control;
      started.resolve({ status, headers: headersOf(read), body: stream });
    },
    onData: (chunk) => {
      if (isOver) return;
      controller?.enqueue(Uint8Array.from(chunk));
      if ((controller?.desiredSize ?? 0) <= 0) reading?.pause();
    },
    onEnd: () => {
      if (!finish()) controller?.close();
    },
    onError: (error) => {
      if (finish()) return;
      // A fetch that was stopped fails with the reason it was stopped for.
      const cause: unknown = signal.aborted ? signal.reason : error;
      started.reject(cause);
      controller?.error(cause);
    },
  });
  signal.addEventListener('abort', onAbort, { once: true });
  return await started.promise;
}

function headersOf(read: ReadHeaders): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(read)) {
    if (value === undefined) continue;
    for (const one of typeof value === 'string' ? [value] : value) headers.append(name, one);
  }
  return headers;
}

/** A `Response` with one of these refuses a body. Spec: WHATWG Fetch, "null body status". */
export const BODILESS_STATUSES: readonly number[] = [204, 205, 304];

/** For documents: whatever the URL says, the pool's own origin is asked. */
export function documentFetch(pool: HttpPool): Fetch {
  return async (url, { method = 'GET', headers, signal }) => {
    const { pathname, search } = new URL(url);
    const path = `${pathname}${search}`;
    const answer = await fetchOver(pool, { method, path, headers, signal });
    return new Response(BODILESS_STATUSES.includes(answer.status) ? null : answer.body, answer);
  };
}

/** The whole body. Throws `client.answer_size`, and what the stream fails with. */
export async function readWhole(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of stream) {
    size += part.length;
    // Leaving the loop cancels the stream.
    if (size > maxBytes) throw clientError('client.answer_size');
    parts.push(part);
  }
  return concat(...parts);
}
