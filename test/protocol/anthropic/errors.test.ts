/** Each failure of ours is an error of Anthropic's, with its status. @module */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { messagesFront } from '../../../protocol/anthropic/messages.ts';
import { openAiFailure, type FailureCode } from '../../../protocol/openai/errors.ts';

const EXPECTED: readonly (readonly [code: FailureCode, type: string, status: number])[] = [
  ['invalid_value', 'invalid_request_error', 400],
  ['context_length_exceeded', 'invalid_request_error', 400],
  ['invalid_api_key', 'authentication_error', 401],
  ['insufficient_funds', 'billing_error', 402],
  ['price_changed', 'billing_error', 402],
  ['policy_denied', 'permission_error', 403],
  ['model_not_found', 'not_found_error', 404],
  ['method_not_allowed', 'invalid_request_error', 400],
  ['request_too_large', 'request_too_large', 413],
  ['request_replayed', 'invalid_request_error', 400],
  ['rate_limit_exceeded', 'rate_limit_error', 429],
  ['internal_error', 'api_error', 500],
  ['attestation_failed', 'api_error', 500],
  ['worker_failed', 'api_error', 500],
  ['no_attested_worker', 'overloaded_error', 529],
  ['timeout', 'timeout_error', 504],
];

for (const [code, type, status] of EXPECTED) {
  test(`${code} is ${type}, ${status}, with its retry headers`, () => {
    const failure = openAiFailure(code);
    const { message } = failure.body.error;
    assert.deepEqual(messagesFront.refusal(failure), {
      status,
      body: { type: 'error', error: { type, message } },
      headers: failure.headers,
    });
  });
}
