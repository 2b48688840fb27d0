/**
 * `fetch` with bounds: no redirects (they could move the key elsewhere), no cookies, a size limit, and what a gateway
 * says instead of an answer as one kind of error. Spec: WHATWG Fetch.
 * @module
 */

import { z } from 'zod';
import { Gatherer } from '../core/bytes.ts';
import { VeilError, type Facts } from '../core/errors.ts';
import { parseJson } from '../core/json.ts';
import { FAILURE_CODES } from '../protocol/openai/errors.ts';
import { clientError } from './errors.ts';
import { ERROR_BODY_MAX_BYTES } from './limits.ts';

export type Fetch = (
  url: string,
  init: {
    readonly method?: string;
    readonly headers: Record<string, string>;
    readonly body?: Uint8Array<ArrayBuffer>;
    readonly redirect: 'error';
    readonly credentials: 'omit';
    readonly cache: 'no-store';
    readonly signal: AbortSignal;
  },
) => Promise<Response>;

export interface BoundedGet {
  readonly headers: Record<string, string>;
  readonly maxBytes: number;
  /** Codes of a refusal that are kept beside those of the protocol. */
  readonly alsoKept?: readonly string[];
  readonly signal: AbortSignal;
}

/** Throws `client.unreachable`, `client.gateway_refused`, `client.answer_size`; the abort reason when stopped. */
export async function fetchBounded(
  fetch: Fetch,
  url: string,
  request: BoundedGet,
): Promise<Uint8Array> {
  const response = await reach(fetch, url, {
    headers: { ...request.headers, accept: 'application/json' },
    signal: request.signal,
  });
  if (response.status !== 200) throw await refusal(response, request.alsoKept);
  return readBounded(response, request.maxBytes);
}

/** Sends; a transport that fails is `client.unreachable`. */
export async function reach(
  fetch: Fetch,
  url: string,
  init: {
    readonly method?: string;
    readonly headers: Record<string, string>;
    readonly body?: Uint8Array<ArrayBuffer>;
    readonly signal: AbortSignal;
  },
): Promise<Response> {
  try {
    return await fetch(url, {
      ...init,
      redirect: 'error',
      credentials: 'omit',
      cache: 'no-store',
    });
  } catch (cause) {
    init.signal.throwIfAborted();
    throw clientError('client.unreachable', '', { cause });
  }
}

async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array> {
  const gathered = new Gatherer();
  for await (const chunk of chunksOf(response)) {
    if (gathered.size + chunk.length > maxBytes) throw clientError('client.answer_size');
    gathered.push(chunk);
  }
  return gathered.bytes();
}

/** The body as it arrives. A connection that breaks is `client.unreachable`. Leaving the loop cancels the body. */
export async function* chunksOf(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  if (response.body === null) return;
  const reader = response.body.getReader();
  let done = false;
  try {
    while (!done) {
      const step = await reader.read().catch((cause: unknown) => {
        throw clientError('client.unreachable', 'broken off', { cause });
      });
      done = step.done;
      if (!step.done) yield step.value;
    }
  } finally {
    // Cancelling a body that has already failed rejects with that same failure, which is on its way already.
    if (!done) await reader.cancel().catch(() => undefined);
  }
}

/** The form of the codes of P§11; which of them a gateway may use is the carrier's question. */
const SEALED_CODE = /^sx\.[a-z_]{1,32}$/;

const ERROR_BODY = z.looseObject({
  error: z.looseObject({ code: z.string().max(64).nullish() }),
});

/**
 * What the gateway said instead of an answer. Its text is dropped: whoever holds the connection can write it. A code is
 * kept when it is one of the closed set, or of those that the caller names.
 */
export async function refusal(
  response: Response,
  alsoKept: readonly string[] = [],
): Promise<VeilError> {
  const facts: Record<string, string | number> = { refusedStatus: response.status };
  const retryAfterMs = retryAfter(response);
  if (retryAfterMs !== undefined) facts['retryAfterMs'] = retryAfterMs;
  const code = await errorCode(response, alsoKept);
  if (code !== undefined) facts['refusedCode'] = code;
  const kept: Facts = facts;
  return clientError('client.gateway_refused', String(response.status), { facts: kept });
}

async function errorCode(
  response: Response,
  alsoKept: readonly string[],
): Promise<string | undefined> {
  try {
    const body = await readBounded(response, ERROR_BODY_MAX_BYTES);
    const decoded = ERROR_BODY.safeParse(parseJson(body, ERROR_BODY_MAX_BYTES));
    const code = decoded.success ? decoded.data.error.code : undefined;
    if (code === undefined || code === null) return undefined;
    const isKept = [...FAILURE_CODES, ...alsoKept].includes(code) || SEALED_CODE.test(code);
    return isKept ? code : undefined;
  } catch (error) {
    // The refusal stands without its code; only what is not ours surfaces.
    if (error instanceof VeilError) return undefined;
    throw error;
  }
}

const MS_PER_S = 1000;
const RETRY_AFTER_MAX_S = 3600;

function retryAfter(response: Response): number | undefined {
  const text = response.headers.get('retry-after');
  if (text === null || !/^\d{1,5}$/.test(text)) return undefined;
  return Math.min(Number(text), RETRY_AFTER_MAX_S) * MS_PER_S;
}
