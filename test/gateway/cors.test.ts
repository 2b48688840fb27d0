/** Which pages hear an answer: those of the listed origins, on what apps ask, and nobody else's anywhere. @module */

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { decodeConfig } from '../../core/node/config.ts';
import { GATEWAY_CONFIG } from '../../gateway/config.ts';
import { exchange, labConfig, openLab, post, type Lab } from '../support/gateway-lab.ts';

const PAGE = 'https://app.example';
const OTHER_PAGE = 'https://app.example.attacker.example';

let lab: Lab;
before(async () => {
  lab = await openLab({ config: { cors: { origins: [PAGE] } } });
});
after(() => lab.close());

function ask(path: string, init: RequestInit, at: Lab = lab): Promise<Response> {
  return fetch(`${at.url}${path}`, init);
}

function preflight(path: string, origin: string, wanted: string, at?: Lab): Promise<Response> {
  const headers = {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': wanted,
  };
  return ask(path, { method: 'OPTIONS', headers }, at);
}

function corsHeaders(response: Response): readonly string[] {
  return [...response.headers.keys()].filter((name) => name.startsWith('access-control-'));
}

const WANTED = 'authorization,content-type,idempotency-key,openai-organization,x-stainless-lang';

for (const path of ['/v1/chat/completions', '/sx/v1/exchange', '/v1/evidence?model=m']) {
  test(`a listed page may ask with any header: ${path}`, async () => {
    const response = await preflight(path, PAGE, WANTED);
    assert.equal(response.status, 204);
    assert.equal(await response.text(), '');
    assert.equal(response.headers.get('access-control-allow-origin'), PAGE);
    assert.equal(response.headers.get('access-control-allow-methods'), 'GET, POST');
    assert.equal(response.headers.get('access-control-allow-headers'), WANTED);
    assert.equal(response.headers.get('vary'), 'origin');
    assert.equal(response.headers.get('access-control-allow-credentials'), null);
  });
}

test('another page is told nothing, however its origin looks', async () => {
  for (const origin of [OTHER_PAGE, 'http://app.example', 'https://APP.example', 'null', '*']) {
    const response = await preflight('/v1/chat/completions', origin, WANTED);
    assert.notEqual(response.status, 204);
    assert.deepEqual(corsHeaders(response), []);
    // Else a cache would give the refusal to a page that is listed, or its answer to one that is not.
    assert.equal(response.headers.get('vary'), 'origin');
  }
});

test('a list of headers that is none is not repeated', async () => {
  for (const wanted of ['x-a, x-b,, x-c', 'x-a;x-b', `x-${'a'.repeat(2048)}`]) {
    const response = await preflight('/v1/models', PAGE, wanted);
    assert.equal(response.status, 204);
    assert.equal(response.headers.get('access-control-allow-headers'), null);
  }
});

test('answers and refusals of every part are readable by a listed page and by no other', async () => {
  const worker = await lab.worker();
  const { bytes } = lab.seal(lab.keysOf(worker));
  const answers = [
    (origin: string) => exchange(lab, bytes.slice(), { origin }),
    (origin: string) => exchange(lab, bytes.slice(), { origin, authorization: '' }),
    (origin: string) => post(lab, '/v1/none', new Uint8Array(), { origin }),
    (origin: string) => post(lab, '/v1/chat/completions', new Uint8Array(), { origin }),
  ];
  for (const answer of answers) {
    const heard = await answer(PAGE);
    assert.equal(heard.headers['access-control-allow-origin'], PAGE);
    assert.equal(heard.headers['access-control-expose-headers'], '*');
    const unheard = await answer(OTHER_PAGE);
    assert.equal(unheard.headers['access-control-allow-origin'], undefined);
  }
});

test('what is not for apps stays closed to pages', async () => {
  for (const path of ['/healthz', '/readyz', '/v2/models', '/sx/v1/exchange/more']) {
    const response = await ask(path, { headers: { origin: PAGE } });
    await response.body?.cancel();
    assert.deepEqual(corsHeaders(response), [], path);
  }
});

test('a request for its options that is no preflight is an ordinary request', async () => {
  const response = await ask('/v1/models', { method: 'OPTIONS', headers: { origin: PAGE } });
  assert.notEqual(response.status, 204);
});

test('it is off unless somebody is listed', async (t) => {
  const silent = await openLab();
  t.after(() => silent.close());
  const response = await preflight('/v1/models', PAGE, WANTED, silent);
  assert.notEqual(response.status, 204);
  assert.deepEqual(corsHeaders(response), []);
  assert.equal(response.headers.get('vary'), null);
});

for (const origin of [
  '*',
  'null',
  'app.example',
  'https://app.example/',
  'https://app.example/path',
  'https://app.example:443',
  'https://App.example',
  'ftp://app.example',
]) {
  test(`the configuration refuses ${origin} as an origin`, () => {
    const decode = (origins: readonly string[]): unknown =>
      decodeConfig(GATEWAY_CONFIG, {
        ...labConfig('/data', '/policy.yaml'),
        cors: { origins: [...origins] },
      });
    decode([PAGE, 'http://localhost:3000']);
    assert.throws(() => decode([origin]), { code: 'config.invalid' });
  });
}
