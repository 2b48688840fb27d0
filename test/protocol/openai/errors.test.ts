/** Which OpenAI error each failure becomes, and what SDKs will do with it. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VeilError, type Recovery } from '../../../core/errors.ts';
import {
  FAILURE_CODES,
  failureOf,
  openAiError,
  openAiFailure,
  refusalOf,
} from '../../../protocol/openai/errors.ts';
import { sxError } from '../../../protocol/sx/errors.ts';

test('an error object has all four members, absent ones as null', () => {
  assert.deepEqual(openAiError(400, 'invalid_request_error', null, 'No.'), {
    status: 400,
    body: { error: { message: 'No.', type: 'invalid_request_error', param: null, code: null } },
  });
});

const TABLE = [
  ['invalid_value', 400, 'invalid_request_error', 'false'],
  ['unknown_parameter', 400, 'invalid_request_error', 'false'],
  ['unsupported_parameter', 400, 'invalid_request_error', 'false'],
  ['context_length_exceeded', 400, 'invalid_request_error', 'false'],
  ['invalid_api_key', 401, 'authentication_error', 'false'],
  ['insufficient_funds', 402, 'payment_required', 'false'],
  ['price_changed', 402, 'payment_required', 'false'],
  ['policy_denied', 403, 'permission_error', 'false'],
  ['model_not_found', 404, 'invalid_request_error', 'false'],
  ['unknown_url', 404, 'invalid_request_error', 'false'],
  ['request_too_large', 413, 'invalid_request_error', 'false'],
  ['request_replayed', 422, 'invalid_request_error', 'false'],
  ['rate_limit_exceeded', 429, 'rate_limit_error', undefined],
  ['attestation_failed', 502, 'server_error', 'false'],
  ['worker_failed', 502, 'server_error', undefined],
  ['answer_broken', 502, 'server_error', 'false'],
  ['no_attested_worker', 503, 'server_error', undefined],
  ['timeout', 504, 'server_error', undefined],
] as const;

for (const [code, status, type, shouldRetry] of TABLE) {
  test(`${code} is ${status} ${type}`, () => {
    const failure = openAiFailure(code);
    const headers = new Map(failure.headers);
    assert.equal(failure.status, status);
    assert.equal(failure.body.error.type, type);
    assert.equal(failure.body.error.code, code);
    assert.equal(headers.get('x-should-retry'), shouldRetry);
  });
}

test('no failure is a 409: SDKs would repeat it', () => {
  for (const code of FAILURE_CODES) {
    const { status } = refusalOf({ status: 409, code, retryAfterMs: undefined });
    assert.notEqual(status, 409);
  }
});

test('429 and 503 say when to come back, in seconds and in milliseconds', () => {
  const headers = new Map(openAiFailure('rate_limit_exceeded', { retryAfterMs: 2500 }).headers);
  assert.equal(headers.get('retry-after'), '3');
  assert.equal(headers.get('retry-after-ms'), '2500');
  assert.equal(new Map(openAiFailure('no_attested_worker').headers).get('retry-after'), '1');
});

test('the named parameter is shown', () => {
  assert.equal(openAiFailure('invalid_value', { param: 'top_p' }).body.error.param, 'top_p');
});

test('an error that is not ours shows nothing of its text', () => {
  const failure = failureOf(new Error('canary of a foreign library'));
  assert.equal(failure.status, 500);
  assert.doesNotMatch(JSON.stringify(failure), /canary/);
});

test('an error of ours shows its fixed text and never its detail', () => {
  const failure = failureOf(sxError('sx.price', 'canary detail'));
  assert.equal(failure.status, 402);
  assert.equal(failure.body.error.code, 'price_changed');
  assert.doesNotMatch(JSON.stringify(failure), /canary/);
});

const BY_RECOVERY: readonly (readonly [number, Recovery, string])[] = [
  [418, 'fix_request', 'invalid_value'],
  [500, 'retry_later', 'no_attested_worker'],
  [502, 'try_other_worker', 'attestation_failed'],
  [500, 'stop', 'internal_error'],
  [409, 'stop', 'request_replayed'],
  [504, 'stop', 'timeout'],
];

for (const [status, recovery, want] of BY_RECOVERY) {
  test(`an undeclared code with status ${status} and recovery ${recovery} becomes ${want}`, () => {
    const error = new VeilError('test.code', { status, recovery, public: 'Fixed.' }, '');
    assert.equal(failureOf(error).body.error.code, want);
  });
}

test("a gateway's refusal keeps its code only where code and status agree", () => {
  const refusal = { retryAfterMs: undefined };
  const agreeing = refusalOf({ ...refusal, status: 402, code: 'price_changed' });
  assert.equal(agreeing.body.error.code, 'price_changed');
  const lying = refusalOf({ ...refusal, status: 401, code: 'price_changed' });
  assert.equal(lying.body.error.code, 'invalid_api_key');
  const unknown = refusalOf({ ...refusal, status: 418, code: 'toString' });
  assert.deepEqual([unknown.status, unknown.body.error.code], [400, 'invalid_value']);
  const odd = refusalOf({ ...refusal, status: 204, code: undefined });
  assert.equal(odd.body.error.code, 'gateway_unreachable');
});
