/**
 * Errors in the gateway's own name: JSON in OpenAI's shape with the code of our tables and its status. On the sealed
 * path a client marks them unauthenticated; a code is all they carry. Spec: gateways-and-e2ee §7.10.
 * @module
 */

import type { ServerResponse } from 'node:http';
import { declaredErrors, type ErrorSpec } from '../core/errors.ts';
import { openAiFailure } from '../protocol/openai/errors.ts';

const BROKEN: ErrorSpec = { status: 500, recovery: 'stop', public: 'Internal error.' };
let specs: ReadonlyMap<string, ErrorSpec> | undefined;

/** Late, so that every area's table is loaded. */
export function specOf(code: string): ErrorSpec {
  specs ??= new Map(declaredErrors());
  return specs.get(code) ?? BROKEN;
}

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  402: 'payment_required',
  403: 'permission_error',
  404: 'invalid_request_error',
  429: 'rate_limit_error',
};

/** SDKs of one kind read the first, of another the second; one retries 429 only where it is told when. */
export const RETRY_SOON = { 'retry-after': '1', 'retry-after-ms': '1000' } as const;
/** Come back with the same request: never without a time. */
const COME_BACK: readonly number[] = [429, 503];

export interface ClearError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: object;
}

export function clearErrorOf(code: string): ClearError {
  const { status, recovery, public: message } = specOf(code);
  const fallback = status >= 500 ? 'server_error' : 'invalid_request_error';
  return {
    status,
    headers: {
      'content-type': 'application/json',
      'cache-control': 'no-store',
      ...(recovery === 'retry_later' || COME_BACK.includes(status)
        ? RETRY_SOON
        : { 'x-should-retry': 'false' }),
    },
    body: {
      error: {
        message,
        type: TYPES[status] ?? fallback,
        param: null,
        code: status === 401 ? 'invalid_api_key' : edgeCode(code),
      },
    },
  };
}

/** Payers are told the ledger's own words. */
export function edgeCode(code: string): string {
  return code.replace(/^payment\./, '');
}

/** Does nothing once an answer has begun or the client has left. */
export function respondClear(
  response: ServerResponse,
  code: string,
  more: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  const { status, headers, body } = clearErrorOf(code);
  response.writeHead(status, { ...headers, ...more });
  response.end(JSON.stringify(body));
}

export function respondMethodNotAllowed(response: ServerResponse, allow: string): void {
  const { status, body } = openAiFailure('method_not_allowed');
  response.writeHead(status, { 'content-type': 'application/json', allow });
  response.end(JSON.stringify(body));
}
