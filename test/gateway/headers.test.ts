/**
 * What every answer of a gateway carries: an id, what is left of the rate, when to come back; and what is answered to bodies
 * and probes. Spec: openai-gateway-and-engine §2.5, §2.8.
 * @module
 */

import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { fromUtf8, utf8 } from '../../core/bytes.ts';
import { declaredErrors, VeilError } from '../../core/errors.ts';
import { plainModeSealer } from '../../cli/plain-mode.ts';
import { createApiKey } from '../../gateway/accounts.ts';
import { paymentFailure } from '../../gateway/payments/edge.ts';
import { durationText } from '../../gateway/rate-headers.ts';
import { clearErrorOf } from '../../gateway/respond-clear.ts';
import { anthropicFailure } from '../../protocol/anthropic/errors.ts';
import { failureOf, type OpenAiFailure } from '../../protocol/openai/errors.ts';
import {
  exchange,
  openLab,
  post,
  sealFor,
  type Lab,
  type RawAnswer,
} from '../support/gateway-lab.ts';
import { answering, type SxWorker } from '../support/sx-worker.ts';

let lab: Lab;
let worker: SxWorker;
before(async () => {
  lab = await openLab({
    config: {
      plaintext: 'operator-can-read',
      accounts: { requestsPerMinute: 3 },
      cors: { origins: ['https://app.example'] },
    },
    deps: { sealer: plainModeSealer },
  });
  worker = await lab.worker(answering('{"object":"chat.completion","choices":[]}'));
});
after(() => lab.close());

const CHAT = '/v1/chat/completions';
const BODY = utf8(
  JSON.stringify({ model: 'veilgate-demo', messages: [{ role: 'user', content: 'hello' }] }),
);

function newKey(): string {
  return createApiKey(lab.gateway.store, 'headers', lab.gateway.clock()).apiKey;
}

function chat(
  headers: Readonly<Record<string, string>> = {},
  apiKey = newKey(),
  body = BODY,
): Promise<RawAnswer> {
  const authorization = `Bearer ${apiKey}`;
  return post(lab, CHAT, body, { 'content-type': 'application/json', authorization, ...headers });
}

/** One of each part of the gateway, answers and refusals. */
const ASKED: readonly (readonly [string, (id: Record<string, string>) => Promise<RawAnswer>])[] = [
  ['a list', (id) => post(lab, '/v1/models', new Uint8Array(), id, 'GET')],
  ['a probe', (id) => post(lab, '/readyz', new Uint8Array(), id, 'GET')],
  ['a control route', (id) => post(lab, '/v1/gateway', new Uint8Array(), id, 'GET')],
  ['an unknown path', (id) => post(lab, '/nowhere', new Uint8Array(), id)],
  ['an answer', (id) => chat(id)],
  ['no key', (id) => chat({ ...id, authorization: '' })],
  ['a bad body', (id) => chat(id, newKey(), utf8('{'))],
  ['a wrong method', (id) => post(lab, '/sx/v1/exchange', new Uint8Array(), id, 'PUT')],
  ['no sealed request', (id) => exchange(lab, utf8('x'), id)],
  [
    'a sealed answer',
    (id) => {
      const apiKey = newKey();
      return exchange({ port: lab.port, apiKey }, sealFor(apiKey, lab.keysOf(worker)).bytes, id);
    },
  ],
  [
    'a preflight',
    (id) =>
      post(
        lab,
        CHAT,
        new Uint8Array(),
        { ...id, origin: 'https://app.example', 'access-control-request-method': 'POST' },
        'OPTIONS',
      ),
  ],
];

for (const [name, ask] of ASKED) {
  test(`every answer has an id, and keeps the caller's where it is harmless: ${name}`, async () => {
    assert.match(String((await ask({})).headers['x-request-id']), /^(req|sx)_[0-9a-f]{32}$/);
    const mine = await ask({ 'x-request-id': 'mine_1-A' });
    assert.equal(mine.headers['x-request-id'], 'mine_1-A');
    for (const bad of ['a b', 'a"b', 'x'.repeat(65), 'ü', '']) {
      const answer = await ask({ 'x-request-id': bad });
      assert.match(String(answer.headers['x-request-id']), /^(req|sx)_[0-9a-f]{32}$/, bad);
    }
  });
}

test('what is no request at all is answered with an id too', async () => {
  const socket = connect(lab.port, '127.0.0.1', () => socket.write('nonsense\r\n\r\n'));
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  assert.match(text, /^HTTP\/1\.1 400 .*x-request-id: req_[0-9a-f]{32}\r\n/s);
});

test('the id of the exchange stands beside the name that the caller gave it', async () => {
  const answer = await chat({ 'x-request-id': 'mine' });
  assert.equal(answer.status, 200);
  assert.match(String(answer.headers['sx-request-id']), /^sx_[0-9a-f]{32}$/);
  const own = await chat();
  assert.equal(own.headers['x-request-id'], own.headers['sx-request-id']);
});

function rateOf({ headers }: RawAnswer) {
  return {
    limit: headers['x-ratelimit-limit-requests'],
    remaining: headers['x-ratelimit-remaining-requests'],
    reset: headers['x-ratelimit-reset-requests'],
  };
}

for (const way of ['convenience', 'sealed'] as const) {
  test(`what is left of the rate is what the limiter goes by: ${way}`, async () => {
    const apiKey = newKey();
    const ask = (): Promise<RawAnswer> =>
      way === 'convenience'
        ? chat({}, apiKey)
        : exchange({ port: lab.port, apiKey }, sealFor(apiKey, lab.keysOf(worker)).bytes);
    for (const remaining of ['2', '1', '0']) {
      const answer = await ask();
      assert.equal(answer.status, 200);
      assert.deepEqual({ ...rateOf(answer), reset: '' }, { limit: '3', remaining, reset: '' });
      assert.match(String(rateOf(answer).reset), /^(\d+(\.\d+)?(ms|s)|\d+m\d+s)$/);
    }
    const refused = await ask();
    assert.equal(refused.status, 429);
    assert.equal(rateOf(refused).remaining, '0');
    const waitMs = Number(refused.headers['retry-after-ms']);
    // A place every twenty seconds.
    assert.ok(waitMs > 1000 && waitMs <= 20_000, `${waitMs}`);
    assert.equal(refused.headers['retry-after'], String(Math.ceil(waitMs / 1000)));
  });
}

test('durations are written as dashboards read them', () => {
  const written = [0, 12, 999.2, 1000, 1500, 59_999, 60_000, 360_000, 3_601_000].map(durationText);
  assert.deepEqual(written, [
    '0ms',
    '12ms',
    '1000ms',
    '1s',
    '1.5s',
    '59.999s',
    '1m0s',
    '6m0s',
    '60m1s',
  ]);
});

function retryOf(headers: Iterable<readonly [string, string]>) {
  const map = new Map(headers);
  return { after: map.get('retry-after'), afterMs: map.get('retry-after-ms') };
}

test('whatever is answered with 429 or 503 says when to come back, in both units', async () => {
  await import('../../gateway/app.ts');
  for (const [code, spec] of declaredErrors()) {
    const failure: OpenAiFailure = failureOf(new VeilError(code, spec, ''));
    const ways: readonly (readonly [string, number, Iterable<readonly [string, string]>])[] = [
      ['clear', spec.status, Object.entries(clearErrorOf(code).headers)],
      ['edge', failure.status, failure.headers],
      ['anthropic', failure.status, anthropicFailure(failure, null).headers],
      ...(code.startsWith('payment.')
        ? [['payment', spec.status, paymentFailure(code).headers] as const]
        : []),
    ];
    for (const [way, status, headers] of ways) {
      if (status !== 429 && status !== 503) continue;
      const { after: seconds, afterMs } = retryOf(headers);
      assert.ok(Number(seconds) >= 1 && Number(afterMs) >= 1, `${way} ${code}`);
    }
  }
});

test('a gateway that is not ready says when to look again', async (t) => {
  const empty = await openLab({ config: { models: ['veilgate-demo', 'other'] } });
  t.after(() => empty.close());
  const first = await post(empty, '/readyz', new Uint8Array(), {}, 'GET');
  assert.equal(first.status, 503);
  assert.equal(first.headers['retry-after'], '1');
  await empty.worker();
  const half = await post(empty, '/readyz', new Uint8Array(), {}, 'GET');
  assert.equal(half.status, 503);
  assert.match(fromUtf8(half.body), /"missing":\["other"\]/);
  assert.equal((await post(empty, '/healthz', new Uint8Array(), {}, 'GET')).status, 200);
});

test('each published model with a worker is ready', async (t) => {
  const ready = await openLab({ config: { models: ['veilgate-demo'] } });
  t.after(() => ready.close());
  await ready.worker();
  assert.equal((await post(ready, '/readyz', new Uint8Array(), {}, 'GET')).status, 200);
});

test('a body of twenty megabytes is read, and one beyond the limit refused by its length alone', async () => {
  const words = 'lorem ipsum '.repeat(1_666_000);
  const large = utf8(
    JSON.stringify({ model: 'veilgate-demo', messages: [{ role: 'user', content: words }] }),
  );
  assert.ok(large.length >= 19_990_000);
  assert.equal((await chat({}, newKey(), large)).status, 200);

  const socket = connect(lab.port, '127.0.0.1');
  socket.write(
    `POST ${CHAT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${newKey()}\r\n` +
      'content-type: application/json\r\ncontent-length: 20971521\r\n\r\n{',
  );
  let text = '';
  for await (const chunk of socket) {
    text += String(chunk);
    if (text.includes('request_too_large')) break;
  }
  assert.match(text, /^HTTP\/1\.1 413 /);
});

test('an operator chooses how large a body may be', async (t) => {
  const small = await openLab({
    config: { plaintext: 'operator-can-read', limits: { plainBodyMaxBytes: 1000 } },
    deps: { sealer: plainModeSealer },
  });
  t.after(() => small.close());
  const body = utf8(JSON.stringify({ model: 'veilgate-demo', pad: 'x'.repeat(1000) }));
  const answer = await post(small, CHAT, body, {
    'content-type': 'application/json',
    authorization: `Bearer ${small.apiKey}`,
  });
  assert.equal(answer.status, 413);
});

test('a refusal stays readable to the pages that may ask', async () => {
  const answer = await chat({ origin: 'https://app.example' }, newKey(), utf8('{'));
  assert.equal(answer.status, 400);
  assert.equal(answer.headers['access-control-allow-origin'], 'https://app.example');
  assert.equal(answer.headers['vary'], 'origin');
});
