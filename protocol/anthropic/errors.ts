/**
 * Errors as Anthropic's API has them: a type, its status, and a message that names the path. Retry headers are kept: its SDK
 * obeys the same ones. Spec: Anthropic API reference "Errors"; openai-gateway-and-engine §2.5.
 * @module
 */

import type { FrontFailure } from '../openai/chat-front.ts';
import type { OpenAiFailure } from '../openai/errors.ts';

/** Every type that is answered here, and the status that Anthropic gives it. */
const STATUSES = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
} as const;

export type AnthropicErrorType = keyof typeof STATUSES;
export interface AnthropicErrorBody {
  readonly type: 'error';
  readonly error: { readonly type: AnthropicErrorType; readonly message: string };
}

export function anthropicError(type: AnthropicErrorType, message: string): AnthropicErrorBody {
  return { type: 'error', error: { type, message } };
}

const BY_STATUS: Readonly<Record<number, AnthropicErrorType>> = {
  401: 'authentication_error',
  402: 'billing_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  503: 'overloaded_error',
  504: 'timeout_error',
};

function typeOf(status: number): AnthropicErrorType {
  const exact = BY_STATUS[status];
  if (exact !== undefined) return exact;
  return status < 500 ? 'invalid_request_error' : 'api_error';
}

/** What failed, as this API says it; `param` is a path in the sender's own JSON. */
export function anthropicFailure(failure: OpenAiFailure, param: string | null): FrontFailure {
  const type = typeOf(failure.status);
  const { message } = failure.body.error;
  const said = param === null ? message : `${param}: ${message}`;
  return { status: STATUSES[type], body: anthropicError(type, said), headers: failure.headers };
}

/** The types that OpenAI's error objects have, for what fails once an answer has begun. */
const BY_OPENAI_TYPE: ReadonlyMap<string, AnthropicErrorType> = new Map([
  ['invalid_request_error', 'invalid_request_error'],
  ['authentication_error', 'authentication_error'],
  ['payment_required', 'billing_error'],
  ['permission_error', 'permission_error'],
  ['rate_limit_error', 'rate_limit_error'],
]);

export function typeInStream(openAiType: string, code: string | null): AnthropicErrorType {
  if (code === 'timeout') return 'timeout_error';
  if (code === 'no_attested_worker') return 'overloaded_error';
  return BY_OPENAI_TYPE.get(openAiType) ?? 'api_error';
}
