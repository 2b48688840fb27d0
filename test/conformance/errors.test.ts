/**
 * C16, C17: every failure has the class, the status and the code that its table says in each client, and is asked again as
 * often as that client does. Spec: openai-gateway-and-engine §2.5.
 * @module
 */

import assert from 'node:assert/strict';
import { APICallError, generateText, RetryError } from 'ai';
import {
  APIError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
  PermissionDeniedError,
  RateLimitError,
  UnprocessableEntityError,
} from 'openai';
import { FAILURE_CODES, type FailureCode } from '../../protocol/openai/errors.ts';
import { counted } from '../support/conformance/counting.ts';
import { failingWays, failureAsked } from '../support/conformance/failing-lab.ts';
import { row } from '../support/conformance/rows.ts';
import { aiSdk, langChain, openAi, type Way } from '../support/conformance/way.ts';

const ways = failingWays();

/** Of each client so many retries are allowed. */
const RETRIES = { O: 2, A: 1, L: 1 } as const;
/** Once, or as often as that client may: what it does with the status and the headers. */
type Sent = 'once' | 'again';

interface Case {
  readonly status: number;
  readonly O: Sent;
  readonly A: Sent;
  readonly L: Sent;
}

const NEVER = { O: 'once', A: 'once', L: 'once' } as const;
const ALWAYS = { O: 'again', A: 'again', L: 'again' } as const;
/** `x-should-retry: false` is heard by OpenAI's client alone. */
const NOT_BY_OPENAI = { O: 'once', A: 'again', L: 'again' } as const;

/** LangChain knows a list of statuses that are not worth asking again, and these are not on it. */
const BY_LANGCHAIN = { O: 'once', A: 'once', L: 'again' } as const;

const CASES: Readonly<Record<FailureCode, Case>> = {
  invalid_value: { status: 400, ...NEVER },
  invalid_json: { status: 400, ...NEVER },
  unknown_parameter: { status: 400, ...NEVER },
  unsupported_parameter: { status: 400, ...NEVER },
  context_length_exceeded: { status: 400, ...NEVER },
  sealed_request_refused: { status: 400, ...NEVER },
  invalid_api_key: { status: 401, ...NEVER },
  insufficient_funds: { status: 402, ...NEVER },
  price_changed: { status: 402, ...NEVER },
  policy_denied: { status: 403, ...NEVER },
  plaintext_disabled: { status: 403, ...NEVER },
  model_not_found: { status: 404, ...NEVER },
  endpoint_not_served: { status: 404, ...NEVER },
  unknown_url: { status: 404, ...NEVER },
  method_not_allowed: { status: 405, ...NEVER },
  request_too_large: { status: 413, ...NEVER },
  unsupported_media_type: { status: 415, ...BY_LANGCHAIN },
  request_replayed: { status: 422, ...BY_LANGCHAIN },
  rate_limit_exceeded: { status: 429, ...ALWAYS },
  internal_error: { status: 500, ...NOT_BY_OPENAI },
  attestation_failed: { status: 502, ...NOT_BY_OPENAI },
  worker_failed: { status: 502, ...ALWAYS },
  answer_broken: { status: 502, ...NOT_BY_OPENAI },
  gateway_unreachable: { status: 502, ...ALWAYS },
  no_attested_worker: { status: 503, ...ALWAYS },
  answer_late: { status: 504, ...NOT_BY_OPENAI },
  timeout: { status: 504, ...ALWAYS },
};

const CODES = FAILURE_CODES.filter((code): code is FailureCode => code in CASES);

/** Where the table says when to ask again, soon. */
const SOON: readonly FailureCode[] = [
  'rate_limit_exceeded',
  'worker_failed',
  'gateway_unreachable',
  'no_attested_worker',
];
const SOON_MS = 20;

function asked(code: FailureCode): string {
  return SOON.includes(code) ? failureAsked(code, SOON_MS) : failureAsked(code);
}

type Ask = (way: Way, prompt: string) => Promise<unknown>;
type Check = (error: unknown, code: FailureCode, status: number) => void;

/** All at once: the clients wait between two requests. */
async function everyFailure(
  through: Way,
  client: 'O' | 'A' | 'L',
  ask: Ask,
  check: Check,
): Promise<void> {
  assert.equal(CODES.length, FAILURE_CODES.length);
  await Promise.all(
    CODES.map(async (code) => {
      const { status, [client]: sent } = CASES[code];
      const { way, sentAtMs } = counted(through);
      await assert.rejects(ask(way, asked(code)), (error) => {
        check(error, code, status);
        return true;
      });
      assert.equal(sentAtMs.length, sent === 'once' ? 1 : 1 + RETRIES[client], code);
    }),
  );
}

const CLASSES: Readonly<Record<number, new (...args: never[]) => APIError>> = {
  400: BadRequestError,
  401: AuthenticationError,
  403: PermissionDeniedError,
  404: NotFoundError,
  422: UnprocessableEntityError,
  429: RateLimitError,
};

function checkOpenAi(error: unknown, code: FailureCode, status: number): void {
  const expected = status >= 500 ? InternalServerError : (CLASSES[status] ?? APIError);
  assert.ok(error instanceof expected, `${code}: ${String(error)}`);
  assert.deepEqual([error.status, error.code], [status, code]);
  assert.match(error.requestID ?? '', /^(req|sx)_[0-9a-f]{32}$/);
}

function askOpenAi(way: Way, prompt: string): Promise<unknown> {
  return openAi(way, { maxRetries: RETRIES.O }).chat.completions.create({
    model: way.model,
    messages: [{ role: 'user', content: prompt }],
  });
}

function checkAiSdk(error: unknown, code: FailureCode, status: number): void {
  const last = RetryError.isInstance(error) ? error.lastError : error;
  assert.ok(APICallError.isInstance(last), `${code}: ${String(last)}`);
  assert.equal(last.statusCode, status);
  assert.match(JSON.stringify(last.data), new RegExp(`"code":"${code}"`));
}

function checkLangChain(error: unknown, code: FailureCode, status: number): void {
  assert.ok(error instanceof APIError, `${code}: ${String(error)}`);
  assert.deepEqual([error.status, error.code], [status, code]);
}

row('C16', ways, {
  O: (way) => everyFailure(way, 'O', askOpenAi, checkOpenAi),
  A: (way) =>
    everyFailure(
      way,
      'A',
      (through, prompt) =>
        generateText({ model: aiSdk(through)(way.model), prompt, maxRetries: RETRIES.A }),
      checkAiSdk,
    ),
  L: (way) =>
    everyFailure(
      way,
      'L',
      (through, prompt) => langChain(through, { maxRetries: RETRIES.L }).invoke(prompt),
      checkLangChain,
    ),
});

const WAIT_MS = 2000;
/** Timers of clients may be early by a little; how late they are is the machine's. */
const EARLY = 0.8;

row('C17', ways, {
  O: async (through) => {
    // Untold, the client would have come back after half a second at the latest.
    const { way, sentAtMs } = counted(through);
    const prompt = failureAsked('no_attested_worker', WAIT_MS);
    await assert.rejects(
      openAi(way, { maxRetries: 1 }).chat.completions.create({
        model: way.model,
        messages: [{ role: 'user', content: prompt }],
      }),
      InternalServerError,
    );
    const [first = 0, second = 0, ...more] = sentAtMs;
    assert.ok(second - first >= WAIT_MS * EARLY, `${second - first}`);
    assert.deepEqual(more, []);
    const told = counted(through);
    await assert.rejects(
      askOpenAi(told.way, failureAsked('attestation_failed')),
      InternalServerError,
    );
    assert.equal(told.sentAtMs.length, 1);
  },
});
