/**
 * The OpenAI error object, and which one each failure becomes at an SDK's edge. Statuses are chosen by what SDKs do
 * with them: openai retries 408, 409, 429 and ≥ 500, so what must not be repeated is never answered with those alone.
 * Spec: OpenAI API reference, "Errors"; docs/protocol.md "Errors at the edge".
 * @module
 */

import { VeilError } from '../../core/errors.ts';

export type OpenAiErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'payment_required'
  | 'permission_error'
  | 'rate_limit_error'
  | 'server_error';

export interface OpenAiErrorBody {
  readonly error: {
    readonly message: string;
    readonly type: OpenAiErrorType;
    readonly param: string | null;
    readonly code: string | null;
  };
}

export interface OpenAiError {
  readonly status: number;
  readonly body: OpenAiErrorBody;
}

/** An error object with the retry headers that belong to it. */
export interface OpenAiFailure extends OpenAiError {
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** `message` is fixed text or names a field; it never carries a value that came in. */
export function openAiError(
  status: number,
  type: OpenAiErrorType,
  code: string | null,
  message: string,
  param: string | null = null,
): OpenAiError {
  return { status, body: { error: { message, type, param, code } } };
}

interface FailureRow {
  readonly status: number;
  readonly type: OpenAiErrorType;
  readonly message: string;
  /** Sent as `retry-after` and `retry-after-ms`: some SDKs retry 429 only when told when. */
  readonly retryAfterMs?: number;
  /** `x-should-retry`; absent leaves the SDK's own rule for the status. */
  readonly shouldRetry?: boolean;
}

const INVALID = { status: 400, type: 'invalid_request_error', shouldRetry: false } as const;
const SERVER = { type: 'server_error' } as const;
const SOON_MS = 1000;

/** Every failure an SDK can meet, by its `code`. */
const ROWS = {
  invalid_value: { ...INVALID, message: 'A field of the request has a value that is not valid.' },
  invalid_json: { ...INVALID, message: 'The request body is not valid JSON.' },
  unknown_parameter: { ...INVALID, message: 'The request has a parameter that is not known.' },
  unsupported_parameter: {
    ...INVALID,
    message: 'The request has a parameter that is not supported.',
  },
  context_length_exceeded: {
    ...INVALID,
    message: 'The prompt and the requested output do not fit into the context of the model.',
  },
  sealed_request_refused: {
    ...INVALID,
    message: 'The worker refused the sealed request. The clock of this machine may be wrong.',
  },
  invalid_api_key: {
    status: 401,
    type: 'authentication_error',
    shouldRetry: false,
    message: 'The API key is missing or not known.',
  },
  insufficient_funds: {
    status: 402,
    type: 'payment_required',
    shouldRetry: false,
    message: 'The balance of this account does not cover the request.',
  },
  price_changed: {
    status: 402,
    type: 'payment_required',
    shouldRetry: false,
    message: 'Every worker asks more than the price this request allows.',
  },
  policy_denied: {
    status: 403,
    type: 'permission_error',
    shouldRetry: false,
    message: 'The policy does not allow this request.',
  },
  plaintext_disabled: {
    status: 403,
    type: 'permission_error',
    shouldRetry: false,
    message:
      'This gateway serves sealed requests only: it refuses to read prompts. Use the Veilgate client.',
  },
  model_not_found: {
    status: 404,
    type: 'invalid_request_error',
    shouldRetry: false,
    message: 'The model does not exist here.',
  },
  endpoint_not_served: {
    status: 404,
    type: 'invalid_request_error',
    shouldRetry: false,
    message: 'The model is not served at this path.',
  },
  unknown_url: {
    status: 404,
    type: 'invalid_request_error',
    shouldRetry: false,
    message: 'There is no such path.',
  },
  method_not_allowed: {
    status: 405,
    type: 'invalid_request_error',
    shouldRetry: false,
    message: 'The path does not take this method.',
  },
  request_too_large: {
    status: 413,
    type: 'invalid_request_error',
    shouldRetry: false,
    message: 'The request body is too large.',
  },
  unsupported_media_type: {
    status: 415,
    type: 'invalid_request_error',
    shouldRetry: false,
    message: 'The request body must be application/json.',
  },
  request_replayed: {
    status: 422,
    type: 'invalid_request_error',
    shouldRetry: false,
    message: 'A request with this id was served before.',
  },
  rate_limit_exceeded: {
    status: 429,
    type: 'rate_limit_error',
    retryAfterMs: SOON_MS,
    message: 'Too many requests.',
  },
  internal_error: { ...SERVER, status: 500, shouldRetry: false, message: 'Internal error.' },
  attestation_failed: {
    ...SERVER,
    status: 502,
    shouldRetry: false,
    message: 'No worker could prove its integrity.',
  },
  worker_failed: {
    ...SERVER,
    status: 502,
    retryAfterMs: SOON_MS,
    message: 'The worker failed before it answered.',
  },
  answer_broken: {
    ...SERVER,
    status: 502,
    shouldRetry: false,
    message: 'The answer broke off or did not verify. What arrived of it was discarded.',
  },
  answer_late: {
    ...SERVER,
    status: 504,
    shouldRetry: false,
    message:
      'The answer did not arrive in its time. It may have been produced, and billed, all the same.',
  },
  gateway_unreachable: {
    ...SERVER,
    status: 502,
    retryAfterMs: SOON_MS,
    message: 'The gateway could not be reached or did not answer as one.',
  },
  no_attested_worker: {
    ...SERVER,
    status: 503,
    retryAfterMs: SOON_MS,
    message: 'No attested worker is free for this model now.',
  },
  timeout: { ...SERVER, status: 504, message: 'The request did not finish in its time.' },
} as const satisfies Readonly<Record<string, FailureRow>>;

export type FailureCode = keyof typeof ROWS;

export const FAILURE_CODES: readonly string[] = Object.keys(ROWS);

function isFailureCode(code: string): code is FailureCode {
  return Object.hasOwn(ROWS, code);
}

export interface FailureDetail {
  /** Fixed text in place of the table's. */
  readonly message?: string;
  readonly param?: string;
  readonly retryAfterMs?: number;
}

export function openAiFailure(code: FailureCode, detail: FailureDetail = {}): OpenAiFailure {
  const row: FailureRow = ROWS[code];
  const { status, body } = openAiError(
    row.status,
    row.type,
    code,
    detail.message ?? row.message,
    detail.param ?? null,
  );
  return { status, body, headers: retryHeaders(row, detail) };
}

const MS_PER_S = 1000;

function retryHeaders(row: FailureRow, detail: FailureDetail): OpenAiFailure['headers'] {
  const retryAfterMs = detail.retryAfterMs ?? row.retryAfterMs;
  const headers: (readonly [string, string])[] = [];
  if (retryAfterMs !== undefined) {
    headers.push(['retry-after', String(Math.max(1, Math.ceil(retryAfterMs / MS_PER_S)))]);
    headers.push(['retry-after-ms', String(Math.ceil(retryAfterMs))]);
  }
  if (row.shouldRetry !== undefined) headers.push(['x-should-retry', String(row.shouldRetry)]);
  return headers;
}

export interface Refusal {
  readonly status: number;
  readonly code: string | undefined;
  readonly retryAfterMs: number | undefined;
}

/** Another party's refusal in our words: its code where status and code are a row of the table, else by its status. */
export function refusalOf(refusal: Refusal): OpenAiFailure {
  const detail = refusal.retryAfterMs === undefined ? {} : { retryAfterMs: refusal.retryAfterMs };
  const { code, status } = refusal;
  if (code !== undefined && isFailureCode(code) && ROWS[code].status === status) {
    return openAiFailure(code, detail);
  }
  const byStatus = BY_STATUS[status];
  if (byStatus !== undefined) return openAiFailure(byStatus, detail);
  const theirs = status >= 400 && status < 500;
  return openAiFailure(theirs ? 'invalid_value' : 'gateway_unreachable', detail);
}

/** Codes whose edge form their status and recovery do not tell. */
const BY_CODE: Readonly<Record<string, FailureCode>> = {
  'json.syntax': 'invalid_json',
  'json.duplicate': 'invalid_json',
  'json.depth': 'invalid_json',
  'bytes.utf8': 'invalid_json',
  'sx.key_unknown': 'no_attested_worker',
  'sx.no_recipient': 'no_attested_worker',
  'sx.busy': 'no_attested_worker',
  'sx.price': 'price_changed',
  'sx.replay': 'request_replayed',
  'sx.refused': 'sealed_request_refused',
  'sx.kem': 'attestation_failed',
  'sx.input': 'invalid_value',
  'sx.truncated': 'answer_broken',
  'sx.response': 'answer_broken',
  'sx.trailing': 'answer_broken',
  'sx.limit': 'answer_broken',
  'sx.receipt': 'answer_broken',
  'sx.receipt_missing': 'answer_broken',
  'sx.gateway': 'worker_failed',
  'gatewayDocument.format': 'attestation_failed',
  'gatewayDocument.signature': 'attestation_failed',
  'gatewayDocument.time': 'attestation_failed',
  'client.deadline': 'answer_late',
  'client.path': 'unknown_url',
  'client.endpoint': 'endpoint_not_served',
  'client.unreachable': 'gateway_unreachable',
  'client.not_sealed': 'answer_broken',
  'client.answer_size': 'answer_broken',
  'client.none_admitted': 'attestation_failed',
  'client.policy_none': 'attestation_failed',
  'client.policy_equivocation': 'attestation_failed',
  'client.none_usable': 'attestation_failed',
  'client.gateway_changed': 'attestation_failed',
  'client.gateway_evidence': 'attestation_failed',
  'client.gateway_denied': 'attestation_failed',
  'client.gateway_key': 'attestation_failed',
  'client.evidence': 'attestation_failed',
};

/**
 * What an SDK is told about any error. Whatever is not ours is `internal_error`, without its text. An error that passes
 * on another party's refusal says so in its facts: `refusedStatus`, and `refusedCode` and `retryAfterMs` where known.
 */
export function failureOf(error: unknown): OpenAiFailure {
  if (!(error instanceof VeilError)) return openAiFailure('internal_error');
  const { refusedStatus: status, refusedCode: code, retryAfterMs } = error.facts;
  if (typeof status === 'number') {
    return refusalOf({
      status,
      code: typeof code === 'string' ? code : undefined,
      retryAfterMs: typeof retryAfterMs === 'number' ? retryAfterMs : undefined,
    });
  }
  return openAiFailure(failureCodeOf(error), { message: error.spec.public });
}

export function failureCodeOf(error: VeilError): FailureCode {
  const exact = BY_CODE[error.code];
  if (exact !== undefined) return exact;
  const { status, recovery } = error.spec;
  const byStatus = BY_STATUS[status];
  if (byStatus !== undefined) return byStatus;
  if (recovery === 'fix_request') return 'invalid_value';
  if (recovery === 'retry_later') return 'no_attested_worker';
  if (recovery === 'try_other_worker') return 'attestation_failed';
  return 'internal_error';
}

const BY_STATUS: Readonly<Record<number, FailureCode>> = {
  401: 'invalid_api_key',
  402: 'insufficient_funds',
  403: 'policy_denied',
  404: 'model_not_found',
  405: 'method_not_allowed',
  409: 'request_replayed',
  413: 'request_too_large',
  415: 'unsupported_media_type',
  422: 'request_replayed',
  429: 'rate_limit_exceeded',
  503: 'no_attested_worker',
  504: 'timeout',
};
