/**
 * What may stand inside a seal: one POST to a path of a short list with headers of a short list. Anything else is refused,
 * so that nothing can be smuggled to an engine. Spec: P§7.
 * @module
 */

import { fixed, fromBase64Url, toBase64Url, type Bytes } from '../../core/bytes.ts';
import { ENDPOINTS } from '../openai/endpoints.ts';
import { decodeRequest, encodeRequest, type FieldLimits, type ResponseHead } from '../bhttp.ts';
import { sxError } from './errors.ts';
import {
  INNER_HEADER_VALUE_MAX_BYTES,
  INNER_HEADERS_MAX,
  INNER_REQUEST_MAX_BYTES,
} from './limits.ts';

/**
 * POST only. `headers` are of the allow-list of P§7.2, without `sx-policy`: sealing writes that one from the keys.
 */
export interface InnerRequest {
  readonly path: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body: Uint8Array;
}

export interface DecodedInner {
  /** Without `sx-policy`. */
  readonly request: InnerRequest;
  readonly policyDigest: Bytes<32>;
}

const METHOD = 'POST';
const SCHEME = 'https';
/** Cannot resolve: a bug that used it as an address would reach nobody. */
const AUTHORITY = 'worker.invalid';

export const INNER_PATHS: readonly string[] = ENDPOINTS.map(({ path }) => path);

export const REQUEST_HEADERS: readonly string[] = [
  'content-type',
  'accept',
  'sx-policy',
  'sx-cache-salt',
  'sx-priority',
  'idempotency-key',
];

export const RESPONSE_HEADERS: readonly string[] = [
  'content-type',
  'cache-control',
  'retry-after',
  'retry-after-ms',
  'x-should-retry',
  'openai-processing-ms',
  'server-timing',
  'x-request-id',
];

const POLICY_HEADER = 'sx-policy';
const LIMITS: FieldLimits = {
  countMax: INNER_HEADERS_MAX,
  valueMaxBytes: INNER_HEADER_VALUE_MAX_BYTES,
};

const bad = (what: string) => sxError('sx.inner', what);

/** Throws `sx.inner` for whatever the worker would refuse. */
export function encodeInner(request: InnerRequest, policyDigest: Bytes<32>): Uint8Array {
  const bytes = encodeRequest({
    method: METHOD,
    scheme: SCHEME,
    authority: AUTHORITY,
    path: request.path,
    fields: [...request.headers, [POLICY_HEADER, toBase64Url(policyDigest)]],
    content: request.body,
  });
  if (bytes.length > INNER_REQUEST_MAX_BYTES) throw bad('size');
  // One rule for both ends: what this would refuse on arrival does not leave.
  decodeInner(bytes);
  return bytes;
}

/** Throws `sx.inner`. The body is a view of `bytes`. */
export function decodeInner(bytes: Uint8Array): DecodedInner {
  const message = decodeRequest(bytes, LIMITS, bad);
  if (message.method !== METHOD) throw bad('method');
  if (message.scheme !== SCHEME || message.authority !== AUTHORITY) throw bad('target');
  if (!INNER_PATHS.includes(message.path)) throw bad('path');
  for (const [name] of message.fields) {
    if (!REQUEST_HEADERS.includes(name)) throw bad('header');
  }
  const policy = message.fields.find(([name]) => name === POLICY_HEADER);
  if (policy === undefined) throw bad('sx-policy');
  return {
    request: {
      path: message.path,
      headers: message.fields.filter(([name]) => name !== POLICY_HEADER),
      body: message.content,
    },
    policyDigest: policyDigestOf(policy[1]),
  };
}

function policyDigestOf(text: string): Bytes<32> {
  try {
    return fixed(fromBase64Url(text), 32);
  } catch {
    // The client's own text: which of its bytes is wrong is of no use to anybody.
    throw bad('sx-policy');
  }
}

/** Throws `error()` for a header outside the allow-list of P§7.3. */
export function checkResponseHead(head: ResponseHead, error: (what: string) => Error): void {
  for (const [name] of head.fields) if (!RESPONSE_HEADERS.includes(name)) throw error('header');
}

export const RESPONSE_FIELD_LIMITS: FieldLimits = LIMITS;
