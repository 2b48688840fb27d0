/** The fetch wrapper under OpenAI's own client, over a gateway in memory. @module */

import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import OpenAI, {
  APIError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  PermissionDeniedError,
  RateLimitError,
  UnprocessableEntityError,
} from 'openai';
import { utf8 } from '../../core/bytes.ts';
import { clientError } from '../../client/errors.ts';
import { failureResponse } from '../../client/failure-response.ts';
import { sealedFetch, type WorkerVerdict } from '../../client/index.ts';
import { DOCUMENT_TIMEOUT_MS, MODELS_TIMEOUT_MS } from '../../client/limits.ts';
import type { ClientOptions } from '../../client/open-session.ts';
import type { VerifiedReceipt } from '../../protocol/sx/read-response.ts';
import { TEST_PRICES } from '../support/attested-key.ts';
import {
  isAbsent,
  JSON_ANSWER,
  memoryGateway,
  MODEL,
  PROMPT,
  type MemoryGateway,
} from '../support/memory-gateway.ts';

const KEY = 'sk-test-key';

function openAi(gateway: MemoryGateway, options: Partial<ClientOptions> = {}): OpenAI {
  const { fetch, policy, clock } = gateway;
  return new OpenAI({
    baseURL: 'https://gateway.test/v1',
    apiKey: KEY,
    maxRetries: 0,
    fetch: sealedFetch({ fetch, policy, clock, ...options }),
  });
}

const MESSAGES = [{ role: 'user' as const, content: PROMPT }];

test('a whole answer arrives, labelled, with its receipt and its verdicts', async () => {
  const gateway = await memoryGateway();
  const receipts: VerifiedReceipt[] = [];
  const verdicts: WorkerVerdict[] = [];
  const client = openAi(gateway, {
    onReceipt: (receipt) => void receipts.push(receipt),
    onVerdict: (verdict) => void verdicts.push(verdict),
  });
  const { data, response } = await client.chat.completions
    .create({ model: MODEL, messages: MESSAGES })
    .withResponse();
  const [worker] = gateway.workers;
  assert.equal(data.choices[0]?.message.content, 'whole answer');
  assert.equal(response.headers.get('sx-privacy'), 'end-to-end');
  assert.equal(response.headers.get('sx-authenticated'), 'true');
  assert.equal(response.headers.get('sx-simulated'), 'true');
  assert.equal(response.headers.get('sx-worker'), worker?.workerId);
  assert.equal(response.headers.get('sx-kid'), worker?.kid);
  assert.match(response.headers.get('x-request-id') ?? '', /^sx_[0-9a-f]{32}$/);
  assert.equal(receipts[0]?.receipt.usage.completion, 2);
  const [verdict] = verdicts;
  assert.equal(verdict?.appraisal.outcome, 'admitted');
  assert.equal(verdict?.gateway.outcome, 'waived');
});

test('the prompt leaves sealed: neither it nor the model name is in any byte sent', async () => {
  const gateway = await memoryGateway();
  await openAi(gateway).chat.completions.create({ model: MODEL, messages: MESSAGES });
  assert.ok(isAbsent(PROMPT, gateway.sent));
  assert.ok(new TextDecoder().decode(gateway.workers[0]?.opened[0]).includes(PROMPT));
});

test("only the key travels with the request, none of the SDK's own headers", async () => {
  const gateway = await memoryGateway();
  await openAi(gateway).chat.completions.create({ model: MODEL, messages: MESSAGES });
  assert.ok(isAbsent('x-stainless', gateway.sent));
  assert.ok(!isAbsent(`Bearer ${KEY}`, gateway.sent));
});

test('a stream arrives in pieces and ends', async () => {
  const gateway = await memoryGateway();
  const stream = await openAi(gateway).chat.completions.create({
    model: MODEL,
    messages: MESSAGES,
    stream: true,
  });
  const parts: string[] = [];
  for await (const part of stream) parts.push(part.choices[0]?.delta.content ?? '');
  assert.deepEqual(parts, ['', 'whole ', 'answer', '']);
});

test('keys are looked up once for many requests, and again when they are old', async () => {
  const gateway = await memoryGateway();
  const client = openAi(gateway);
  const ask = () => client.chat.completions.create({ model: MODEL, messages: MESSAGES });
  await Promise.all([ask(), ask(), ask()]);
  const lookups = () => gateway.asked.filter((path) => path === '/v1/evidence').length;
  assert.equal(lookups(), 1);
  gateway.advance(301_000);
  await ask();
  assert.equal(lookups(), 2);
});

test('an expired key is never used: the worker must prove itself anew', async () => {
  const gateway = await memoryGateway();
  const client = openAi(gateway);
  await client.chat.completions.create({ model: MODEL, messages: MESSAGES });
  gateway.advance(601_000);
  await assert.rejects(client.chat.completions.create({ model: MODEL, messages: MESSAGES }), {
    status: 502,
    code: 'attestation_failed',
  });
  assert.equal(gateway.workers[0]?.opened.length, 1);
});

test('when the gateway knows none of the keys the client looks again and seals anew, once', async () => {
  const gateway = await memoryGateway();
  const client = openAi(gateway);
  await client.chat.completions.create({ model: MODEL, messages: MESSAGES });
  gateway.workers.pop();
  const fresh = await gateway.addWorker();
  const { response } = await client.chat.completions
    .create({ model: MODEL, messages: MESSAGES })
    .withResponse();
  assert.equal(response.headers.get('sx-kid'), fresh.kid);
  assert.equal(gateway.asked.filter((path) => path === '/sx/v1/exchange').length, 3);
});

test('a gateway that denies every key cannot make the client spin', async () => {
  const gateway = await memoryGateway();
  gateway.mischief.respond = () => Response.json({}, { status: 421 });
  await assert.rejects(
    openAi(gateway).chat.completions.create({ model: MODEL, messages: MESSAGES }),
    { status: 503, code: 'no_attested_worker' },
  );
  assert.equal(gateway.asked.filter((path) => path === '/sx/v1/exchange').length, 1);
});

test('a sealed error of the worker keeps its status and is marked authenticated', async () => {
  const body = JSON.stringify({
    error: {
      message: 'Too long.',
      type: 'invalid_request_error',
      param: null,
      code: 'context_length_exceeded',
    },
  });
  const answer = { ...JSON_ANSWER, status: 400, pieces: [body] };
  const gateway = await memoryGateway([{ answer }]);
  await assert.rejects(
    openAi(gateway).chat.completions.create({ model: MODEL, messages: MESSAGES, stream: true }),
    (error) =>
      error instanceof BadRequestError &&
      error.code === 'context_length_exceeded' &&
      error.headers.get('sx-authenticated') === 'true',
  );
});

for (const [status, code, type, want] of [
  [401, 'invalid_api_key', AuthenticationError, 'invalid_api_key'],
  [402, 'insufficient_funds', APIError, 'insufficient_funds'],
  [403, 'policy_denied', PermissionDeniedError, 'policy_denied'],
  [429, 'rate_limit_exceeded', RateLimitError, 'rate_limit_exceeded'],
  [409, 'sx.replay', UnprocessableEntityError, 'request_replayed'],
  [400, 'sx.refused', BadRequestError, 'sealed_request_refused'],
  [503, 'sx.busy', InternalServerError, 'no_attested_worker'],
  [500, 'made-up', InternalServerError, 'gateway_unreachable'],
] as const) {
  test(`a gateway's ${status} ${code} is a typed error marked as unauthenticated`, async () => {
    const gateway = await memoryGateway();
    gateway.mischief.respond = () =>
      Response.json({ error: { message: 'gateway text', code } }, { status });
    await assert.rejects(
      openAi(gateway).chat.completions.create({ model: MODEL, messages: MESSAGES }),
      (error) =>
        error instanceof type &&
        error.code === want &&
        error.headers?.get('sx-authenticated') === 'false' &&
        error.headers.get('sx-error-source') === 'gateway' &&
        !error.message.includes('gateway text'),
    );
  });
}

test('a retriable refusal is retried by the SDK with a new msg_id', async () => {
  const gateway = await memoryGateway();
  const ids: string[] = [];
  gateway.mischief.respond = (sealed) => {
    ids.push(sealed.slice(8, 24).join());
    return Response.json({}, { status: 429, headers: { 'retry-after': '0' } });
  };
  const client = openAi(gateway).withOptions({ maxRetries: 1 });
  await assert.rejects(client.chat.completions.create({ model: MODEL, messages: MESSAGES }));
  assert.equal(new Set(ids).size, 2);
});

test('a transport that fails is a 502 of the client and no evidence against anybody', async () => {
  const gateway = await memoryGateway();
  const fetch = () => Promise.reject(new TypeError('fetch failed'));
  await assert.rejects(
    openAi(gateway, { fetch }).chat.completions.create({ model: MODEL, messages: MESSAGES }),
    { status: 502, code: 'gateway_unreachable' },
  );
});

test('moderations are refused here and nothing is sent', async () => {
  const gateway = await memoryGateway();
  const call = openAi(gateway).moderations.create({ model: MODEL, input: PROMPT });
  await assert.rejects(call, { status: 404, code: 'unknown_url' });
  assert.deepEqual(gateway.asked, []);
});

test('a refusal of this side is told to each SDK in its own words', async () => {
  const gateway = await memoryGateway();
  const fetch = sealedFetch({ fetch: gateway.fetch, policy: gateway.policy, clock: gateway.clock });
  const tell = async (path: string): Promise<string> => {
    const response = await fetch(`https://gateway.test${path}`, {
      method: 'POST',
      body: JSON.stringify({ model: MODEL, max_tokens: 0, max_output_tokens: 0 }),
    });
    assert.equal(response.status, 400);
    return response.text();
  };
  assert.match(await tell('/v1/responses'), /^\{"error":\{"message":/);
  assert.match(await tell('/v1/messages'), /^\{"type":"error","error":\{"type":"invalid_request_/);
});

for (const [what, call] of [
  ['embeddings', (client: OpenAI) => client.embeddings.create({ model: MODEL, input: PROMPT })],
  ['completions', (client: OpenAI) => client.completions.create({ model: MODEL, prompt: PROMPT })],
] as const) {
  test(`${what} that no worker promises are refused here, and nothing is sealed`, async () => {
    const gateway = await memoryGateway();
    await assert.rejects(call(openAi(gateway)), { status: 404, code: 'endpoint_not_served' });
    assert.ok(gateway.asked.length > 0);
    assert.ok(gateway.asked.every((asked) => !asked.includes('/sx/')));
  });
}

test('only models that a worker proved are listed', async () => {
  const gateway = await memoryGateway();
  const ids: string[] = [];
  for await (const model of openAi(gateway).models.list()) ids.push(model.id);
  assert.deepEqual(ids, [MODEL]);
  assert.equal((await openAi(gateway).models.retrieve(MODEL)).id, MODEL);
  await assert.rejects(openAi(gateway).models.retrieve('other/model'), { status: 503 });
  await assert.rejects(openAi(gateway).models.retrieve('unheard-of'), { status: 404 });
});

test('where nothing is proven for any name the list says why', async () => {
  const gateway = await memoryGateway([{ unlisted: true }]);
  await assert.rejects(
    async () => {
      for await (const model of openAi(gateway).models.list()) assert.fail(model.id);
    },
    { status: 502, message: /first failed check: / },
  );
});

test('a list of names whose look-ups never end is given up, with the reason', async () => {
  const gateway = await memoryGateway();
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  const over = new AbortController();
  mock.method(AbortSignal, 'timeout', (ms: number) =>
    ms === MODELS_TIMEOUT_MS ? over.signal : timeout(ms),
  );
  const { policy, clock } = gateway;
  const listed = sealedFetch({
    policy,
    clock,
    fetch: (url, init) => {
      if (!url.includes('/v1/evidence')) return gateway.fetch(url, init);
      over.abort(new DOMException('', 'TimeoutError'));
      return new Promise(() => undefined);
    },
  });
  const answer = await listed('https://gateway.test/v1/models');
  mock.restoreAll();
  assert.equal(answer.headers.get('sx-error'), 'client.unreachable');
  assert.match(await answer.text(), /time limit/);
});

test('a list of models that never comes is given up too', async () => {
  const gateway = await memoryGateway();
  const timeout = AbortSignal.timeout.bind(AbortSignal);
  const over = new AbortController();
  mock.method(AbortSignal, 'timeout', (ms: number) =>
    ms === DOCUMENT_TIMEOUT_MS ? over.signal : timeout(ms),
  );
  const { policy, clock } = gateway;
  const listed = sealedFetch({
    policy,
    clock,
    fetch: (_, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
        over.abort(new DOMException('', 'TimeoutError'));
      }),
  });
  const answer = await listed('https://gateway.test/v1/models');
  mock.restoreAll();
  assert.equal(answer.headers.get('sx-error'), 'client.unreachable');
  assert.match(await answer.text(), /time limit/);
});

test('a pinned gateway identity is a passed check, another one ends it', async () => {
  const gateway = await memoryGateway();
  const verdicts: WorkerVerdict[] = [];
  await openAi(gateway, {
    gateway: gateway.aud,
    onVerdict: (verdict) => void verdicts.push(verdict),
  }).chat.completions.create({ model: MODEL, messages: MESSAGES });
  assert.equal(verdicts[0]?.gateway.outcome, 'pass');
  const other = `gw1.${'A'.repeat(43)}`;
  await assert.rejects(
    openAi(gateway, { gateway: other }).chat.completions.create({
      model: MODEL,
      messages: MESSAGES,
    }),
    { status: 502, code: 'attestation_failed' },
  );
});

test('an abort before the answer reaches the app as an abort', async () => {
  const gateway = await memoryGateway();
  const stop = new AbortController();
  gateway.mischief.respond = () => {
    stop.abort();
    return Response.json({}, { status: 500 });
  };
  await assert.rejects(
    openAi(gateway).chat.completions.create(
      { model: MODEL, messages: MESSAGES },
      { signal: stop.signal },
    ),
    APIUserAbortError,
  );
});

test('leaving a stream cancels the transport', async () => {
  const gateway = await memoryGateway();
  const cancelled = Promise.withResolvers<void>();
  gateway.mischief.answer = (pieces) => pieces.slice(0, 3);
  const fetch: ClientOptions['fetch'] = async (url, init) => {
    const response = await gateway.fetch(url, init);
    if (!url.endsWith('/exchange') || response.body === null) return response;
    init.signal.addEventListener('abort', () => cancelled.resolve(), { once: true });
    const reader = response.body.getReader();
    const body = new ReadableStream<Uint8Array>({
      pull: async (controller) => {
        const step = await reader.read();
        // After what there is, silence: only a cancel ends it.
        if (step.done) await cancelled.promise;
        else controller.enqueue(step.value);
      },
      cancel: () => cancelled.resolve(),
    });
    return new Response(body, { headers: response.headers });
  };
  const stream = await openAi(gateway, { fetch }).chat.completions.create({
    model: MODEL,
    messages: MESSAGES,
    stream: true,
  });
  for await (const part of stream) {
    if (part.choices[0]?.delta.content === 'whole ') break;
  }
  await cancelled.promise;
});

test('a ceiling below the price leaves no worker', async () => {
  const gateway = await memoryGateway([{ prices: TEST_PRICES }]);
  await assert.rejects(
    openAi(gateway, { maxAmount: 1n }).chat.completions.create({
      model: MODEL,
      messages: MESSAGES,
    }),
    { status: 502, code: 'attestation_failed' },
  );
  const ample = openAi(gateway, { maxAmount: 1_000_000_000n });
  await ample.chat.completions.create({ model: MODEL, messages: MESSAGES });
});

test('plain http is for this machine only', async () => {
  const gateway = await memoryGateway();
  const { fetch, policy, clock } = gateway;
  const wrapped = sealedFetch({ fetch, policy, clock });
  const response = await wrapped('http://gateway.test/v1/models');
  assert.equal(response.status, 400);
  assert.deepEqual(gateway.asked, []);
  assert.equal((await wrapped('http://127.0.0.1:1/v1/models')).status, 200);
});

test('a query or another method finds no path', async () => {
  const { fetch, policy, clock } = await memoryGateway();
  const wrapped = sealedFetch({ fetch, policy, clock });
  for (const [url, method] of [
    ['https://gateway.test/v1/models?x=1', 'GET'],
    ['https://gateway.test/v1/models', 'DELETE'],
    ['https://gateway.test/v1/chat/completions', 'PUT'],
    ['https://gateway.test/other', 'POST'],
  ] as const) {
    const body = method === 'GET' ? null : utf8(PROMPT);
    const response = await wrapped(url, { method, body });
    assert.equal(response.status, 404, url);
  }
});

test('without a policy there is no sealed fetch, and the message says what is missing', () => {
  const untyped: { policy: string } = JSON.parse('{}');
  assert.throws(() => sealedFetch(untyped), /policy is required/);
});

test('a policy that does not compile says where, and is not worth a retry', async () => {
  const fetch = sealedFetch({ policy: 'format: veilgate.policy/1\nname: 7\n' });
  const response = await fetch('http://127.0.0.1:9/v1/chat/completions', {
    method: 'POST',
    body: '{}',
  });
  assert.equal(response.status, 400);
  assert.match(await response.text(), /policy:2: name: /);
});

test('an answer that is late is not asked for again: it may have run', () => {
  const response = failureResponse(clientError('client.deadline'));
  assert.equal(response.status, 504);
  assert.equal(response.headers.get('x-should-retry'), 'false');
});
